"""Faults of a real PostgreSQL pair: seen for what they are, mended by the first remedy, and the world asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.database import DATABASE
from graph.facts import Facts, FactValue
from graph.fakes import FakeClock
from graph.kind import Cause, Match
from graph.records import PlanStep, Resource, ServiceManagerAccess
from tests.tools.postgres_pair import PASSWORD, SLOT, Pair, _bin, owner, running_pair
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import DatabaseUnreachable, make_databases
from tools.clients.local import LocalHosts
from tools.clients.prometheus import Sample
from tools.evidence.context import EvidenceContext
from tools.evidence.database import status_facts
from tools.evidence.postgres_replication import look_at_postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.timeout(120)


@dataclass
class Remembered:
    """A Prometheus that remembers one position, or none."""

    position: int | None = None

    async def instant(self, query: str) -> tuple[Sample, ...]:
        return () if self.position is None else (Sample({}, NOW, float(self.position)),)


@dataclass
class Seen:
    """What was found and planned for one member."""

    cause: str
    steps: tuple[PlanStep, ...]
    facts: dict[str, FactValue]


@dataclass
class World:
    """Evidence and catalogue over the real pair."""

    pair: Pair
    tmp: Path
    prometheus: Remembered = field(default_factory=Remembered)

    def __post_init__(self) -> None:
        services = manager(self.pair)
        self.inventory = {
            key: resource.model_copy(update={"service_manager": services})
            for key, resource in self.pair.inventory.items()
        }
        context = ActionContext(
            LocalHosts(),
            FakeClock(),
            marker_root=str(self.tmp / "claims"),
            inventory=self.inventory,
            databases=make_databases(),
            prometheus=self.prometheus,
        )
        self.catalogue = Catalogue(context)

    def resource(self, name: str) -> Resource:
        return self.inventory[f"Database/{name}"]

    async def look(self, name: str) -> Seen:
        resource, databases = self.resource(name), make_databases()
        context = EvidenceContext(
            LocalHosts(), FakeClock(), None, databases=databases, inventory=self.inventory,  # type: ignore[arg-type]
            prometheus=self.prometheus,  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            own = status_facts(await databases["postgresql"].status(resource))
        except DatabaseUnreachable as error:
            own = {"db.accepting": False, "db.unreachable_how": error.how}
        facts: dict[str, FactValue] = (
            {"host.reachable": True} | dict(own) | dict((await look_at_postgres(context, resource)).facts)
        )
        known = Facts.of([("E1", facts)])
        found: list[tuple[float, Cause, Match]] = [
            (match.score, cause, match) for cause in DATABASE.causes if (match := cause.signature(known, resource))
        ]
        if not found:
            return Seen("unknown", (), facts)
        _, cause, match = max(found, key=lambda item: item[0])
        drafts = next((s for r in cause.remedies if (s := r.steps(resource, match.target, known))), ())
        steps = [await self.catalogue.complete(resource, DATABASE, draft) for draft in drafts]
        return Seen(cause.name, tuple(steps), facts)

    async def mend(self, name: str, seen: Seen) -> None:
        resource = self.resource(name)
        for index, step in enumerate(seen.steps):
            assert await self.catalogue.precondition(resource, step) is None
            baseline = await self.catalogue.baseline(resource, step)
            done = await self.catalogue.run(resource, step, f"{name}:{step.action}:{index}", NOW)
            assert done.status == "succeeded", done
            probe = await self.catalogue.probe(resource, step, f"{name}:{step.action}:{index}", baseline)
            assert probe.effect == "took_effect", probe

    async def refusal(self, name: str, action: str, **params: object) -> str:
        resource = self.resource(name)
        step = await self.catalogue.complete(resource, DATABASE, PlanStep(action=action, params=params))
        return await self.catalogue.precondition(resource, step) or ""


def manager(pair: Pair) -> ServiceManagerAccess:
    """What runs the replica here: as small as a manager of services can be."""
    data, log = pair.replica.data, pair.replica.data.with_suffix(".log")
    user = f"setpriv --reuid={owner()} --regid={owner()} --init-groups " if os.geteuid() == 0 else ""
    control = f"{user}{_bin()}/pg_ctl -D {data} -w"
    script = pair.folder / "ctl"
    script.write_text(
        "#!/bin/sh\ncd /tmp\ncase $3 in\n"
        f"stop) {control} -m fast stop ;;\n"
        # run by root, the copy is root's until it is given to whom the server runs as
        f"start) [ -z '{user}' ] || chown -R {owner()} {data}; {control} -l {log} start >/dev/null ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    return ServiceManagerAccess(name="supervisord", config="/dev/null", command=str(script))


@pytest.fixture
def world() -> Iterator[World]:
    with running_pair() as pair:
        assert pair.caught_up()
        yield World(pair, pair.folder.parent)


def until(true: object, seconds: float = 15.0) -> bool:
    """Whether what is asked comes true within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(true) and true():
            return True
        time.sleep(0.1)
    return False


