"""A log line taken apart: when, who, and what it says. journald's, syslog's, the kernel's, or with a stamp.

Lines are data: what has no known shape is all words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_ZONE = r"(?:Z|[+-]\d\d:?\d\d)?"
_JOURNAL = re.compile(
    rf"^\d{{4}}-\d\d-\d\dT(?P<at>\d\d:\d\d:\d\d)[\d.,]{{0,10}}{_ZONE} \S{{1,100}} "
    r"(?P<who>[^\s\[:]{1,100})(?:\[\d{1,10}\])?: (?P<says>.*)$"
)
_SYSLOG = re.compile(
    r"^[A-Z][a-z]{2} [ \d]\d (?P<at>\d\d:\d\d:\d\d) \S{1,100} (?P<who>[^\s\[:]{1,100})(?:\[\d{1,10}\])?: (?P<says>.*)$"
)
_STAMPED = re.compile(
    rf"^\[?\d{{4}}[-/]\d\d[-/]\d\d[T ](?P<at>\d\d:\d\d:\d\d)[\d.,]{{0,10}} ?{_ZONE}\]? (?P<who>)(?P<says>.*)$"
)
_KERNEL = re.compile(r"^\[ {0,10}(?P<at>\d{1,12}\.\d{1,9})\] (?P<who>)(?P<says>.*)$")

_GRAVE = re.compile(r"(?i)\b(?:fatal|panic|emerg|crit(?:ical)?|oom|out of memory|segfault|corrupt\w*|no space left)\b")
_ERROR = re.compile(
    r"(?i)error|exception|HTTP/[\d.]{1,3}\"? 5\d\d\b|\bstatus[=: ]{1,2}5\d\d\b|traceback|"
    r"\b(?:alert|fail(?:ed|ure|s|ing)?|cannot|can't|could not|unable|killed|denied|"
    r"refused|rejected|timed? ?out|abort(?:ed)?|crash(?:ed)?|unreachable|invalid|missing|not found|no such)\b"
)
_WARNING = re.compile(r"(?i)\b(?:warn(?:ing)?|retry(?:ing)?|slow|exceeded|exhausted|too many|deprecated)\b")

Gravity = Literal[0, 1, 2, 3]


@dataclass(frozen=True)
class LogLine:
    """`at` is the time of day or the kernel's seconds, empty where not told; `gravity` goes by the words alone."""

    at: str
    who: str
    says: str
    gravity: Gravity

    @property
    def words(self) -> str:
        """`nginx: bind() failed`"""
        return f"{self.who}: {self.says}" if self.who else self.says

    def __str__(self) -> str:
        return f"{self.at} {self.words}" if self.at else self.words


def parsed(line: str) -> LogLine:
    """Any line."""
    for shape in (_JOURNAL, _SYSLOG, _STAMPED, _KERNEL):
        if match := shape.match(line):
            return LogLine(match["at"], match["who"], match["says"].strip(), gravity_of(match["says"]))
    return LogLine("", "", line.strip(), gravity_of(line))


def gravity_of(says: str) -> Gravity:
    """3 for what ends services, 2 for errors, 1 for warnings, 0 for chatter."""
    if _GRAVE.search(says):
        return 3
    if _ERROR.search(says):
        return 2
    return 1 if _WARNING.search(says) else 0
