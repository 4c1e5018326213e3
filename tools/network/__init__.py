"""What a host tells of its network, understood without asking anything: firewalls, links, routes, names."""
