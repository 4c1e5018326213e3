"""Streaming replication of PostgreSQL: what a replica tells of itself, and what its primary knows of it.

Secrets stand in `primary_conninfo`, so it is taken apart here and its password goes nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.clients.databases.database import ReplicationStatus, Row, Session
from tools.clients.databases.postgres_text import conninfo_parts

# to_jsonb keeps one statement valid on versions that lack a column: pg_stat_wal_receiver has flushed_lsn since 13 and
# received_lsn before, and wal_status of slots is new in 13.
# pg_blocking_pids knows nothing of the startup process, which is no backend: pg_locks tells whose locks it waits for.
REPLICA = """\
with holders as materialized (select h.pid from pg_locks w
 join pg_stat_activity p on p.pid = w.pid and p.backend_type = 'startup'
 join pg_locks h on h.granted and h.pid <> w.pid and h.locktype = w.locktype
  and h.database is not distinct from w.database and h.relation is not distinct from w.relation
  and h.objid is not distinct from w.objid and h.virtualxid is not distinct from w.virtualxid
 where not w.granted)
select pg_is_in_recovery() as in_recovery,
 case when pg_is_in_recovery() then pg_is_wal_replay_paused() end as paused,
 pg_last_wal_receive_lsn()::text as receive_lsn, pg_last_wal_replay_lsn()::text as replay_lsn,
 pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 as unapplied,
 extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as replayed_ago,
 current_setting('primary_conninfo') as conninfo, current_setting('primary_slot_name') as slot,
 (select system_identifier::text from pg_control_system()) as system_id,
 (select timeline_id from pg_control_checkpoint()) as timeline,
 r.pid as receiver_pid, r.status as receiver_status, r.latest_end_lsn::text as latest_end_lsn,
 extract(epoch from clock_timestamp() - r.last_msg_receipt_time)::float8 as heard_ago,
 (select backend_start::text from pg_stat_activity where pid = r.pid) as receiver_started,
 s.pid as startup_pid, s.wait_event_type as startup_wait_type, s.wait_event as startup_wait,
 b.pid as blocker_pid, b.backend_start::text as blocker_started, b.usename as blocker_user,
 extract(epoch from clock_timestamp() - coalesce(b.xact_start, b.query_start))::float8 as blocker_seconds,
 lower(substring(b.query from '[A-Za-z]{1,20}')) as blocker_what
 from (select 1) as one
 left join pg_stat_wal_receiver r on true
 left join pg_stat_activity s on s.backend_type = 'startup'
 left join lateral (select a.* from pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
  and (a.pid in (select pid from holders) or (s.wait_event like 'RecoveryConflict%' and a.backend_xmin is not null))
  order by (a.pid in (select pid from holders)) desc, a.xact_start limit 1) b on true"""

_STANDBY = """\
select pg_is_in_recovery() as in_recovery,
 (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as lsn,
 (select system_identifier::text from pg_control_system()) as system_id,
 (select timeline_id from pg_control_checkpoint()) as timeline,
 %s::text as slot, l.slot_name is not null as slot_exists, l.active as slot_active,
 to_jsonb(l) ->> 'wal_status' as wal_status,
 pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
  l.restart_lsn)::float8 as retained,
 (select min(right(name, 16)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') as oldest_wal,
 (select setting::bigint from pg_settings where name = 'wal_segment_size') as segment_bytes,
 w.pid as sender_pid, w.state as sender_state,
 pg_wal_lsn_diff(pg_current_wal_lsn(), w.replay_lsn)::float8 as behind,
 pg_wal_lsn_diff(pg_current_wal_lsn(), w.sent_lsn)::float8 as unsent
 from (select 1) as one
 left join pg_replication_slots l on l.slot_name = %s
 left join lateral (select * from pg_stat_replication s
  where host(s.client_addr) = %s or s.application_name = %s
  or s.pid in (select active_pid from pg_replication_slots where slot_name = %s)
  order by s.backend_start desc limit 1) w on not pg_is_in_recovery()"""


def standby_statement() -> str:
    """What a primary is asked about one replica: places for its slot (twice), address, id and slot."""
    return _STANDBY


@dataclass(frozen=True)
class PostgresReplication(ReplicationStatus):
    """A replica as it tells itself. Positions are as the server writes them (`0/3000148`)."""

    paused: bool = False
    receive_lsn: str = ""
    replay_lsn: str = ""
    replayed_ago: float | None = None
    """Seconds since the last transaction it replayed was committed: no lag where nothing is written."""
    receiver_pid: int | None = None
    receiver_started: str = ""
    receiver_status: str = ""
    heard_ago: float | None = None
    """Seconds since the last message of the primary came in."""
    conninfo_host: str = ""
    conninfo_port: str = ""
    slot: str = ""
    system_id: str = ""
    timeline: int = 0
    startup_pid: int | None = None
    startup_wait: str = ""
    blocker: Session | None = None
    """The session on this replica that its replay waits for."""


@dataclass(frozen=True)
class Standby:
    """One replica as its primary sees it. `behind` and `unsent` are bytes, None where it is not connected."""

    is_primary: bool
    lsn: str
    system_id: str
    timeline: int
    slot_exists: bool
    slot_active: bool
    wal_status: str
    retained_bytes: int | None
    sender_pid: int | None
    sender_state: str
    behind: int | None
    unsent: int | None
    oldest_wal: int | None = None
    """Where the oldest of its log that is still there begins, in bytes since the beginning."""

    def still_has(self, lsn: str) -> bool | None:
        """Whether its log from that position on is still there; None where nobody knows."""
        try:
            return None if self.oldest_wal is None else lsn_bytes(lsn) >= self.oldest_wal
        except ValueError:
            return None


def parse_replica(row: Row) -> PostgresReplication:
    """From the one row of REPLICA."""
    info = conninfo_parts(str(row["conninfo"] or ""))
    host, port = str(info.get("host", "")), str(info.get("port", "5432"))
    receiving = row["receiver_status"] == "streaming"
    unapplied = _int(row, "unapplied")
    waits = str(row["startup_wait"] or "")
    replayed_ago = _float(row, "replayed_ago")
    return PostgresReplication(
        receiving=receiving,
        applying=not row["paused"],
        # A replica that got nothing new has nothing to be behind with, as far as it knows itself.
        lag_seconds=(0.0 if unapplied in (0, None) else replayed_ago) if receiving else None,
        lag_bytes=unapplied,
        source=f"{host}:{port}" if host else "",
        paused=bool(row["paused"]),
        receive_lsn=str(row["receive_lsn"] or ""),
        replay_lsn=str(row["replay_lsn"] or ""),
        replayed_ago=replayed_ago,
        receiver_pid=_int(row, "receiver_pid"),
        receiver_started=str(row["receiver_started"] or ""),
        receiver_status=str(row["receiver_status"] or ""),
        heard_ago=_float(row, "heard_ago"),
        conninfo_host=host,
        conninfo_port=port,
        slot=str(row["slot"] or ""),
        system_id=str(row["system_id"] or ""),
        timeline=_int(row, "timeline") or 0,
        startup_pid=_int(row, "startup_pid"),
        startup_wait=waits,
        blocker=_blocker(row),
    )


def parse_standby(row: Row) -> Standby:
    """From the one row of the statement for primaries."""
    return Standby(
        is_primary=not row["in_recovery"],
        lsn=str(row["lsn"] or ""),
        system_id=str(row["system_id"] or ""),
        timeline=_int(row, "timeline") or 0,
        slot_exists=bool(row["slot_exists"]),
        slot_active=bool(row["slot_active"]),
        wal_status=str(row["wal_status"] or ""),
        retained_bytes=_int(row, "retained"),
        sender_pid=_int(row, "sender_pid"),
        sender_state=str(row["sender_state"] or ""),
        behind=_int(row, "behind"),
        unsent=_int(row, "unsent"),
        oldest_wal=_segment_start(row),
    )


def lsn_bytes(lsn: str) -> int:
    """`1/3000148` as a number of bytes since the beginning. Raises ValueError."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


DEAD_SLOTS = """\
select slot_name as name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as retained,
 slot_type as type from pg_replication_slots
 where not active and restart_lsn is not null and not pg_is_in_recovery() order by restart_lsn limit 8"""
"""Slots nobody uses, with how many bytes of log each keeps; those that keep most come first."""


def _segment_start(row: Row) -> int | None:
    """From the last 16 digits of a segment's name (its log and its number therein) and the size of segments."""
    name, size = str(row["oldest_wal"] or ""), _int(row, "segment_bytes")
    if len(name) != 16 or not size:
        return None
    return (int(name[:8], 16) << 32) + int(name[8:], 16) * size


def newest_lsn(seen: PostgresReplication) -> str:
    """The furthest position a replica has: what it received, or has replayed without receiving it itself."""
    known = [lsn for lsn in (seen.receive_lsn, seen.replay_lsn) if lsn]
    return max(known, key=lsn_bytes, default="0/0")


def _blocker(row: Row) -> Session | None:
    if row["blocker_pid"] is None:
        return None
    return Session(
        id=int(row["blocker_pid"]),
        started=str(row["blocker_started"]),
        user=str(row["blocker_user"] or ""),
        seconds=max(0.0, _float(row, "blocker_seconds") or 0.0),
        what=str(row["blocker_what"] or ""),
    )


def _int(row: Mapping[str, Any], name: str) -> int | None:
    return None if row[name] is None else int(row[name])


def _float(row: Mapping[str, Any], name: str) -> float | None:
    return None if row[name] is None else float(row[name])
