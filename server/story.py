"""An incident's record as a story for a terminal: what broke, how we know, what was done, that it holds.

Everything here may stem from hostile telemetry, so all text is stripped of control characters and none is markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

COLOURS = {
    "mitigated": "green",
    "self_resolved": "green",
    "escalated": "red",
    "declined": "yellow",
    "waiting_approval": "yellow",
    "succeeded": "green",
    "pass": "green",
    "fail": "red",
    "failed": "red",
    "refused": "yellow",
    "unknown": "yellow",
    "pending": "yellow",
}
Record = Mapping[str, Any]

COMMAND_CHARS = 2000
"""Of one command in a terminal; the record has it whole."""


def story(record: Record) -> RenderableType:
    """The whole story of one incident, as `GET /api/incidents/{id}` gives it."""
    parts: list[RenderableType] = [_summary(record)]
    if timeline := record.get("timeline"):
        parts += [Text(), _timeline(timeline, start_of(record))]
    return Panel(Group(*parts), title=_title(record), title_align="left", border_style=_colour(state_of(record)))


def listing(records: Iterable[Record]) -> RenderableType:
    """One line an incident, newest first as given."""
    table = Table(box=None, pad_edge=False)
    for heading in ("#", "received (UTC)", "resource", "state", "what"):
        table.add_column(heading, overflow="fold")
    for record in records:
        state = state_of(record)
        received = _time(record.get("received_at"))
        outcome = record.get("outcome") or {}
        what = (record.get("diagnosis") or {}).get("summary") or outcome.get("reason") or record.get("title", "")
        table.add_row(
            Text(str(record.get("number", "?"))),
            Text(f"{received:%m-%d %H:%M:%S}" if received else "?"),
            Text(plain(f"{record.get('resource_kind')}/{record.get('resource_id')}", 60)),
            Text(plain(state), _colour(state)),
            Text(plain(what, 100)),
        )
    return table


def commands_sent(record: Record) -> RenderableType:
    """Every command that was sent for the incident, in order: what for, where to, how often."""
    table = Table(title="commands sent", box=None, pad_edge=False, title_justify="left", title_style="bold")
    for heading in ("for", "to", "times", "command"):
        table.add_column(heading, overflow="fold")
    for sent in record.get("commands") or ():
        table.add_row(
            Text(plain(sent["purpose"])),
            Text(plain(sent["target"])),
            Text(str(sent["count"])),
            Text(plain(sent["command"], COMMAND_CHARS)),
        )
    return table


def timeline_line(entry: Record, start: datetime | None) -> Text:
    """`+0.3s  diagnose  suspects process_crashed: …  (runbook)`."""
    line = Text(f"{_since(start, _time(entry.get('at'))):>9}  ", "cyan")
    line.append(f"{plain(entry.get('node', '')):<15} ", "not cyan bold")
    return line.append_text(_sentence(entry))


def _timeline(entries: Sequence[Record], start: datetime | None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="cyan", no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for entry in entries:
        table.add_row(_since(start, _time(entry.get("at"))), plain(entry.get("node", ""), 20), _sentence(entry))
    return table


def _sentence(entry: Record) -> Text:
    text = Text(plain(entry.get("sentence", ""), 600), "not cyan")
    author = plain(entry.get("author", ""), 60)
    return text.append(f"  ({author})", "dim") if author and author != "self-heal" else text


def state_of(record: Record) -> str:
    """The outcome where there is one, else the phase."""
    return str((record.get("outcome") or {}).get("status") or record.get("phase") or "unknown")


def start_of(record: Record) -> datetime | None:
    return _time(record.get("received_at"))


def plan_lines(plan: Record) -> Iterator[Text]:
    """A plan's steps as they would run, with their risk."""
    for index, step in enumerate(plan.get("steps") or (), 1):
        line = Text(f"{index}. {plain(step.get('rendered') or step.get('action'), 400)}")
        line.append(f"  {plain(step.get('risk', ''))}", "yellow")
        yield line
        if why := plain(step.get("why", ""), 200):
            yield Text(f"   {why}", "dim")


