"""Text from outside made harmless and short, counted in bytes as models' limits are.

What shows nothing goes before secrets are looked for: a secret's name may hide behind it.
"""

from __future__ import annotations

import re
import unicodedata

from tools.redaction import redact

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_KEPT = frozenset("\n\t")
_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\))")
_FENCE = re.compile(r"`{3,}|~{3,}")
_DATA_MARK = re.compile(r"(?i)\b(BEGIN|END) DATA\b")
_EVIDENCE_ID = re.compile(r"(?m)^(\s{0,20})\[([EI]\d{1,4}(?:\.\d{1,4})?)\]")
_CUT = "…"


def plain(text: str) -> str:
    """Without secrets, terminal sequences and characters that show nothing (newline and tab stay), and without what
    could pass for the frame it is shown in: a fence, the mark of data, the head of another piece of evidence."""
    seen = _FENCE.sub("'''", clean(text))
    return _EVIDENCE_ID.sub(r"\1(\2)", _DATA_MARK.sub(r"\1-DATA", seen))


def clean(text: str) -> str:
    """Without secrets, terminal sequences and characters that show nothing; newline and tab stay."""
    seen = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    invisible = {ord(char): None for char in set(seen) - _KEPT if unicodedata.category(char) in _INVISIBLE}
    return redact(seen.translate(invisible) if invisible else seen)


def one_line(text: str, max_bytes: int) -> str:
    """Plain, on one line, of at most `max_bytes`."""
    return within(" ".join(plain(text).split()), max_bytes)


def size(text: str) -> int:
    """Bytes as UTF-8."""
    return len(text.encode("utf-8", "replace"))


def within(text: str, max_bytes: int) -> str:
    """At most `max_bytes` of UTF-8: the beginning, with `…` where something was cut."""
    if size(text) <= max_bytes:
        return text
    room = max_bytes - size(_CUT)
    if room < 0:
        return ""
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + _CUT


def ends_of(text: str, max_bytes: int) -> str:
    """Whole lines from the beginning and the end, a third and the rest, with how many were left out between."""
    if size(text) <= max_bytes:
        return text
    lines = text.splitlines()
    room = max_bytes - size(f"[… {len(lines)} lines left out …]\n")
    head = _fitting(lines, room // 3)
    used = sum(size(line) + 1 for line in head)
    tail = _fitting(lines[: len(head) - 1 if head else None : -1], room - used)[::-1]
    left_out = len(lines) - len(head) - len(tail)
    if not head and not tail:
        return within(text, max_bytes)
    return within("\n".join([*head, f"[… {left_out} lines left out …]", *tail]), max_bytes)


def _fitting(lines: list[str], max_bytes: int) -> list[str]:
    """The first that fit, each with its newline."""
    fitting = []
    for line in lines:
        max_bytes -= size(line) + 1
        if max_bytes < 0:
            break
        fitting.append(line)
    return fitting
