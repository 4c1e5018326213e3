"""Stores that keep themselves, and processes that hold deleted files: measured, told and restarted for real."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.instance import INSTANCE
from graph.fakes import FakeClock
from graph.ports import InvalidStep
from graph.records import PlanStep, Resource, SshAccess
from graph.resources import Cleanup
from tests.tools.supervised import Supervisor, running_supervisord
from tools.actions import ActionContext
from tools.actions.catalogue import Catalogue
from tools.clients.host import CommandResult
from tools.clients.memory import Answer, MemoryHosts
from tools.clients.transports import TransportHosts

KEY = "0193a1b2-0000-7000-8000-00000000002a:1:0"
BY_SSH = Resource(
    id="inst-1",
    kind="Instance",
    address="10.0.0.5",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    services=("web",),
    cleanup=Cleanup(restart_units=("courier",), journal_keep_mib=64),
)


def catalogue(answers: dict[str, Answer] | None = None) -> Catalogue:
    # no folder for claims is made: these hosts are in memory
    return Catalogue(ActionContext(MemoryHosts(answers or {"": "journal 0 0\n"}), FakeClock(), marker_root="/m"))


async def completed(known: Catalogue, action: str, resource: Resource = BY_SSH, **params: Any) -> PlanStep:
    return await known.complete(resource, INSTANCE, PlanStep(action=action, params=params))


# -- journal and package cache -----------------------------------------------------------------------------


async def test_the_journal_is_vacuumed_to_what_the_resource_says_before_it_is_rotated() -> None:
    step = await completed(catalogue(), "vacuum_journal")
    vacuum = "sudo -n journalctl --vacuum-size=64M"
    rotate = "sudo -n journalctl --rotate --vacuum-size=64M"
    assert step.rendered == f"ops@10.0.0.5:22$ {vacuum}; {rotate} || {{ sleep 2; {rotate}; }}"


@pytest.mark.parametrize(
    ("action", "answer", "says"),
    [
        ("vacuum_journal", "journal 0 200000\n", None),
        ("vacuum_journal", "journal 0 4000\n", "only 4000 KiB"),
        ("vacuum_journal", "", "does not tell"),
        ("clean_package_cache", "package_cache 0 50000\n", None),
        ("clean_package_cache", "package_cache 0 12\n", "is empty"),
        ("clean_package_cache", CommandResult("", 1, "", "du: not found", 0.1), "du: not found"),
    ],
)
async def test_a_store_is_told_to_keep_less_only_where_it_keeps_more(
    action: str, answer: Answer, says: str | None
) -> None:
    known = catalogue({"": answer})
    objection = await known.precondition(BY_SSH, await completed(known, action))
    assert objection is None if says is None else says in str(objection)


async def test_the_shell_that_measures_the_journal_tells_what_is_beyond(tmp_path: Path) -> None:
    hosts = TransportHosts()
    known = Catalogue(ActionContext(hosts, FakeClock(), marker_root=str(tmp_path / "marks")))
    local = BY_SSH.model_copy(update={"transport": "local", "ssh": None})
    for action in ("vacuum_journal", "clean_package_cache"):
        baseline = await known.baseline(local, await completed(known, action, local))
        assert isinstance(baseline["kib"], int) and baseline["kib"] >= 0
    await hosts.close()


async def test_a_package_cache_that_is_to_be_kept_is_not_named() -> None:
    kept = BY_SSH.model_copy(update={"cleanup": Cleanup(package_cache=False)})
    with pytest.raises(InvalidStep, match="package_cache: false"):
        await completed(catalogue(), "clean_package_cache", kept)


# -- the holder of a deleted file --------------------------------------------------------------------------

HOLDER = {"pid": 4242, "started": 777, "name": "courier"}


async def test_only_declared_units_and_those_listed_for_it_are_restarted() -> None:
    for unit in ("web", "web.service", "courier.service"):
        assert "systemctl" in (await completed(catalogue(), "restart_holder", unit=unit, **HOLDER)).rendered
    with pytest.raises(InvalidStep, match=r"cleanup\.restart_units"):
        await completed(catalogue(), "restart_holder", unit="ssh", **HOLDER)


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "it's", "-x", '"'])
async def test_a_name_of_a_process_is_only_ever_compared(name: str) -> None:
    step = await completed(catalogue(), "restart_holder", unit="web", **{**HOLDER, "name": name})
    assert step.params["name"] == name


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with running_supervisord() as running:
        yield running


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Catalogue]:
    hosts = TransportHosts()
    yield Catalogue(ActionContext(hosts, FakeClock(), marker_root=str(tmp_path / "marks")))
    await hosts.close()


def seen(pid: int) -> dict[str, Any]:
    """A process as the evidence tells it."""
    folder = Path("/proc") / str(pid)
    started = (folder / "stat").read_text().rpartition(") ")[2].split()[19]
    return {"pid": pid, "started": int(started), "name": (folder / "comm").read_text().strip()}


async def test_a_process_that_holds_a_deleted_file_is_found_and_one_that_does_not_is_left_alone(
    supervisor: Supervisor, here: Catalogue, tmp_path: Path
) -> None:
    resource, ours = supervisor.resource(), seen(os.getpid())
    step = await completed(here, "restart_holder", resource, unit="web", **ours)
    with (tmp_path / "segment").open("wb") as held:
        held.write(b"x" * 5_000_000)
        held.flush()
        (tmp_path / "segment").unlink()
        assert await here.precondition(resource, step) is None
        baseline = await here.baseline(resource, step)
        assert baseline["kib"] >= 4000
    web = await completed(here, "restart_holder", resource, unit="web", **seen(supervisor.pid("web")))
    assert "holds no deleted file" in str(await here.precondition(resource, web))


@pytest.mark.parametrize("changed", [{"started": 1}, {"name": "other"}, {"pid": 4_190_000}])
async def test_a_process_that_is_not_the_one_seen_has_its_unit_left_alone(
    supervisor: Supervisor, here: Catalogue, changed: dict[str, Any]
) -> None:
    resource, before = supervisor.resource(), supervisor.pid("web")
    step = await completed(here, "restart_holder", resource, unit="web", **(seen(before) | changed))
    assert "no longer the one" in str(await here.precondition(resource, step))
    output = await here.run(resource, step, KEY, FakeClock().now())
    assert (output.status, supervisor.pid("web")) == ("failed", before)


async def test_the_unit_of_the_very_process_is_restarted(supervisor: Supervisor, here: Catalogue) -> None:
    resource, before = supervisor.resource(), supervisor.pid("web")
    step = await completed(here, "restart_holder", resource, unit="web", **seen(before))
    baseline = await here.baseline(resource, step)
    output = await here.run(resource, step, KEY, FakeClock().now())
    assert output.status == "succeeded", output.output
    assert supervisor.pid("web") not in (before, 0)
    assert (await here.probe(resource, step, KEY, baseline)).effect == "took_effect"
