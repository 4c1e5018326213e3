"""Secrets never leave: not in prompts, logs, records or notifications.

Telemetry is hostile and large, so every pattern starts at a fixed word and what repeats is bounded or comes last:
the work stays linear in the length of the text. Rather too much is taken out than too little.
"""

from __future__ import annotations

import re

MASK = "[redacted]"

_NAMES = (
    r"passwords?|passwd|passphrase|secrets?|tokens?|credentials?|api[_-]?keys?|access[_-]?key|private[_-]?key|"
    r"auth[_-]?key|account[_-]?key|encryption[_-]?key|session[_-]?id|amz-signature|"
    # sudo logs the working directory as PWD=/…: no secret, and worth reading.
    r"pwd(?=[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?[^/\s])"
)
# What stands before the name needs no match: `DB_PASSWORD` is found by its end. `secret_key_base` goes on behind it.
_NAME = rf"(?:{_NAMES})(?:[_-][\w-]{{0,20}})?"
_GIVES = rf"{_NAME}[\"']?[ \t]{{0,3}}(?:=>|[:=])[ \t]{{0,3}}"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # `Authorization: Bearer …`, also in JSON and in a curl command.
    (
        re.compile(r"(?i)(authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:[a-z]{1,12} )?)[^\s\"']+"),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic) (?=[a-z+/_=.~-]{0,200}[0-9])[a-z0-9+/_=.~-]{8,}"), rf"\g<1> {MASK}"),
    (re.compile(r"(?i)(cookie:[ \t]{0,3})[^\n]+"), rf"\g<1>{MASK}"),
    # `scheme://user:password@host`
    (re.compile(r"(://[^\s:/@\"']{0,100}:)[^\s/@\"']{1,300}(?=@)"), rf"\g<1>{MASK}"),
    # `"password": "…"`, `password = '…'`: to the closing quote, or the end of the line where there is none.
    (re.compile(rf"(?i)({_GIVES}\")(?:[^\"\\\n]|\\.)+"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?i)({_GIVES}')(?:[^'\\\n]|\\.)+"), rf"\g<1>{MASK}"),
    # `password=…`, `password: …`, `?token=…&`: to the end of the word.
    (re.compile(rf"(?i)({_GIVES})(?![\"']?\[redacted\])[^\s&]+"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?i)(?<!\S)(--?[\w-]{{0,40}}?{_NAME} )(?![-\[])\S+"), rf"\g<1>{MASK}"),
    (re.compile(r"(?i)(identified by )'[^'\n]{1,300}'"), rf"\g<1>'{MASK}'"),
    # Known shapes of tokens, whatever they are called.
    (re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}(?![A-Z0-9])"), MASK),
    (re.compile(r"(?<![\w-])eyJ[\w-]{5,4096}\.[\w-]{5,4096}\.[\w-]*"), MASK),
    (
        re.compile(r"(?<![\w-])(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|[rs]k_live_|AIza|hvs\.)[\w.-]{16,}"),
        MASK,
    ),
)

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

# Terminal sequences whole, then whatever else is no text or turns its direction. Newline and tab stay.
_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\))")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def redact(text: str) -> str:
    """The text without secrets and without control characters (newline and tab stay)."""
    # First the characters that show nothing: a secret's name may hide behind them.
    text = _without_private_keys(_CONTROL.sub("", _TERMINAL.sub("", text)))
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _without_private_keys(text: str) -> str:
    """Without PEM blocks of private keys; one that has no end takes all that follows with it."""
    kept, position = [], 0
    while begin := _KEY_BEGINS.search(text, position):
        kept.append(text[position : begin.start()] + MASK)
        end = _KEY_ENDS.search(text, begin.end())
        if end is None:
            return "".join(kept)
        position = end.end()
    return "".join(kept) + text[position:]


def condense(text: str, max_chars: int) -> str:
    """At most `max_chars` characters: the beginning and, as the end tells more, the greater part of the end."""
    if len(text) <= max_chars:
        return text
    note = f"\n… [{len(text) - max_chars} characters and more left out] …\n"
    room = max_chars - len(note)
    if room <= 0:
        return text[:max_chars]
    head = room // 3
    return text[:head] + note + text[len(text) - (room - head) :]
