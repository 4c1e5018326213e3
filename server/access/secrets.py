"""Passwords, tokens and what is kept of them.

A password can be guessed, so each guess is made dear: argon2id. A token of ours is 256 random bits, which nobody
guesses; SHA-256 keeps it as safely, and a request must not cost the 50 ms that a password may.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import Parameters, PasswordHasher, Type, extract_parameters
from argon2.exceptions import VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from server.access.settings import NAME, User

AT_ONCE = 2
"""Each verification takes tens of megabytes and of milliseconds."""
WAITING_AT_MOST = 32
LONGEST_PASSWORD = 1_000
SHORTEST_PASSWORD = 12

_PERSONAL = re.compile(rf"sh_{NAME.pattern}_[A-Za-z0-9_-]{{43}}")


class TooBusy(Exception):
    """More passwords wait to be verified than is good for the server."""


def password_hash(password: str) -> str:
    """The argon2id hash to keep of a password. Raises ValueError for one that is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return PasswordHasher().hash(password)


def new_token(name: str) -> str:
    """A personal token, 256 bits of it random."""
    return f"sh_{name}_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """What is kept of a token in the settings."""
    return f"sha256:{digest(token)}"


def is_personal(token: str) -> bool:
    """Whether it has the shape of those we make: only such are random enough to be kept as SHA-256."""
    return _PERSONAL.fullmatch(token) is not None


def digest(secret: str) -> str:
    """SHA-256 in hex, for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Compared in constant time."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))


def csrf_token(session_id: str) -> str:
    """The token forms of a session must bring. It tells nothing of the session's id, and needs no place of its own."""
    return hmac.new(session_id.encode(), b"csrf", hashlib.sha256).hexdigest()


class Passwords:
    """Verifies passwords in threads of its own. Call `close` in the end."""

    def __init__(self, users: tuple[User, ...]) -> None:
        self._hashes = {user.name: user.password_hash.get_secret_value() for user in users if user.password_hash}
        # An unknown name must take as long as a known one, so it is verified too, against a hash as dear as theirs.
        known = next(iter(self._hashes.values()), None)
        self._nobody = _hash_of_nothing(extract_parameters(known) if known else RFC_9106_LOW_MEMORY)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def right(self, name: str, password: str) -> bool:
        """Whether that is the password of the user of that name. Raises TooBusy."""
        if self._waiting >= WAITING_AT_MOST:
            raise TooBusy("too many sign-ins at once")
        self._waiting += 1
        try:
            kept = self._hashes.get(name)
            asked = (kept or self._nobody, password[: LONGEST_PASSWORD + 1])
            right = await asyncio.get_running_loop().run_in_executor(self._threads, _verified, *asked)
            return right and kept is not None and len(password) <= LONGEST_PASSWORD
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hash_of_nothing(like: Parameters) -> str:
    """A hash that no password has, and that takes as long to verify as those with these parameters; made without
    the tenth of a second that hashing takes."""
    kinds = {Type.D: "argon2d", Type.I: "argon2i", Type.ID: "argon2id"}
    costs = f"m={like.memory_cost},t={like.time_cost},p={like.parallelism}"
    salt, end = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (like.salt_len, like.hash_len)
    )
    return f"${kinds[like.type]}$v={like.version}${costs}${salt}${end}"


def _verified(kept: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(kept, password.encode("utf-8", "surrogatepass"))
    except VerificationError:
        return False
