"""The two words that carry retry policy."""

from __future__ import annotations


class TemporaryError(Exception):
    """The same call may work later."""


class PermanentError(Exception):
    """The same call will not work until something is changed; the message says what."""
