"""Everything sent for a heal is on its record, byte for byte, with what it was for."""

from __future__ import annotations

from graph.doing import Purpose, doing, for_purpose, on_behalf_of
from graph.ports import SentCommand
from tests.server.world import RESOURCE, World
from tools.clients.memory import MemoryHosts
from tools.clients.recording import Recorder
from tools.clients.transports import TransportHosts

ODD = "printf '%s\\n' \"a  b\"\t; echo \N{SNOWMAN} 'x\ny'"


def hosts(world: World) -> TransportHosts:
    return TransportHosts(MemoryHosts({"": "ok"}), MemoryHosts(), Recorder(world.store, lambda: world.at))


async def told(world: World, incident_id: str) -> list[tuple[str, str, str, int]]:
    record = await world.store.incident(incident_id)
    assert record is not None
    return [(item["purpose"], item["step"], item["command"], item["count"]) for item in record["commands"]]


async def test_a_command_is_on_record_byte_for_byte_with_its_purpose_and_place(world: World) -> None:
    incident_id = await world.opened()
    with on_behalf_of(incident_id, "action", f"{incident_id}:1:0"):
        await hosts(world).run(RESOURCE, ODD)
        with for_purpose("probe"):
            await hosts(world).run(RESOURCE, "true")
    assert await told(world, incident_id) == [
        ("action", f"{incident_id}:1:0", ODD, 1),
        ("probe", f"{incident_id}:1:0", "true", 1),
    ]
    record = await world.store.incident(incident_id)
    assert record is not None
    assert record["commands"][0]["target"] == f"{RESOURCE.ssh.user}@{RESOURCE.address}:22" if RESOURCE.ssh else "local"


async def test_what_is_asked_again_and_again_is_counted_and_kept_once(world: World) -> None:
    incident_id, other = await world.opened(), "0190d0a0-0000-7000-8000-00000000000f"
    for each in (incident_id, incident_id, other):
        with on_behalf_of(each, "verification"):
            await hosts(world).run(RESOURCE, "systemctl show web")
    assert await told(world, incident_id) == [("verification", "", "systemctl show web", 2)]
    texts = await world.store._db.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM command_texts").scalar())
    assert texts == 1


async def test_outside_of_heals_nothing_is_recorded(world: World) -> None:
    incident_id = await world.opened()
    assert doing() is None
    with for_purpose("probe"):
        assert doing() is None
        await hosts(world).run(RESOURCE, "true")
    assert await told(world, incident_id) == []


async def test_a_command_is_recorded_before_it_is_sent_and_not_sent_where_it_cannot_be_recorded(world: World) -> None:
    sent: list[str] = []

    class Broken:
        async def sent(self, command: SentCommand) -> None:
            raise OSError("disk full")

    memory = MemoryHosts({"": "ok"})
    closed = TransportHosts(memory, MemoryHosts(), Recorder(Broken(), lambda: world.at))
    purpose: Purpose = "action"
    with on_behalf_of("i", purpose):
        try:
            await closed.run(RESOURCE, "systemctl restart web")
        except OSError as error:
            sent.append(str(error))
    assert (sent, list(memory.commands())) == (["disk full"], [])
