"""`selfheal demo`: the main job on a real fault, on this machine, shown live and cleaned up after.

Real Prometheus, real Alertmanager, a real service; in the lab setting also a real host, hung and rebooted through its
provider. Nothing outside a folder of its own (and, in the lab, a network namespace) is touched.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from evals.lab.detect import kernel_refusal, lab_packages, lab_refusal
from evals.lab.faults import fault
from evals.lab.healer import Healer
from evals.lab.hosts import LabStage
from evals.lab.local import LocalStage, local_missing, local_packages
from evals.lab.packages import install_packages
from evals.lab.probing import free_port
from evals.lab.stage import Fault, LabError, Stage, StageOptions
from server.follow import Progress
from server.story import story

ACTS = {"lab": ("service_killed", "host_hung"), "local": ("service_killed",)}
ALERT_SECONDS = 60
HEAL_SECONDS = 240
ENDED = ("closed", "escalated", "declined")

app = typer.Typer(help="Break a real service and watch it being healed.", invoke_without_command=True)


@app.callback()
def demo(
    setting: Annotated[str, typer.Option(help="lab, local, or auto: the best this machine allows.")] = "auto",
    faults: Annotated[list[str] | None, typer.Option("--fault", help="Fault to cause; may be given again.")] = None,
) -> None:
    """Bring up a host and its monitoring, break it, show the heal live, and clean up."""
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="selfheal-demo-") as folder,
            _stage(setting, Path(folder), console) as up,
        ):
            stage, healer = up
            for name in faults or ACTS[stage.name]:
                _act(name, stage, healer, console)
    except LabError as error:
        console.print(f"the demo can't go on: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    console.print("\ncleaned up; nothing is left running", style="dim")


def choose(setting: str, say: Console) -> type[LabStage] | type[LocalStage]:
    """The setting to use, said in one line. Raises LabError where neither can run."""
    tell = partial(_dim, say)
    refusal: str | None = "local was asked for"
    if setting in ("auto", "lab"):
        if kernel_refusal() is None:
            _install(lab_packages(), tell)
        refusal = lab_refusal()
    if refusal is None:
        say.print("setting: [b]lab[/b] (a booted systemd host of its own, with a provider that can reboot it)")
        return LabStage
    if setting == "lab":
        raise LabError(refusal)
    _install(local_packages(), tell)
    if missing := local_missing():
        raise LabError("; ".join(f"{name} is missing: {command}" for name, command in missing))
    say.print(f"setting: [b]local[/b] (plain processes on this machine; no lab: {refusal})")
    return LocalStage


def _install(packages: list[str], say: Callable[[str], None]) -> None:
    """Install what is missing where we may; where we may not, the refusal that follows names it with its command."""
    with suppress(LabError):
        install_packages(packages, say)


def _dim(console: Console, text: str) -> None:
    console.print(text, style="dim", markup=False)


@contextmanager
def _stage(setting: str, folder: Path, console: Console) -> Iterator[tuple[Stage, Healer]]:
    """A stage with a healer on it; taken down whatever happens, a second Ctrl-C included."""
    kind = choose(setting, console)
    healer = Healer(folder / "healer", free_port())
    options = StageOptions(
        work=folder / "stage",
        webhook_url=healer.webhook_url,
        webhook_token_file=healer.webhook_token_file,
        say=partial(_dim, console),
    )
    stage: Stage = kind(options)
    try:
        began = time.monotonic()
        with console.status("bringing up the host, Prometheus and Alertmanager …"):
            stage.up()
            healer.configure(stage)
            stage.enter()
            healer.start()
        console.print(
            f"up in {time.monotonic() - began:.1f} s: {_hosts(stage)}, Prometheus, Alertmanager, selfheal serve"
        )
        yield stage, healer
    finally:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        with console.status("cleaning up …"):
            healer.stop()
            stage.leave()
            stage.down()
        signal.signal(signal.SIGINT, previous)


def _healed(what: Fault, stage: Stage, healer: Healer, console: Console, before: int) -> dict[str, Any]:
    """The heal of the fault, followed to its end. On a busy machine Prometheus may lose sight of the service for a
    moment, and with it of the alert: then the next one is waited for."""
    while True:
        opened = healer.wait_incident(lambda record: True, ALERT_SECONDS, after=before)
        record = _follow(healer, opened, console)
        status = (record["outcome"] or {}).get("status")
        if status != "self_resolved" or what.expected_outcome == status or stage.healthy(stage.hosts[0]):
            return record
        console.print("the alert resolved, though the service does not answer: waiting for the next one …")
        before = record["number"]


def _act(name: str, stage: Stage, healer: Healer, console: Console) -> None:
    what = fault(name)
    host = stage.hosts[0]
    console.rule(f"[b]{name}[/b]: {what.says}")
    before = max((item["number"] for item in healer.incidents()), default=0)
    broken_at = time.time()
    what.inject(stage, host)
    console.print(f"the service answers: [b]{'yes' if stage.healthy(host) else 'no'}[/b]; waiting for Prometheus …")
    record = _healed(what, stage, healer, console, before)
    console.print()
    # the timeline was shown as it happened
    console.print(story({**record, "timeline": []}))
    console.print(_times(record, broken_at))
    healthy = stage.healthy(host)
    console.print(f"asked the service itself, around Self-Heal: it answers: [b]{'yes' if healthy else 'no'}[/b]")
    status = (record["outcome"] or {}).get("status")
    if status != what.expected_outcome or healthy != (what.expected_outcome == "mitigated"):
        raise LabError(f"{name} should have ended as {what.expected_outcome}, it ended as {status}\n{healer.log()}")


def _follow(healer: Healer, opened: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show what happens as it happens, until the heal has ended."""
    reference = str(opened["number"])
    deadline = time.monotonic() + HEAL_SECONDS
    with healer.client() as client, Progress(console) as progress:
        while True:
            record = client.incident(reference)
            progress.show(record)
            if record["phase"] in ENDED and record["outcome"]:
                return record
            if time.monotonic() > deadline:
                raise LabError(f"#{reference} has not ended after {HEAL_SECONDS} s\n{healer.log()}")
            time.sleep(0.1)


def _times(record: dict[str, Any], broken_at: float) -> Table:
    """From the fault to the end, and between the nodes."""
    table = Table(title="times", box=None, title_justify="left", title_style="bold", show_header=False)
    times = {key: datetime.fromisoformat(value) for key, value in (record["times"] or {}).items() if value}
    received = times.get("received")
    if received is None:
        return table
    table.add_row("fault → webhook", f"{received.timestamp() - broken_at:.2f} s")
    for name, key in (("diagnosed", "diagnosed"), ("first action", "first_action"), ("verified", "verified")):
        if key in times:
            table.add_row(f"webhook → {name}", f"{(times[key] - received).total_seconds():.2f} s")
    if "closed" in times:
        table.add_row(
            f"webhook → {record['outcome']['status']}", f"{(times['closed'] - received).total_seconds():.2f} s"
        )
    return table


def _hosts(stage: Stage) -> str:
    return ", ".join(f"{host.resource_id} at {host.address}" for host in stage.hosts)


def _interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
