"""Clients of the outside world: I/O only, no decisions."""
