"""What MariaDB's answers mean: rows in, records out, no I/O.

Who blocks a replica's applying is only said where it is certain: a row lock, or a lock on a table by the plugin
`metadata_lock_info`, or the one session that has kept a transaction open for longer than the applier waits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tools.clients.databases.database import DatabaseStatus, ReplicationStatus, Row, Session

COUNTERS = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Uptime')"
LOCK_WAITS = (
    "SELECT r.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS holding "
    "FROM information_schema.innodb_lock_waits w "
    "JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id "
    "JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
)
LOCK_PLUGIN = (
    "SELECT plugin_name AS name FROM information_schema.plugins "
    "WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'"
)
LOCK_HOLDERS = "SELECT thread_id AS holding, lock_mode AS mode FROM information_schema.metadata_lock_info"

PASSING_ERRORS = (1205, 1213)
"""A lock not had in time, a deadlock: what was to be applied may well go through when tried again."""

_APPLIERS = ("Slave_SQL", "Slave_worker")
_NO_CLIENTS = ("Binlog Dump", "Binlog Dump GTID", "Daemon", *_APPLIERS, "Slave_IO")
_SERVERS_OWN = ("system user", "event_scheduler")
_MAX_ERROR_CHARS = 300

Running = Literal["yes", "no", "connecting"]


@dataclass(frozen=True)
class MariaDbReplication(ReplicationStatus):
    """How a replica of MariaDB or MySQL is fed. `receiver` and `applier` are its IO and its SQL thread."""

    receiver: Running = "no"
    applier: Running = "no"
    receiver_errno: int = 0
    receiver_error: str = ""
    applier_errno: int = 0
    applier_error: str = ""
    applier_state: str = ""
    source_host: str = ""
    source_port: int = 0
    source_user: str = ""
    uses_gtid: bool = False
    received_gtid: str = ""
    applied_gtid: str = ""
    own_writes: bool = False
    """It has logged writes of its own, which its source never had."""
    blocked_by: Session | None = None
    """Whose lock its applying waits for; None where nobody's, or where that is not certain."""
    waits_for_lock: bool = False
    receiver_state: str = ""
    receiver_id: int | None = None
    """The connection id of its receiver: another one after each start."""

    @property
    def received_to_the_end(self) -> bool:
        """Whether it receives, or did until its connection broke; one that was started since never got through."""
        broke = re.search(r"reconnect\w* after a failed (master|source) event read", self.receiver_state, re.IGNORECASE)
        return self.receiver == "yes" or (self.receiver == "connecting" and broke is not None)

    @property
    def all_applied(self) -> bool:
        """Whether everything it has received is applied."""
        return self.lag_bytes == 0 or bool(self.received_gtid and self.received_gtid == self.applied_gtid)


def status_of(
    variables: Row, counters: Sequence[Row], sessions: Sequence[Row], own_id: int, follows: bool
) -> DatabaseStatus:
    """One member as it is. It is a replica while it follows somebody or takes no writes."""
    counts = {str(row["Variable_name"]): int(str(row["Value"])) for row in counters}
    read_only = str(variables["read_only"]).lower() not in ("0", "off")
    clients = [row for row in sessions if _is_client(row) and row["id"] != own_id]
    idle = [row for row in clients if row["command"] == "Sleep" and row["trx_started"]]
    busy = [row for row in clients if row["command"] in ("Query", "Execute")]
    return DatabaseStatus(
        role="replica" if follows or read_only else "primary",
        writable=not read_only,
        version=str(variables["version"]),
        uptime_seconds=float(counts.get("Uptime", 0)),
        connections_used=counts.get("Threads_connected", 0),
        connections_max=int(str(variables["connections_max"])),
        idle_in_transaction=len(idle),
        oldest_idle=_longest(idle, "trx_seconds"),
        longest_query=_longest(busy, "seconds"),
        active=len(busy),
        blocked=sum(1 for row in clients if _waits(row)),
    )


def replication_of(row: Row, positions: Row, sessions: Sequence[Row]) -> MariaDbReplication:
    """A row of SHOW REPLICA STATUS, with the positions of its variables."""
    receiver, applier = _running(row["Slave_IO_Running"]), _running(row["Slave_SQL_Running"])
    same_log = row["Master_Log_File"] == row["Relay_Master_Log_File"]
    lag = int(str(row["Read_Master_Log_Pos"])) - int(str(row["Exec_Master_Log_Pos"])) if same_log else None
    behind = row["Seconds_Behind_Master"]
    errors = [_error(row, "Last_IO"), _error(row, "Last_SQL")]
    applied = str(positions["applied"] or "")
    return MariaDbReplication(
        receiving=receiver == "yes",
        applying=applier == "yes",
        lag_seconds=None if behind is None else float(behind),
        lag_bytes=lag,
        source=f"{row['Master_Host']}:{row['Master_Port']}",
        last_error=next((error for error in errors if error), ""),
        receiver=receiver,
        applier=applier,
        receiver_errno=int(str(row["Last_IO_Errno"])),
        receiver_error=errors[0],
        applier_errno=int(str(row["Last_SQL_Errno"])),
        applier_error=errors[1],
        applier_state=str(row.get("Slave_SQL_Running_State") or "")[:80],
        receiver_state=str(row.get("Slave_IO_State") or "")[:80],
        source_host=str(row["Master_Host"]),
        source_port=int(str(row["Master_Port"])),
        source_user=str(row["Master_User"]),
        uses_gtid=str(row.get("Using_Gtid", "No")) != "No" or str(row.get("Auto_Position", 0)) == "1",
        received_gtid=str(row.get("Gtid_IO_Pos") or ""),
        applied_gtid=applied,
        own_writes=_logged_itself(str(positions["logged"] or ""), str(positions["server_id"])),
        receiver_id=next((int(str(item["id"])) for item in sessions if item["command"] == "Slave_IO"), None),
        waits_for_lock=any(_waits(session) for session in sessions if session["command"] in _APPLIERS),
    )


