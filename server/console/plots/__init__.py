"""The metric around an incident, with its alert and our actions marked: seen at a glance, and kept when Prometheus has
forgotten it.

What is asked is in `asking` (and `expressions`), how it is drawn in `drawing`, and `page` brings both together.
"""
