"""The running service: HTTP in front, a durable store and queue behind, and the command line beside it."""
