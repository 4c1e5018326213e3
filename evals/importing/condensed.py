"""Foreign evidence as pieces that can be read: series as their shapes, tables and answers as lines, all redacted,
without what could pass for a frame, and bounded as the state of a heal is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from evals.case import Recorded
from evals.importing.foreign import Measured, Piece
from graph.facts import FactValue
from tools.clients.prometheus import Series
from tools.condensing.plain_text import one_line, plain, size, within
from tools.condensing.series_shape import shape_of, shapes_of
from tools.evidence.context import whole
from tools.redaction import condense

MOST_PIECES = 24
"""Of one case that have no home: a reasoner reads them all at once."""
PIECE_BYTES = 290
"""What the state keeps of the text of one source."""
RAW_CHARS = 16 * 1024
ASKED_BYTES = 200
UNSEEN = "what fills it was not recorded; "
_RAW_POINTS = 120
_GENERIC = "imported"


def of_source(source: str, facts: Mapping[str, FactValue], told_by: Sequence[Measured], ends: datetime) -> Recorded:
    """What one source of ours would have told, of the series that tell it."""
    series = [_named(each) for each in told_by]
    note = UNSEEN if any(key.startswith("disk.over") for key in facts) else ""
    in_words = one_line("; ".join(f"{key} = {value}" for key, value in facts.items()), PIECE_BYTES)
    words = shapes_of(series, PIECE_BYTES - size(note), ends) if series else in_words
    asked = ", ".join(dict.fromkeys(each.name.metric for each in told_by)) or "the imported case"
    return Recorded(
        tool=source,
        asked=one_line(f"imported: {asked}", ASKED_BYTES),
        at_seconds=0,
        text=within(note + words, PIECE_BYTES),
        facts=dict(facts),
        raw=_raw(series),
    )


def without_home(measured: Sequence[Measured], pieces: Sequence[Piece], ends: datetime) -> tuple[Recorded, ...]:
    """One Recorded a piece, `imported.<area>`, `imported.<area>.2` …; what goes beyond MOST_PIECES is counted in the
    last."""
    areas = list(dict.fromkeys([*(each.area for each in pieces), *(each.area for each in measured)]))
    told: list[Recorded] = []
    for index, area in enumerate(areas):
        room = max(1, (MOST_PIECES - len(told)) // (len(areas) - index))
        if len(told) >= MOST_PIECES:
            break
        told += _of_area(area, measured, pieces, ends, room)
    return tuple(told)


def lines_of(value: Any) -> tuple[str, ...]:
    """An answer as lines: a text as it is, a list an item a line, an object a key a line."""
    if isinstance(value, str):
        return tuple(value.splitlines())
    if isinstance(value, list):
        return tuple(_compact(item) for item in value)
    if isinstance(value, dict):
        return tuple(f"{key}: {_compact(item)}" for key, item in value.items())
    return (_compact(value),)


def area_of(name: str) -> str:
    """A foreign name as part of a tool's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or "unnamed"


def _of_area(
    area: str, measured: Sequence[Measured], pieces: Sequence[Piece], ends: datetime, room: int
) -> Iterator[Recorded]:
    series = [_named(each) for each in measured if each.area == area]
    mine = [piece for piece in pieces if piece.area == area]
    ranked = sorted(series, key=lambda each: (_steady(each), each.labels.get("__name__", "")))
    lines = [*(line for piece in mine for line in piece.lines), *(shape_of(each, ends) for each in ranked)]
    raw = condense("\n".join([*(piece.raw or "\n".join(piece.lines) for piece in mine), _raw(series)]), 4 * RAW_CHARS)
    asked = one_line(
        "; ".join(dict.fromkeys(piece.asked for piece in mine)) or f"imported series of {area}", ASKED_BYTES
    )
    texts = list(_packed(lines, room))
    for number, text in enumerate(texts, 1):
        name = f"{_GENERIC}.{area_of(area)}" + (f".{number}" if number > 1 else "")
        yield Recorded(
            tool=name,
            asked=asked,
            at_seconds=0,
            status="observed" if text else "no_data",
            text=text,
            raw=condense(whole(raw), RAW_CHARS).strip() if number == 1 else "",
        )


def _packed(lines: Sequence[str], most: int) -> Iterator[str]:
    """Lines into texts of PIECE_BYTES, at most so many; the last says how many lines were left out."""
    left = [one_line(line, PIECE_BYTES - 40) for line in lines if line.strip()]
    if not left:
        yield ""
        return
    for number in range(1, most + 1):
        text: list[str] = []
        room = PIECE_BYTES - (40 if number == most else 0)
        while left and size(left[0]) + 1 <= room:
            room -= size(left[0]) + 1
            text.append(left.pop(0))
        if number == most and left:
            text.append(f"(+ {len(left)} lines left out)")
        if text:
            yield within("\n".join(text), PIECE_BYTES)
        if not left:
            return


def _named(each: Measured) -> Series:
    """With its metric, or its whole expression, as what it is called; labels that this tells already are left out."""
    text, metric = each.name.text, each.name.metric
    bare = bool(metric) and (text == metric or text.startswith(f"{metric}{{"))
    name = metric if bare else one_line(text, 80)
    labels = {key: value for key, value in each.labels.items() if bare or f'"{value}"' not in name}
    return Series({**labels, "__name__": name}, each.series.points)


def _steady(series: Series) -> bool:
    return len({value for _, value in series.points}) <= 1


def _raw(series: Sequence[Series]) -> str:
    parts = (
        f"{dict(each.labels)}: " + " ".join(f"{at:%H:%M:%S}={value:g}" for at, value in each.points[-_RAW_POINTS:])
        for each in series
    )
    return condense(whole("\n".join(parts)), RAW_CHARS).strip()


def _compact(value: Any) -> str:
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":")))
