"""Where Patroni manages a cluster it is asked, and nothing is done behind its back. Spoken to over real HTTP, to a
server that answers as Patroni 3 documents; not to Patroni itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agents.database import DATABASE
from graph.facts import Facts
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, Resource, SshAccess
from graph.resources import Database
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.databases import make_databases
from tools.clients.memory import MemoryHosts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cluster(leader: str = "running", replica: str = "streaming", lag: int | str = 0) -> dict[str, Any]:
    """As `GET /cluster` of Patroni 3.0 gives it."""
    api = "http://127.0.0.1:8008/patroni"
    return {
        "members": [
            {"name": "db-1", "role": "leader", "state": leader, "api_url": api, "host": "192.0.2.1", "port": 5432,
             "timeline": 3},
            {"name": "db-2", "role": "replica", "state": replica, "api_url": api, "host": "192.0.2.2", "port": 5432,
             "timeline": 3, "lag": lag},
        ],
    }  # fmt: skip


@dataclass
class Patroni:
    """What it answers, and what it was told."""

    answer: dict[str, Any] = field(default_factory=cluster)
    told: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 200
    url: str = ""


@pytest.fixture
def patroni() -> Iterator[Patroni]:
    world = Patroni()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, json.dumps(world.answer))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            world.told.append((self.path, json.loads(body)))
            self._say(world.status, "done" if world.status == 200 else "failover is not possible: no good candidates")

        def _say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield world
    server.shutdown()
    server.server_close()


def member(name: str, url: str | None) -> Resource:
    database = Database(
        engine="postgresql", cluster="orders", role="primary" if name == "db-1" else "replica", port=5432,
        peers=("db-2",) if name == "db-1" else ("db-1",), patroni_url=url, data_dir="/srv/pg", os_user="postgres",
    )  # fmt: skip
    access = SshAccess(user="ops", key_file="k", known_hosts="h")
    address = "192.0.2.1" if name == "db-1" else "192.0.2.2"
    return Resource(id=name, kind="Database", address=address, ssh=access, services=("postgres",), database=database)


def catalogue(url: str | None, hosts: MemoryHosts | None = None) -> Catalogue:
    inventory = {f"Database/{name}": member(name, url) for name in ("db-1", "db-2")}
    context = ActionContext(hosts or MemoryHosts(), FakeClock(), inventory=inventory, databases=make_databases())
    return Catalogue(context)


async def test_a_restart_is_asked_of_patroni(patroni: Patroni) -> None:
    known, resource = catalogue(patroni.url), member("db-2", patroni.url)
    step = await known.complete(resource, DATABASE, PlanStep(action="patroni_restart"))
    assert step.rendered == f"{patroni.url}> POST /restart {{}}"
    patroni.answer = cluster(replica="start failed")
    assert await known.precondition(resource, step) is None
    baseline = await known.baseline(resource, step)
    assert (await known.run(resource, step, "k", NOW)).status == "succeeded"
    assert patroni.told == [("/restart", {})]
    patroni.answer = cluster()
    assert (await known.probe(resource, step, "k", baseline)).effect == "took_effect"


async def test_a_leader_is_never_made_anew_or_restarted_while_it_runs(patroni: Patroni) -> None:
    known, leader = catalogue(patroni.url), member("db-1", patroni.url)
    for action, says in (("patroni_reinitialize", "never made anew"), ("patroni_restart", "is the leader and runs")):
        step = await known.complete(leader, DATABASE, PlanStep(action=action))
        assert says in (await known.precondition(leader, step) or "")


async def test_a_replica_is_made_anew_only_from_a_leader_that_runs(patroni: Patroni) -> None:
    known, resource = catalogue(patroni.url), member("db-2", patroni.url)
    step = await known.complete(resource, DATABASE, PlanStep(action="patroni_reinitialize"))
    assert step.risk == "destructive"
    assert await known.precondition(resource, step) is None
    patroni.answer = cluster(leader="crashed")
    assert "no running leader" in (await known.precondition(resource, step) or "")


async def test_patroni_that_is_paused_or_silent_is_left_alone(patroni: Patroni) -> None:
    known, resource = catalogue(patroni.url), member("db-2", patroni.url)
    step = await known.complete(resource, DATABASE, PlanStep(action="patroni_restart"))
    patroni.answer = cluster() | {"pause": True}
    assert "paused" in (await known.precondition(resource, step) or "")
    gone = member("db-2", "http://127.0.0.1:9")
    silent = catalogue("http://127.0.0.1:9")
    step = await silent.complete(gone, DATABASE, PlanStep(action="patroni_restart"))
    assert "cannot be checked" in (await silent.precondition(gone, step) or "")


async def test_what_patroni_refuses_has_failed(patroni: Patroni) -> None:
    known, resource = catalogue(patroni.url), member("db-2", patroni.url)
    step = await known.complete(resource, DATABASE, PlanStep(action="patroni_restart"))
    patroni.status = 503
    done = await known.run(resource, step, "k", NOW)
    assert done.status == "failed" and "503" in done.output


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("resume_replay", {}),
        ("reload_replication", {}),
        ("restart_receiver", {"pid": 9, "started": "s"}),
        ("rebuild_postgres_replica", {"primary": "db-1"}),
        ("promote_postgres_replica", {"replica": "db-2"}),
    ],
)
async def test_our_own_repairs_are_refused_where_patroni_is_declared(action: str, params: dict[str, Any]) -> None:
    url = "http://127.0.0.1:8008"
    with pytest.raises(InvalidStep, match="Patroni manages"):
        await catalogue(url).complete(member("db-2", url), DATABASE, PlanStep(action=action, params=params))


@pytest.mark.parametrize("action", ["resume_replay", "rebuild_postgres_replica"])
async def test_our_own_repairs_are_refused_where_patroni_runs_though_nobody_declared_it(action: str) -> None:
    known, resource = catalogue(None, MemoryHosts({"pgrep": "812"})), member("db-2", None)
    params = {"primary": "db-1"} if action.startswith("rebuild") else {}
    step = await known.complete(resource, DATABASE, PlanStep(action=action, params=params))
    assert "Patroni runs on" in (await known.precondition(resource, step) or "")


def test_a_replica_that_patroni_manages_is_diagnosed_by_what_patroni_says() -> None:
    facts = {"patroni.reachable": True, "patroni.paused": False, "patroni.runs": False, "patroni.leads": False,
             "patroni.leader": "db-1", "patroni.state": "start failed", "repl.follows": True,
             "repl.applying": False}  # fmt: skip
    known = Facts.of([("E1", facts)])
    resource = member("db-2", "http://192.0.2.2:8008")
    found = {cause.name for cause in DATABASE.causes if cause.signature(known, resource)}
    assert found == {"patroni_member_broken"}


async def test_another_member_leads_only_where_nobody_does_and_it_lacks_nothing(patroni: Patroni) -> None:
    known, lost = catalogue(patroni.url), member("db-1", patroni.url)
    kind = replace(DATABASE, actions=(*DATABASE.actions, "patroni_failover"))
    step = await known.complete(lost, kind, PlanStep(action="patroni_failover", params={"replica": "db-2"}))
    assert "db-1 leads and runs" in (await known.precondition(lost, step) or "")
    patroni.answer = cluster(leader="crashed", replica="running", lag=4096)
    assert "lacks 4096 bytes" in (await known.precondition(lost, step) or "")
    patroni.answer = cluster(leader="crashed", replica="running", lag="unknown")
    assert "unknown number" in (await known.precondition(lost, step) or "")
    patroni.answer = cluster(leader="crashed", replica="running")
    assert await known.precondition(lost, step) is None


def test_a_server_that_patroni_runs_is_not_restarted_behind_its_back() -> None:
    crashed = {'unit.state{unit="postgres.service"}': "failed", 'unit.result{unit="postgres.service"}': "signal"}
    known = Facts.of([("E1", {"host.reachable": True} | crashed)])
    cause = next(cause for cause in DATABASE.causes if cause.name == "process_crashed")
    managed, own = member("db-1", "http://192.0.2.1:8008"), member("db-1", None)
    assert not [s for r in cause.remedies for s in r.steps(managed, "postgres.service", known)]
    assert [s for r in cause.remedies for s in r.steps(managed, "patroni.service", known)]
    assert [s for r in cause.remedies for s in r.steps(own, "postgres.service", known)]
