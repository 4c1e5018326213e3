"""Orders to a host's power, told with a host of paper: what is asked of it, and what is done when it doesn't obey."""

from __future__ import annotations

import signal
import threading

import pytest

from evals.lab.power import SIGPOWEROFF, Power
from evals.lab.stage import LabError


class PaperHost:
    """A host that obeys signals unless it hangs; `did` is what happened to it."""

    name = "paper"
    address = "192.0.2.1"

    def __init__(self, hung: bool = False, powered: bool = True) -> None:
        self.hung = hung
        self.powered = powered
        self.did: list[str] = []
        self.boots = 1
        self.booting = threading.Event()
        self.booting.set()
        self.broken = False

    def leader(self) -> int | None:
        return self.boots if self.powered else None

    def up_seconds(self) -> float:
        return 100.0 if self.powered else 0.0

    def boot(self) -> None:
        self.booting.wait(5)
        if self.broken:
            raise LabError("no power supply")
        if not self.powered:
            self.did.append("boot")
            self.powered, self.hung = True, False
            self.boots += 1

    def cut_power(self) -> None:
        self.did.append("cut")
        self.powered = False

    def signal_init(self, signum: int) -> bool:
        if not self.hung and signum == signal.SIGINT:
            self.did.append("own reboot")
            self.boots += 1
        elif not self.hung and signum == SIGPOWEROFF:
            self.did.append("own shutdown")
            self.powered = False
        return True

    def shutting_down(self) -> bool:
        return False

    def console(self) -> bytes:
        return b""

    def give_cpus(self, most: int | None) -> int:
        self.did.append(f"{most} CPUs")
        return most or 2


def _power(host: PaperHost) -> Power:
    return Power(host, grace=0.0)


def test_a_host_that_obeys_reboots_by_itself() -> None:
    host = PaperHost()
    power = _power(host)
    assert power.reboot()
    power.settle()
    assert (host.did, power.state()) == (["own reboot"], "running")


def test_a_hung_host_is_rebooted_by_the_plug() -> None:
    host = PaperHost(hung=True)
    power = _power(host)
    assert power.reboot()
    power.settle()
    assert (host.did, power.state()) == (["cut", "boot"], "running")


def test_a_stopped_host_is_not_rebooted() -> None:
    host = PaperHost(powered=False)
    assert not _power(host).reboot()
    assert host.did == []


@pytest.mark.parametrize(
    ("hung", "force", "did"),
    [(False, False, ["own shutdown"]), (True, False, ["cut"]), (False, True, ["cut"])],
)
def test_stopping_asks_first_unless_forced_or_hung(hung: bool, force: bool, did: list[str]) -> None:
    host = PaperHost(hung=hung)
    power = _power(host)
    assert power.stop(force)
    power.settle()
    assert (host.did, power.state(), power.stopped_by) == (did, "stopped", "cloud")


def test_while_a_host_is_being_started_it_is_pending_and_takes_no_other_order() -> None:
    host = PaperHost(powered=False)
    host.booting.clear()
    power = _power(host)
    assert power.start()
    assert power.state() == "pending"
    assert not power.stop()
    assert not power.reboot()
    host.booting.set()
    power.settle()
    assert power.state() == "running"


def test_a_host_started_again_is_no_longer_stopped_by_the_cloud() -> None:
    power = _power(PaperHost())
    power.stop()
    power.settle()
    power.start()
    power.settle()
    assert power.stopped_by == "guest"


def test_an_order_that_fails_is_told_to_whoever_waits_for_it() -> None:
    host = PaperHost(powered=False)
    host.broken = True
    power = _power(host)
    assert power.start()
    with pytest.raises(LabError, match="no power supply"):
        power.settle()
    assert power.state() == "stopped"
