"""The benchmark: what is promised of speed and of loss, measured on the real server beside its goal."""
