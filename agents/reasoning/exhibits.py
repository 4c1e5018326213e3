"""Evidence → prompt text, within a budget: every call of a diagnosis shows it all again.

What was asked for is told whole. Of what was gathered each source has its say, with the facts that speak for a cause;
what room there is goes to other facts. What was looked at again is told once, as it is now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agents.reasoning.text import clip, shorten
from graph.facts import FactValue
from graph.reasoning import Inquiry
from graph.records import Evidence
from tools.condensing.plain_text import plain

MORE_CHARS = 500
"""For facts that speak for nothing, of all that was gathered. A source tells them when it is asked again."""
MORE_LATER_CHARS = 250
"""And once something was asked: by then they have led to a question."""
MORE_UNEXPLAINED_CHARS = 3_000
"""Where no fact speaks for any cause, so that any may matter."""
SPEAKING_CHARS = 600
WORDS_CHARS = 240
"""Of one source that was gathered."""
ANSWER_CHARS = 2_400
ANSWERS_CHARS = 9_000
"""Of one answer, and of all together."""
ASKED_CHARS = 200

Speaking = Mapping[str, Collection[str]]
"""Evidence id → the keys of its facts that speak for some cause."""


def exhibits(evidence: Sequence[Evidence], speaking: Speaking, inquiries: Sequence[Inquiry] = ()) -> str:
    """All of it, in its order. Its ids can be cited, whatever is told of it."""
    if not evidence:
        return "Evidence: none."
    began = min(item.observed_at for item in evidence)
    latest = {key: item for item in evidence if item.answers_inquiry for key in item.facts}
    asked = {inquiry.evidence_id: inquiry for inquiry in inquiries}
    told = [_told(item, latest, speaking.get(item.id, ())) for item in evidence]
    rooms = _rooms(told)
    parts = [f"Evidence, seen from {began.isoformat(timespec='seconds')} on:"]
    for each in told:
        item = each.item
        head, body = f"[{item.id}] {item.source} {item.status}", each.within(rooms[item.id])
        if item.answers_inquiry:
            seconds = (item.observed_at - began).total_seconds()
            head += f" {seconds:.0f} s later: {_question(item, asked.get(item.id))}"
        parts.append("\n".join(part for part in (head + body[0], *body[1:]) if part))
    return "\n\n".join(parts)


@dataclass(frozen=True)
class _Told:
    """What there is to tell of one piece of evidence: facts as lines, and what its source says in words."""

    item: Evidence
    speaking: Sequence[str]
    others: Sequence[str]
    words: str
    again: str
    """The ids of answers that tell some of its facts as they are now."""

    @property
    def wants(self) -> int:
        return sum(len(line) + 1 for line in self.others)

    def within(self, room: int) -> tuple[str, ...]:
        """What to add to the head, then facts before words: they are what a diagnosis rests on. `room` is for all of an
        answer, and for the other facts of what was gathered."""
        if self.item.answers_inquiry:
            first = shorten("\n".join(self.speaking), room // 2)
            words = shorten(self.words, room - len(first))
            room -= len(first) + len(words)
        else:
            first = shorten("\n".join(self.speaking), SPEAKING_CHARS)
            words = shorten(self.words, WORDS_CHARS)
        more = _fitting(self.others, room)
        hidden = len(self.others) - len(more)
        left_out = f" (+{hidden} facts)" if hidden else ""
        return f"{self.again}{left_out}", first, *more, words


def _told(item: Evidence, latest: Mapping[str, Evidence], keys: Collection[str]) -> _Told:
    def line(key: str, value: FactValue) -> str:
        return plain(f"{key} = {value}")

    mine = {key: value for key, value in item.facts.items() if latest.get(key, item) is item}
    ids = ", ".join(dict.fromkeys(latest[key].id for key in item.facts if key not in mine))
    return _Told(
        item,
        [line(key, value) for key, value in mine.items() if key in keys],
        [line(key, value) for key, value in mine.items() if key not in keys],
        plain(item.text),
        f" (again: {ids})" if ids else "",
    )


def _rooms(told: Sequence[_Told]) -> dict[str, int]:
    """Evidence id → its room. What one leaves of its share is the others'."""
    answers = [each for each in told if each.item.answers_inquiry]
    gathered = sorted((each for each in told if not each.item.answers_inquiry), key=lambda each: each.wants)
    rooms = {each.item.id: min(ANSWER_CHARS, ANSWERS_CHARS // len(answers)) for each in answers}
    left = MORE_LATER_CHARS if answers else MORE_CHARS
    if not any(each.speaking for each in told):
        left = MORE_UNEXPLAINED_CHARS
    for number, each in enumerate(gathered):
        share = left // (len(gathered) - number)
        rooms[each.item.id] = share
        left -= min(share, each.wants)
    return rooms


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    """As many as fit, whole, in their order."""
    kept = []
    for line in lines:
        if len(line) < room:
            kept.append(line)
            room -= len(line) + 1
    return kept


def _question(item: Evidence, inquiry: Inquiry | None) -> str:
    """What was asked of the tool: a model knows its own question better than the command that answered it."""
    if inquiry is None:
        return clip(item.asked, ASKED_CHARS)
    return clip(", ".join(f"{name}={value}" for name, value in inquiry.params.items() if value != ""), ASKED_CHARS)
