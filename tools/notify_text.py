"""Text of telemetry in messages to people: secrets out, and nothing in it that a chat or a mail program would obey.

What an alert's label says is shown in Slack, Teams or a mailbox: it must not call a whole channel, be a link, or look
like markup. So it is changed visibly, rather than escaped for each service: which of them escapes what is not ours.
"""

from __future__ import annotations

import re

from tools.redaction import redact

# What begins markup, a mention or an entity, and what stands for it. Lookalikes that no service gives a meaning.
_INERT = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "@": "(at)",
        "`": "'",
        "*": "\N{ASTERISK OPERATOR}",
        "~": "\N{TILDE OPERATOR}",
        "[": "(",
        "]": ")",
        "|": "\N{BROKEN BAR}",
        "\\": "\N{SET MINUS}",
    }
)
_ENTITY = re.compile(r"&(?=#?\w)")
_SCHEME = re.compile(r"(?<=[A-Za-z0-9+.-])://")
_OTHER_SCHEME = re.compile(r"\b(mailto|tel|sms|javascript|data|file):(?=\S)", re.I)
_TOP = "com|net|org|info|biz|io|co|me|app|dev|xyz|top|site|online|shop|link|live|club|icu|ru|cn|tk|de|uk|eu|us|zip|mov"
_HOST = re.compile(rf"\.(?=[A-Za-z]{{2,24}}[/?]|(?:{_TOP})\b)", re.I)
_WWW = re.compile(r"\bwww\.", re.I)
_EDGE = re.compile(r"(?<!\w)_+|_+(?!\w)")
_EMOJI = re.compile(r"(?<![0-9]):(?=[a-z0-9_+-]{1,40}:)")


def harmless(text: object, limit: int = 300) -> str:
    """One line of at most `limit` characters: redacted, without controls, mentions, markup or anything to click on."""
    line = " ".join(redact(str(text if text is not None else "")).split())
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    line = line[: 4 * limit]  # what is cut off below needs no care
    line = _ENTITY.sub("+", line)
    line = _SCHEME.sub(":\N{DIVISION SLASH}\N{DIVISION SLASH}", line)
    line = _OTHER_SCHEME.sub(r"\1: ", line)
    line = _WWW.sub("www\N{MIDDLE DOT}", line)
    line = _HOST.sub("\N{MIDDLE DOT}", line)
    line = _EMOJI.sub("\N{RATIO}", line)
    line = _EDGE.sub("-", line.translate(_INERT))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
