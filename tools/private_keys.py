"""Private keys go as a whole, also where only a part of one is there: the tail of a log may begin within."""

from __future__ import annotations

import re

from tools.secret_shapes import MASK

_LABEL = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_BEGINS = re.compile(rf"-{{4,5}} ?BEGIN {_LABEL}")
_ENDS = re.compile(rf"-{{4,5}} ?END {_LABEL}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{1,100}")
_WIDTH = 40
"""Keys are written in lines of 64 or 70; words of a log are shorter."""
_PUTTY = re.compile(r"(Private-Lines: \d{1,4}\n)(?:[A-Za-z0-9+/=]{1,100}(?:\n|$))+")
_PUTTY_MAC = re.compile(r"(Private-MAC: )[0-9a-fA-F]+")


def without_private_keys(text: str) -> str:
    """Without keys as PEM, OpenSSH and PuTTY write them; a block that has no end takes all that follows with it."""
    if "Private-" in text:
        text = _PUTTY_MAC.sub(rf"\1{MASK}", _PUTTY.sub(rf"\1{MASK}\n", text))
    if "PRIVATE KEY" not in text:
        return text
    kept, position = [], 0
    while begin := _BEGINS.search(text, position):
        kept.append(_without_tail_of_key(text[position : begin.start()]) + MASK)
        end = _ENDS.search(text, begin.end())
        if end is None:
            return "".join(kept)
        position = end.end()
    return "".join(kept) + _without_tail_of_key(text[position:])


def _without_tail_of_key(text: str) -> str:
    """Without the lines of Base64 that stand before an end that has no beginning."""
    end = _ENDS.search(text)
    if end is None:
        return text
    lines = text[: end.start()].split("\n")
    lines.pop()  # what stands on the line of the end itself, as a log's prefix
    if len(lines) > 1 and _last_of(lines[-1]) and _last_of(lines[-2]) >= _WIDTH:
        lines.pop()
    while lines and _last_of(lines[-1]) >= _WIDTH:
        lines.pop()
    return "".join(line + "\n" for line in lines) + MASK + text[end.end() :]


def _last_of(line: str) -> int:
    """How many characters of Base64 the line's last word has; 0 where it is something else."""
    words = line.rsplit(None, 1)
    return len(words[-1]) if words and _BASE64.fullmatch(words[-1]) else 0