@contextmanager
def session(pair: Pair, port: int, *statements: str) -> Iterator[None]:
    """Somebody who says this and stays."""
    command = ["psql", "-d", f"host=127.0.0.1 port={port} user=postgres dbname=postgres", "-Atq"]
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "HOME": "/tmp"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdin is not None
        process.stdin.write(("".join(f"{line};\n" for line in statements)).encode())
        process.stdin.flush()
        try:
            yield
        finally:
            process.kill()


async def test_a_pair_in_step_has_no_cause(world: World) -> None:
    assert (await world.look("db-2")).cause == "unknown"
    assert (await world.look("db-1")).cause == "unknown"


async def test_a_paused_replay_is_resumed(world: World) -> None:
    world.pair.replica.sql("select pg_wal_replay_pause()")
    world.pair.load()
    seen = await world.look("db-2")
    assert (seen.cause, [step.action for step in seen.steps]) == ("replay_paused", ["resume_replay"])
    await world.mend("db-2", seen)
    assert world.pair.caught_up()
    assert "not paused" in await world.refusal("db-2", "resume_replay")


async def test_a_stopped_receiver_is_replaced_and_its_server_goes_on(world: World) -> None:
    pid = int(world.pair.replica.sql("select pid from pg_stat_wal_receiver"))
    started = world.pair.replica.sql("select pg_postmaster_start_time()")
    os.kill(pid, signal.SIGSTOP)
    world.pair.load()
    seen = await world.look("db-2")
    assert (seen.cause, [step.action for step in seen.steps]) == ("receiver_stuck", ["restart_receiver"])
    await world.mend("db-2", seen)
    assert world.pair.caught_up()
    assert world.pair.replica.sql("select pg_postmaster_start_time()") == started
    assert "no longer its WAL receiver" in await world.refusal("db-2", "restart_receiver", **seen.steps[0].params)


async def test_broken_settings_are_set_again_and_the_password_stays_unseen(world: World) -> None:
    replica = world.pair.replica
    replica.sql(f"alter system set primary_conninfo = 'host=127.0.0.1 port=1 user=nobody password={PASSWORD}'")
    replica.sql("select pg_reload_conf()")
    world.pair.load()
    assert until(lambda: replica.sql("select count(*) from pg_stat_wal_receiver where status = 'streaming'") == "0")
    seen = await world.look("db-2")
    assert (seen.cause, [step.action for step in seen.steps]) == ("settings_broken", ["reload_replication"])
    assert PASSWORD not in seen.steps[0].rendered + str(seen.facts)
    await world.mend("db-2", seen)
    assert world.pair.caught_up()
    assert f"password={PASSWORD}" in replica.sql("select current_setting('primary_conninfo')")
    assert "already" in await world.refusal("db-2", "reload_replication")


async def test_a_query_that_blocks_replay_is_ended(world: World) -> None:
    world.pair.load()
    assert world.pair.caught_up()
    world.pair.replica.sql("alter system set max_standby_streaming_delay = -1")
    world.pair.replica.sql("select pg_reload_conf()")
    with session(world.pair, world.pair.replica.port, "begin isolation level repeatable read", "select count(*) from t",
                 "select pg_sleep(100)"):  # fmt: skip
        await asyncio.sleep(1.5)
        world.pair.primary.sql("drop table t")
        world.pair.primary.sql("create table t (i int)")
        world.pair.load()
        assert until(
            lambda: (
                world.pair.replica.sql(
                    "select count(*) from pg_stat_activity where backend_type = 'startup' and wait_event_type = 'Lock'"
                )
                == "1"
            )
        )
        seen = await world.look("db-2")
        assert (seen.cause, [step.action for step in seen.steps]) == ("replay_blocked", ["end_session"]), seen.facts
        await world.mend("db-2", seen)
    assert world.pair.caught_up()


def lose_slot(pair: Pair, recycle: bool) -> None:
    """The replica loses its slot, and where `recycle`, the log it needs."""
    conninfo = pair.replica.sql("select current_setting('primary_conninfo')").replace("'", "''")
    pair.replica.sql("alter system set primary_conninfo = 'host=127.0.0.1 port=1'")
    pair.replica.sql("select pg_reload_conf()")
    assert until(lambda: pair.primary.sql(f"select active from pg_replication_slots where slot_name='{SLOT}'") == "f")
    pair.primary.sql(f"select pg_drop_replication_slot('{SLOT}')")
    pair.load(50)
    for _ in range(6 if recycle else 0):
        pair.load(50)
        pair.primary.sql("select pg_switch_wal()")
        pair.primary.sql("checkpoint")
    pair.replica.sql(f"alter system set primary_conninfo = '{conninfo}'")
    pair.replica.sql("select pg_reload_conf()")
    time.sleep(1)


