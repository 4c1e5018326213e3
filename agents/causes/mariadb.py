"""Why a MariaDB or MySQL server, or its replication, is in trouble.

What stopped on an event that can't be applied is never skipped: the replica would then differ from its primary without
anybody knowing. It is rebuilt.
"""

from __future__ import annotations

from dataclasses import replace

from agents.causes.idle_sessions import END_IDLE
from agents.causes.mariadb_remedies import ACTIONS as ACTIONS
from agents.causes.mariadb_remedies import (
    END_BLOCKER,
    ENGINES,
    FAIL_OVER,
    REBUILD,
    REBUILD_DAMAGED,
    REPOINT,
    RESTART,
    START,
)
from agents.causes.mariadb_signs import (
    access_refused,
    applier_blocked,
    applier_failed,
    applier_slow,
    binlog_lost,
    data_damaged,
    primary_out_of_reach,
    receiver_stalled,
    replication_stopped,
    sessions_idle,
    source_forgotten,
    source_out_of_reach,
    source_refuses_log,
    source_settings_broken,
)
from graph.facts import Facts
from graph.kind import Cause, Match
from graph.records import Resource


def _mine(cause: Cause) -> Cause:
    """For MariaDB and MySQL alone: facts of other engines bear the same names."""

    def signature(facts: Facts, resource: Resource) -> Match | None:
        database = resource.database
        return cause.signature(facts, resource) if database and database.engine in ENGINES else None

    return replace(cause, signature=signature)


CAUSES: tuple[Cause, ...] = tuple(
    _mine(cause)
    for cause in (
        Cause(
            "replication_stopped",
            "a replica's receiving or applying was stopped, without an error",
            "replication_lag",
            replication_stopped,
            (START,),
            human_must="find out who or what stops replication on it",
        ),
        Cause(
            "applier_blocked",
            "a session on the replica holds a lock that applying waits for",
            "replication_lag",
            applier_blocked,
            (END_BLOCKER,),
            human_must="find the session that holds the lock: `INSTALL SONAME 'metadata_lock_info'` makes it visible",
        ),
        Cause(
            "source_settings_broken",
            "the replica's settings do not lead to its declared primary",
            "replication_lag",
            source_settings_broken,
            (REPOINT,),
            human_must="set its source by hand: setting the declared one did not help",
        ),
        Cause(
            "source_forgotten",
            "a declared replica follows nobody",
            "replication_lag",
            source_forgotten,
            (REPOINT,),
            human_must="set its source by hand: setting the declared one did not help",
        ),
        Cause(
            "database_access_refused",
            "the database is up but does not let us in",
            "unknown",
            access_refused,
            human_must="check database.user and password_file of this resource, and from where that user may connect",
        ),
        Cause(
            "source_out_of_reach",
            "the replica's host can't reach its primary, which answers others",
            "replication_lag",
            source_out_of_reach,
            human_must="mend the network between the replica's host and its primary",
        ),
        Cause(
            "receiver_stalled",
            "the replica says it receives, and gets nothing",
            "replication_lag",
            receiver_stalled,
            (RESTART,),
            human_must="look at the link to its source: a new connection gets nothing either",
        ),
        Cause(
            "applier_failed",
            "applying stopped on an event that can't be applied: the replica differs from its primary",
            "replication_lag",
            applier_failed,
            (REBUILD,),
            human_must="rebuild the replica; skipping the event would hide that its data differs",
        ),
        Cause(
            "binlog_lost",
            "the primary no longer has the log the replica needs",
            "replication_lag",
            binlog_lost,
            (REBUILD,),
            human_must="rebuild the replica: what it lacks is gone",
        ),
        Cause(
            "source_refuses_log",
            "the primary fails to send its log",
            "replication_lag",
            source_refuses_log,
            human_must="look at the error in the evidence: the primary can't read or send its own log",
        ),
        Cause(
            "applier_slow",
            "the replica applies less than its primary writes",
            "replication_lag",
            applier_slow,
            human_must="more is written than the replica can apply: find the load, or allow parallel applying",
        ),
        Cause(
            "data_damaged",
            "the server does not start, as it can't open its own data",
            "service_down",
            data_damaged,
            (FAIL_OVER, REBUILD_DAMAGED),
            human_must="its data is damaged: restore it from a backup, or decide which replica's loss can be borne",
        ),
        Cause(
            "primary_out_of_reach",
            "the primary and the host beneath it are silent",
            "service_down",
            primary_out_of_reach,
            (FAIL_OVER,),
            human_must="bring the primary's host back, or make sure it takes no writes and promote a replica yourself",
        ),
        Cause(
            "sessions_idle",
            "sessions idle inside a transaction take up the connections",
            "connection_timeout",
            sessions_idle,
            (END_IDLE,),
            human_must="find the client that leaves its transactions open: its sessions come back",
        ),
    )
)
