"""One process heals on one SQLite database: a second would mistake the first one's running heals for a dead one's."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Locked(Exception):
    """Another process has the database; the message says which and what to do."""


@contextmanager
def sole_process(database: Path | None) -> Iterator[None]:
    """Hold the lock beside the database file; it goes with the process, however that ends. Raises Locked.

    None: a database that any number of processes may share.
    """
    if database is None:
        yield
        return
    file = database.with_name(f"{database.name}.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        remedy = "make its folder writable, or set another database_url"
        raise Locked(f"{file} can't be opened ({error.strerror}): {remedy}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Locked(
                f"process {holder} already works on {database}: talk to it over HTTP (see `listen`), or stop it first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