async def test_a_slot_that_is_gone_is_made_anew_while_its_log_is_there(world: World) -> None:
    lose_slot(world.pair, recycle=False)
    seen = await world.look("db-2")
    assert (seen.cause, [step.action for step in seen.steps]) == ("slot_lost", ["recreate_slot"]), seen.facts
    await world.mend("db-2", seen)
    assert world.pair.caught_up()
    assert "nothing to make" in await world.refusal("db-2", "recreate_slot")


async def test_a_replica_whose_log_is_gone_is_rebuilt_and_the_old_data_is_kept(world: World) -> None:
    lose_slot(world.pair, recycle=True)
    seen = await world.look("db-2")
    wanted = ["recreate_slot", "rebuild_postgres_replica"]
    assert (seen.cause, [step.action for step in seen.steps]) == ("wal_lost", wanted), seen.facts
    assert seen.steps[1].risk == "destructive"
    assert PASSWORD not in seen.steps[1].rendered
    await world.mend("db-2", seen)
    assert world.pair.caught_up()
    assert os.access(f"{world.pair.replica.data}.before", os.F_OK)
    assert (await world.look("db-2")).cause == "unknown"
    assert "earlier rebuild" in await world.refusal("db-2", "rebuild_postgres_replica", primary="db-1")


async def test_idle_sessions_that_take_the_connections_are_ended(world: World) -> None:
    pair = world.pair
    opened = [session(pair, pair.primary.port, "begin", "select 1") for _ in range(8)]
    for one in opened:
        one.__enter__()
    try:
        await asyncio.sleep(11)
        seen = await world.look("db-1")
        assert (seen.cause, [step.action for step in seen.steps]) == ("connections_exhausted", ["end_idle_sessions"])
        await world.mend("db-1", seen)
    finally:
        for one in opened:
            one.__exit__(None, None, None)


async def test_a_dead_slot_is_dropped_but_never_that_of_a_declared_member(world: World) -> None:
    pair = world.pair
    pair.primary.sql("select pg_create_physical_replication_slot('old', true)")
    for _ in range(6):
        pair.load(50)
        pair.primary.sql("select pg_switch_wal()")
    seen = await world.look("db-1")
    assert (seen.cause, [step.action for step in seen.steps]) == ("wal_retained", ["drop_slot"]), seen.facts
    assert seen.steps[0].risk == "destructive"
    await world.mend("db-1", seen)
    assert pair.primary.sql("select count(*) from pg_replication_slots") == "1"
    with pytest.raises(Exception, match="is the slot of Database/db-"):
        await world.refusal("db-1", "drop_slot", slot=SLOT)


async def test_a_lost_primary_is_replaced_only_by_a_replica_that_lacks_nothing(world: World) -> None:
    pair = world.pair
    pair.load()
    assert pair.caught_up()
    written = int(float(pair.primary.sql("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")))
    pair.primary.stop("immediate")
    (pair.primary.data / "global" / "pg_control").unlink()
    assert until(lambda: pair.replica.sql("select count(*) from pg_stat_wal_receiver where status='streaming'") == "0")
    unknown = await world.look("db-1")
    assert (unknown.cause, unknown.steps) == ("primary_lost", ())
    world.prometheus.position = written + 8192
    behind = await world.look("db-1")
    assert (behind.cause, behind.steps) == ("primary_lost", ())
    world.prometheus.position = written
    seen = await world.look("db-1")
    assert [step.action for step in seen.steps] == ["fence_primary", "promote_postgres_replica"]
    doubt = await world.catalogue.precondition(world.resource("db-1"), seen.steps[1])
    assert doubt is not None and "may still take writes" in doubt


# -- what is never done ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("resume_replay", {}),
        ("restart_receiver", {"pid": 2, "started": "2026"}),
    ],
)
async def test_a_replicas_repair_never_touches_a_primary(world: World, action: str, params: dict[str, object]) -> None:
    assert "is a primary now" in await world.refusal("db-1", action, **params)


async def test_a_replica_that_was_promoted_meanwhile_is_not_rebuilt(world: World) -> None:
    world.pair.replica.sql("select pg_promote()")
    assert "is a primary now" in await world.refusal("db-2", "rebuild_postgres_replica", primary="db-1")
    assert "is a primary now" in await world.refusal("db-2", "reload_replication")


async def test_nothing_is_copied_from_a_primary_that_is_silent_or_read_only(world: World) -> None:
    world.pair.primary.sql("alter system set default_transaction_read_only = on")
    world.pair.primary.sql("select pg_reload_conf()")
    assert until(lambda: world.pair.primary.sql("show default_transaction_read_only") == "on")
    assert "read-only" in await world.refusal("db-2", "rebuild_postgres_replica", primary="db-1")
    world.pair.primary.stop()
    assert "takes no connection" in await world.refusal("db-2", "rebuild_postgres_replica", primary="db-1")
    assert (await world.look("db-2")).cause == "primary_down"


async def test_a_primary_that_answers_is_neither_fenced_nor_replaced(world: World) -> None:
    assert "is not lost" in await world.refusal("db-1", "fence_primary", by="service")
    assert "is not lost" in await world.refusal("db-1", "promote_postgres_replica", replica="db-2")
