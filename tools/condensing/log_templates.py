"""Many log lines as few patterns with counts: the telling ones first, and the newest lines as they are.

Patterns are mined with drain3. Its work grows with the lines, the patterns it compares with and the words of a line, so
all three are bounded: a log made to be slow is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tools.condensing.log_lines import LogLine, parsed
from tools.condensing.plain_text import plain, size, within

if TYPE_CHECKING:
    from drain3 import TemplateMiner

MAX_LINES = 2_000
MAX_LINE_CHARS = 400
_MAX_CHARS = 512 * 1024
_MAX_WORDS = 20
"""Of a line, those that patterns are told apart by."""
_MAX_PATTERNS = 64
"""Compared with at once; one unseen for longest is begun anew."""
_NEWEST = 3
_NEWEST_BYTES = 240
_EXAMPLE_BYTES = 200
_ENTRY_BYTES = 260
_NEWEST_MARK = "newest:"

# In this order; all lines they are tried on are short.
_MASKS: tuple[tuple[str, str], ...] = (
    (r"\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?", "time"),
    (r"\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?", "time"),
    (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "id"),
    (r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\w.])", "addr"),
    (r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}[0-9a-fA-F:]{1,20}(?![\w:])", "addr"),
    (r"\b0x[0-9a-fA-F]+\b", "hex"),
    (r"\b(?=[a-f]{0,40}\d)[0-9a-f]{8,}\b", "hex"),
    (r"\[\d+\]", "pid"),
    (r"(?<![A-Za-z0-9_])[-+]?\d+(?:\.\d+)?", "n"),
)


@dataclass(frozen=True)
class Pattern:
    """Lines that say the same but for what varies."""

    template: str
    lines: tuple[LogLine, ...]
    """Oldest first, at least one."""
    last_index: int
    """Of its newest line among all."""

    @property
    def telling(self) -> tuple[int, int, int]:
        """Sorts the most telling first: grave before chatter, rare before frequent, new before old."""
        return (-max(line.gravity for line in self.lines), len(self.lines), -self.last_index)


def condense_logs(text: str, max_bytes: int) -> str:
    """The log in at most `max_bytes` of UTF-8, redacted and harmless: as it is where it fits, else as patterns.

    `x12 14:08:01-14:09:55 nginx: connect to <addr> failed` with its first and last line where they differ. The same
    text gives the same answer. Imports drain3, and may take a good part of a second: call it in a thread.
    """
    cleaned = plain(text[-_MAX_CHARS:]).strip("\n")
    if size(cleaned) <= max_bytes:
        return cleaned
    kept = [line for line in cleaned.splitlines() if line.strip()]
    lines = [parsed(line[:MAX_LINE_CHARS]) for line in kept[-MAX_LINES:]]
    newest = _newest(lines, max_bytes)
    shown = range(len(lines) - len(newest), len(lines))
    patterns = [item for item in mined(lines) if len(item.lines) > 1 or item.last_index not in shown]
    patterns.sort(key=lambda item: item.telling)
    tail = "\n".join([_NEWEST_MARK, *newest])
    body = _told(patterns, len(kept) - len(lines), max_bytes - size(tail) - 1)
    return within("\n".join([*body, tail]) if body else "\n".join(newest), max_bytes)


def mined(lines: Sequence[LogLine]) -> tuple[Pattern, ...]:
    """The patterns of these lines, in the order they first came."""
    miner = _miner()
    members: dict[int, list[int]] = {}
    templates: dict[int, str] = {}
    for index, line in enumerate(lines):
        found = miner.add_log_message(_key(line))
        members.setdefault(found["cluster_id"], []).append(index)
        templates[found["cluster_id"]] = found["template_mined"]
    return tuple(
        Pattern(_without_key(templates[cluster]), tuple(lines[index] for index in indexes), indexes[-1])
        for cluster, indexes in members.items()
    )


def _miner() -> TemplateMiner:
    from drain3 import TemplateMiner

    return TemplateMiner(config=_config())


@lru_cache
def _config() -> object:
    """Made here: without one, drain3 looks for a file in the working directory."""
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.drain_sim_th = 0.6
    # Two words pick what a line is compared with: how grave it is, and who says it.
    config.drain_depth = 4 + 1
    config.drain_max_clusters = _MAX_PATTERNS
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in _MASKS]
    return config


def _key(line: LogLine) -> str:
    """What the line is told apart by. Its gravity comes first, or a failure would be counted among what went well."""
    words = line.words.split()
    more = ["…"] if len(words) > _MAX_WORDS else []
    return " ".join([f"g{'abcd'[line.gravity]}", *words[:_MAX_WORDS], *more])


def _without_key(template: str) -> str:
    return template.partition(" ")[2]


# -- telling -------------------------------------------------------------------------------------------


def _newest(lines: Sequence[LogLine], max_bytes: int) -> list[str]:
    """The last lines, oldest first; the very last in any case."""
    room = max_bytes * 2 // 5
    told: list[str] = []
    for line in reversed(lines[-_NEWEST:]):
        words = within(str(line), min(_NEWEST_BYTES, max(room, 0) if told else max_bytes))
        if told and size(words) < min(size(str(line)), 40):
            break
        told.append(words)
        room -= size(words) + 1
    return told[::-1]


def _told(patterns: Sequence[Pattern], lines_before: int, room: int) -> list[str]:
    """As many as fit, and a word on what did not."""
    entries = [_entry(item) for item in patterns]
    note_room = size(_note(patterns, lines_before)) + 1
    told: list[str] = []
    left_out: list[Pattern] = []
    for item, entry in zip(patterns, entries, strict=True):
        if size(entry) + 1 <= room - note_room:
            told.append(entry)
            room -= size(entry) + 1
        else:
            left_out.append(item)
    note = _note(left_out, lines_before)
    return [*told, note] if note and size(note) + 1 <= room else told


def _note(left_out: Sequence[Pattern], lines_before: int) -> str:
    lines = sum(len(item.lines) for item in left_out)
    parts = [f"{lines} lines of {len(left_out)} other patterns"] if left_out else []
    parts += [f"{lines_before} older lines"] if lines_before else []
    return f"(+ {' and '.join(parts)})" if parts else ""


def _entry(pattern: Pattern) -> str:
    first, last = pattern.lines[0], pattern.lines[-1]
    if len(pattern.lines) == 1:
        return within(str(first), _ENTRY_BYTES)
    head = f"x{len(pattern.lines)} {_span(first.at, last.at)}"
    if _all_same(line.words for line in pattern.lines):
        return within(f"{head}{last.words}", _ENTRY_BYTES)
    examples = (f"  {name}: {within(line.words, _EXAMPLE_BYTES)}" for name, line in (("first", first), ("last", last)))
    return "\n".join([within(f"{head}{pattern.template}", _ENTRY_BYTES), *examples])


def _span(first: str, last: str) -> str:
    if not first or first == last:
        return f"{last} " if last else ""
    return f"{first}-{last} "


def _all_same(words: Iterable[str]) -> bool:
    return len(set(words)) == 1
