"""The crash matrix: the real server or worker dies at every step of a real heal, and the target's own log is asked."""
