"""What reads and changes the outside world: clients, evidence sources, repair actions."""
