"""A SQLite file's write-ahead log, copied back into the file beside who writes.

Left to itself SQLite has the commit that fills the log copy all of it back: tens of milliseconds, twice a second in a
storm, for everybody who waits for that commit. Source: https://www.sqlite.org/wal.html, "Checkpointing".
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

log = logging.getLogger("selfheal.wal")

NET = "PRAGMA wal_autocheckpoint=32000"
"""Of every connection: where nobody copies, at 128 MiB a commit does after all."""
ROWS = 1_000
"""Changed since the last copy before there is another: it costs two waits for the disk, however little there is."""
LONG = 8_000
"""Pages after which the log should begin anew: 32 MiB."""
REST_SECONDS = 0.05
"""Between two copies, whatever is written meanwhile."""
CLOSING_SECONDS = 10.0
"""A disk that hangs must not keep a process from going: what is not copied is in the log."""
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class WalCopier:
    """One thread for one file. `close` it before the last connection goes, which copies what is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = threading.Event()
        self._closed = threading.Event()
        self._long = False
        self._seen = 0
        self._thread = threading.Thread(target=self._run, name="wal-copy", daemon=True)
        self._thread.start()

    def wrote(self, connection: sqlite3.Connection) -> None:
        """To be called by the writer, between two transactions. Raises nothing: what was written is written.

        Its own part: only who writes finds a log that is copied to its very end, and only such a log begins anew.
        """
        if self._long:
            self._long = False
            _copied(connection)
        try:
            changes = connection.total_changes
        except sqlite3.Error:  # It was closed meanwhile: the next one is counted.
            return
        if abs(changes - self._seen) >= ROWS:
            self._seen = changes
            self._due.set()

    def close(self) -> None:
        """Once what is under way is copied."""
        self._closed.set()
        self._due.set()
        self._thread.join(CLOSING_SECONDS)

    def _run(self) -> None:
        try:
            connection = sqlite3.connect(self._path)
        except sqlite3.Error as error:
            log.warning("the write-ahead log of %s is left to whose commits fill it: %s", self._path.name, error)
            return
        with closing(connection):
            while self._due.wait() and not self._closed.is_set():
                self._due.clear()
                self._long = _copied(connection) >= LONG
                self._closed.wait(REST_SECONDS)


def _copied(connection: sqlite3.Connection) -> int:
    """How many pages the log has, copied or not; 0 where that could not be."""
    try:
        _, pages, _ = connection.execute(_COPY).fetchone()
    except sqlite3.Error as error:  # The disk is full, say: the log keeps it all, and there will be a next time.
        log.warning("the write-ahead log could not be copied back: %s", error)
        return 0
    return int(pages)
