"""Names of processes are hostile, so they are compared and told in one plain form."""

from __future__ import annotations

SAFE_NAME = "A-Za-z0-9._/:+@#=-"
"""Bytes of a process's name that are kept, as a bracket expression's content; every other becomes `?`."""