def plain(value: object, limit: int = 300) -> str:
    """One line of printable characters: nothing a terminal would obey."""
    text = " ".join(str(value if value is not None else "").split())
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def duration(seconds: float) -> str:
    """`0.42 s`, `12.3 s`, `4 min 05 s`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _title(record: Record) -> Text:
    state = state_of(record)
    # First how it stands: what is too long for the terminal is cut at its end.
    title = Text(f" #{record.get('number', '?')} ")
    title.append(plain(state.replace("_", " ")), f"bold {_colour(state)}")
    times = (record.get("outcome") or {}).get("times") or {}
    ended, start = _time(times.get("verified") or times.get("closed")), start_of(record)
    if ended and start:
        title.append(f" after {duration(max(0.0, (ended - start).total_seconds()))}")
    return title.append(f": {plain(record.get('title', ''), 120)} ")


def _summary(record: Record) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, lines in (
        ("What broke", _broke(record)),
        ("How we know", _known(record)),
        ("What was done", _done(record)),
        ("Does it hold", _holds(record)),
        ("The model", _model(record)),
        ("Storm", _storm(record)),
        ("Now", _now(record)),
        ("Kept", _kept(record)),
    ):
        found = list(lines)
        if found:
            table.add_row(heading, Group(*found))
    return table


def _broke(record: Record) -> Iterator[Text]:
    diagnosis = record.get("diagnosis")
    if diagnosis:
        line = Text(plain(diagnosis.get("summary")))
        cause, sure = plain(diagnosis.get("suspected_cause")), float(diagnosis.get("confidence") or 0)
        yield line.append(f"  ({cause}, {sure:.0%} sure, says {plain(diagnosis.get('author')) or '?'})", "dim")
    else:
        yield Text(plain(record.get("title", "")))


def _known(record: Record) -> Iterator[Text]:
    cited = set((record.get("diagnosis") or {}).get("evidence_ids") or ())
    for item in record.get("evidence") or ():
        if item.get("id") in cited:
            line = Text(f"{plain(item.get('id'))} {plain(item.get('source'))}: ", "dim")
            yield line.append(plain(item.get("text"), 240), "not dim")


def _done(record: Record) -> Iterator[Text]:
    for action in record.get("actions") or ():
        status = str(action.get("status") or "unknown")
        line = Text("undo: " if action.get("undo") else "")
        line.append(plain(action.get("rendered") or action.get("action"), 300))
        line.append(f"  {plain(status)}", _colour(status))
        started, finished = _time(action.get("started_at")), _time(action.get("finished_at"))
        if started and finished:
            line.append(f" in {duration((finished - started).total_seconds())}", "dim")
        if status not in ("succeeded", "pending") and action.get("output"):
            line.append(f": {plain(action['output'], 200)}")
        yield line


def _model(record: Record) -> Iterator[Text]:
    """`gpt-4.1: 3 calls, 4100 tokens in, 300 out, 5.20 s, ≈ $0.0110`."""
    if not (asked := record.get("model")):
        return
    names = ", ".join(plain(name, 60) for name in asked["models"])
    cost = f", ≈ ${asked['cost_usd']:.4f}" if asked["cost_usd"] is not None else ""
    tokens = f"{asked['input_tokens']} tokens in, {asked['output_tokens']} out"
    yield Text(f"{names}: {asked['calls']} calls, {tokens}, {duration(asked['seconds'])}{cost}", "dim")


def _storm(record: Record) -> Iterator[Text]:
    """The members of a storm, or the storm it is part of."""
    if not (storm := record.get("storm")):
        return
    if not storm["parent"]:
        over = f" ({plain(storm['ended_how'])})" if storm["ended_at"] else ""
        yield Text(f"#{storm['number']}{over}: {plain(storm['reason'], 400)}")
    for member in storm["members"]:
        line = Text(f"#{member['number']} {plain(member['resource'], 100)}  ")
        yield line.append(plain(state_of(member).replace("_", " ")), _colour(state_of(member)))
    if storm["spared"] and storm["parent"]:
        yield Text(f"not held, as it may be the cure: {plain(', '.join(storm['spared']))}", "dim")


def _kept(record: Record) -> Iterator[Text]:
    """That this is not all there was."""
    if said := compaction(record):
        yield Text(said, "dim")


def compaction(record: Record) -> str:
    """A sentence about what of the record is left; empty where all is."""
    if not (done := record.get("compacted")):
        return ""
    missing = [f"{number} {what}" for what, number in done["left_out"].items()]
    cut = f", without {' and '.join(missing)}" if missing else ""
    evidence = "its evidence is kept whole for its time"
    if done["evidence"] == "expired":
        evidence = f"its whole evidence expired on {plain(done['expired_at'])[:10]}"
    return f"details were compacted on {plain(done['at'])[:10]}{cut}; {evidence}"


def _holds(record: Record) -> Iterator[Text]:
    verification = record.get("verification")
    if not verification:
        return
    for criterion in verification.get("criteria") or ():
        status = str(criterion.get("status"))
        line = Text(f"{plain(criterion.get('name'))}: {plain(criterion.get('before') or '?', 100)} → ")
        yield line.append(plain(criterion.get("after") or "?", 100), _colour(status))
    if verification.get("reason") != (record.get("outcome") or {}).get("reason"):
        yield Text(plain(verification.get("reason")), "dim")


def _now(record: Record) -> Iterator[Text]:
    outcome = record.get("outcome")
    if outcome:
        if outcome.get("status") != "mitigated":
            yield Text(plain(outcome.get("reason"), 500))
        if (storm := record.get("storm") or {}).get("parent"):
            if not storm["ended_at"]:
                number = record.get("number")
                yield Text(f"selfheal release {number}   or   selfheal cancel {number}", "bold")
        elif taken := record.get("taken_over"):
            number, until = record.get("number"), plain(taken["until"])[11:16]
            yield Text(f"{plain(taken['by'], 80)} has it until {until} UTC; nothing of ours acts on it", "yellow")
            yield Text(f"selfheal retry {number}   or   selfheal close {number}", "bold")
        elif record.get("phase") in ("escalated", "declined"):
            number = record.get("number")
            yield Text("it keeps its resource until its alerts resolve, or:", "dim")
            yield Text(f"selfheal retry {number}   or   selfheal close {number}", "bold")
        return
    if asked := record.get("waiting_for"):
        number = record.get("number")
        yield Text(plain(record.get("wait_reason") or "waiting for approval"), "yellow")
        yield from plan_lines(asked["plan"])
        yield from _before_yes((asked.get("request") or {}).get("details") or {})
        yield Text(f"until {plain(asked.get('expires_at'))[:16].replace('T', ' ')} UTC:", "dim")
        yield Text(f"selfheal approve {number}   or   selfheal reject {number}", "bold")
        return
    phase = plain(str(record.get("phase", "")).replace("_", " "))
    yield Text(f"{phase}: {plain(record['wait_reason'], 500)}" if record.get("wait_reason") else phase)


def _before_yes(details: Record) -> Iterator[Text]:
    """What an answer should be weighed by: reach, undo, and what follows where nobody answers."""
    for name, told in (
        ("reaches", ", ".join(map(str, details.get("blast_radius") or ()))),
        ("undo", details.get("undo")),
        ("if nobody answers", details.get("if_unanswered")),
    ):
        if told:
            yield Text(f"{name}: {plain(told, 400)}", "dim")


def _since(start: datetime | None, at: datetime | None) -> str:
    if start is None or at is None:
        return "?"
    seconds = (at - start).total_seconds()
    if abs(seconds) < 600:
        return f"{seconds:+.2f}s"
    return f"{'+' if seconds >= 0 else '-'}{duration(abs(seconds)).replace(' ', '')}"


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def _colour(status: str) -> str:
    return COLOURS.get(status, "default")
