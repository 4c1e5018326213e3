"""What a heal is given: the tools its reasoner may ask, and their answers on the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agents.instance import INSTANCE
from graph.fakes import FakeArchive
from graph.nodes.investigate import investigate
from graph.nodes.wrapper import Leg
from graph.ports import HealSettings, Inquiry
from graph.records import Incident
from graph.state import Heal
from server.settings import load
from server.wiring import deps_of, open_tools
from tests.server.world import World

LOCAL = "resources: [{id: inst-1, kind: Instance, address: 127.0.0.1, transport: local, services: [web]}]"


async def test_a_reasoner_may_ask_what_the_resource_can_answer_and_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text(LOCAL)
    world, settings = World(tmp_path), load(file)
    incident = Incident(
        id="0190", number=1, resource_kind="Instance", resource_id="inst-1", issue_types=("service_down",), alerts=(),
        received_at=world.at, resource=settings.resources[0],
    )  # fmt: skip
    async with open_tools(settings, world.store) as tools:
        deps = deps_of(INSTANCE, tools, world.store, world.store, (), HealSettings())
        assert deps.inquiries is not None
        offered = [spec.name for spec in deps.inquiries.specs(incident)]
        assert offered == ["logs", "host_probe", "prometheus_range", "prometheus_instant", "past_incidents"]
        asked = (Inquiry(tool="host_probe", params={"probe": "host"}), Inquiry(tool="logs", params={"unit": "sshd"}))
        heal = Heal(incident=incident, inquiries=asked)
        deps = replace(deps, archive=FakeArchive())
        first = await investigate(heal, deps, Leg("0190", 1))
        [answer] = first["evidence"]
        assert (answer.id, answer.source, answer.status) == ("I1", "host_probe", "observed")
        assert answer.facts["host.reachable"] is True
        second = await investigate(heal.model_copy(update=first), deps, Leg("0190", 1))
        assert second["evidence"][1].text == "logs: unit may be only web"
    await world.store.close()