def applier_waits(found: MariaDbReplication, sessions: Sequence[Row]) -> bool:
    """Whether its applying may be held up by a lock: only then is it worth asking who holds it."""
    return found.applying and (found.waits_for_lock or any(s["command"] in _APPLIERS for s in sessions if _waits(s)))


def blocker_of(
    found: MariaDbReplication, sessions: Sequence[Row], waits: Sequence[Row], holders: Sequence[Row], own_id: int
) -> MariaDbReplication:
    """With the session whose lock its applying waits for, where that is certain."""
    waiting = [row for row in sessions if row["command"] in _APPLIERS and _waits(row)]
    ids = {row["id"] for row in waiting}
    clients = [row for row in sessions if _is_client(row) and row["id"] != own_id and not _waits(row)]
    row_locks = {row["holding"] for row in waits if row["waiting"] in ids}
    table_locks = {row["holding"] for row in holders}
    since = max((float(str(row["seconds"])) for row in waiting), default=0.0)
    open_longer = [row for row in clients if row["trx_started"] and float(str(row["trx_seconds"])) >= since - 1]
    for suspects in (
        [row for row in clients if row["id"] in row_locks],
        [row for row in clients if row["id"] in table_locks],
        open_longer if len(open_longer) == 1 else [],
    ):
        if suspects:
            return replace(found, blocked_by=_longest(suspects, "seconds"))
    return found


def _running(value: object) -> Running:
    said = str(value).lower()
    return "yes" if said == "yes" else "no" if said == "no" else "connecting"


def _error(row: Row, what: str) -> str:
    return " ".join(str(row.get(f"{what}_Error") or "").split())[:_MAX_ERROR_CHARS]


def _logged_itself(gtids: str, server_id: str) -> bool:
    """Whether the last entry of a domain (`domain-server-sequence`) is of the server itself. MariaDB's GTIDs only."""
    return any(part.split("-")[1:2] == [server_id] for part in gtids.split(",") if part.count("-") == 2)


def _is_client(row: Row) -> bool:
    return row["user"] not in _SERVERS_OWN and row["command"] not in _NO_CLIENTS


def _waits(row: Row) -> bool:
    state = str(row["state"] or "")
    return row["trx_state"] == "LOCK WAIT" or (state.startswith("Waiting for") and state.endswith("lock"))


def _longest(rows: Sequence[Row], by: str) -> Session | None:
    """The one that is longest at it."""
    row = max(rows, key=lambda item: float(str(item[by] or 0)), default=None)
    if row is None:
        return None
    what = str(row["verb"] or "")[:20] if row["command"] != "Sleep" else "idle"
    return Session(int(str(row["id"])), str(row["started"]), str(row["user"]), float(str(row[by] or 0)), what)


def unsafe_to_promote(seen: MariaDbReplication, max_lag_bytes: int) -> str | None:
    """Why data would be lost by promoting it, or None. That it has received all its primary wrote can't be proven
    once that is lost; that it was receiving to the end, and has applied what it got, can."""
    if not seen.received_to_the_end:
        return "it was not receiving when its primary was lost: what it lacks is not known"
    if seen.applier != "yes":
        return f"it does not apply what it receives: {seen.applier_error[:120] or 'stopped'}"
    if seen.own_writes:
        return "it has writes of its own: its data is not its primary's"
    if not seen.all_applied and (seen.lag_bytes is None or seen.lag_bytes > max_lag_bytes):
        left = "an unknown number of" if seen.lag_bytes is None else str(seen.lag_bytes)
        return f"it has {left} bytes left to apply, and {max_lag_bytes} are allowed"
    return None


def missing(position: str, of: str) -> int | None:
    """How many transactions of position `of` are not in `position`, by MariaDB's GTIDs (`domain-server-sequence`, with
    commas between); None where one of them is no such position."""
    mine, theirs = _by_domain(position), _by_domain(of)
    if mine is None or theirs is None:
        return None
    return sum(max(0, sequence - mine.get(domain, 0)) for domain, sequence in theirs.items())


def _by_domain(position: str) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for part in filter(None, position.split(",")):
        match = re.fullmatch(r"(\d+)-\d+-(\d+)", part.strip())
        if match is None:
            return None
        found[match[1]] = max(int(match[2]), found.get(match[1], 0))
    return found
