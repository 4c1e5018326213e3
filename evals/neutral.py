"""Neutral identities: whose machines a case is about is nobody's business, and no name may hint at the answer.

One mapping for all files of a case, made in the order in which names are met: the same case gets the same names
every time, what was equal stays equal, and what was different stays different. Times stay as they are: the replay's
clock starts when the incident was received, so nothing in a case has to be moved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.neutral_shapes import PATTERN, Shapes
from evals.neutral_words import RESERVED, known_domain, known_program, known_service, known_user, stem
from graph.facts import fact_key, parse_key
from tools.redaction import redact

_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|\[?[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}\]?")
_OWN_FOLDERS = re.compile(r"(?<![\w}/])/(?:[r]oot|[w]ork)/")
"""Of whoever runs things on the machine that was recorded."""
_OURS = re.compile(
    r"(?:host|db|svc|proc|user|dir|group|zone|instance|volume|sg|asg|targets|cluster|slot|site|env|team|tenant|project|job)"
    r"[-_][a-z]{1,2}"
)
"""Who is called like this already keeps the name, where nobody else got it: what is neutral stays as it is."""
_LEAST_CHARS = 2
_LEAST_PART_CHARS = 4
_WORD = r"[A-Za-z0-9_]"
KEPT_KEYS = frozenset(
    {
        "kind", "transport", "severity", "issue_type", "resource_kind", "engine", "role", "status",
        "tool", "protocol", "interface", "region", "instance_types",
        "suspected_cause", "cause", "author", "actions", "outcome", "accepted_causes", "first_actions",
        "forbidden_actions", "mechanism", "traits", "ending", "difficulty", "by", "view", "probe", "until",
    }
)  # fmt: skip
"""What stands under these is of a fixed vocabulary."""


@dataclass
class Names:
    """The mapping of one case. First `give` what is known to be a name, then `text` and `tree` replace it anywhere."""

    _given: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        self._shapes = Shapes(lambda host: self._given.get(host.lower()))

    def give(self, sort: str, name: str | None, join: str = "-") -> None:
        """`sort` is what the neutral name begins with: `host`, `svc`, `user` … What means something to everybody, or is
        known by its shape, is left alone. Names that differ by case only are one."""
        key = (name or "").lower()
        if key in self._given or len(key) < _LEAST_CHARS or key in RESERVED or key.isdigit() or PATTERN.fullmatch(key):
            return
        self._given[key] = key if _OURS.fullmatch(key) and key not in self._taken else self._next(sort, join)
        self._taken.add(self._given[key])
        self._pattern = None

    def _next(self, sort: str, join: str) -> str:
        """The next name of that sort that is not taken."""
        while True:
            count = self._counts.get(sort, 0)
            self._counts[sort] = count + 1
            if (name := f"{sort}{join}{letters(count)}") not in self._taken:
                return name

    def call(self, name: str, other: str) -> None:
        """Give it this very name."""
        self._given[name.lower()] = other
        self._pattern = None

    def host(self, name: str | None) -> None:
        """A host by its name; of one in a domain its first label."""
        if not name or known_domain(name) or _ADDRESS.fullmatch(name):
            return
        self.give("host", name.partition(".")[0])

    def service(self, name: str | None) -> None:
        """A unit or service, with or without its ending."""
        if name and not known_service(name):
            self.give("svc", stem(name))

    def program(self, name: str | None) -> None:
        """A process by its name."""
        if name and not known_program(name):
            self.give("proc", name)

    def user(self, name: str | None) -> None:
        if name and not known_user(name):
            self.give("user", name, "_")

    def folders(self, path: str | None) -> None:
        """The parts of a path that not every machine has."""
        for part in path.split("/") if path and path.startswith("/") else ():
            if part and not known_service(part) and not known_user(part) and not part.startswith((".", "systemd")):
                self.give("dir", part)

    def text(self, text: str) -> str:
        """The text with neutral names, and once more without secrets."""
        return self._named().sub(self._replaced, _OWN_FOLDERS.sub("/srv/", redact(text)))

    def tree(self, value: Any, key: str = "") -> Any:
        """The same in anything made of JSON; keys of facts keep their name and get neutral labels."""
        if isinstance(value, str):
            return value if key in KEPT_KEYS or value.lower() in RESERVED else self.text(value)
        if isinstance(value, Mapping):
            if key == "facts":
                return {self.fact(name): self.tree(item) for name, item in value.items()}
            return {str(name): self.tree(item, str(name)) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item, key) for item in value]
        return value

    def fact(self, key: str) -> str:
        """A fact's key. Raises ValueError for what is none."""
        name, labels = parse_key(key)
        return fact_key(name, **{label: self.tree(value, label) for label, value in labels.items()})

    def _named(self) -> re.Pattern[str]:
        if self._pattern is None:
            ordered = sorted(self._given, key=lambda each: (-len(each), each))
            own = _alternatives(_WORD, "own", ordered)
            # `acmepay_requests_total` names it as well
            own += _alternatives("[A-Za-z0-9]", "part", [name for name in ordered if len(name) >= _LEAST_PART_CHARS])
            # shapes first: of a name in a domain, the whole is replaced
            self._pattern = re.compile(PATTERN.pattern + own)
        return self._pattern

    def _replaced(self, match: re.Match[str]) -> str:
        if match.lastgroup in ("own", "part"):
            made = self._given[match.group(0).replace("\\", "").lower()]
            return made if match.lastgroup == "own" else made.replace("-", "_")
        return self._shapes.replaced(match)


def _alternatives(inside: str, group: str, names: list[str]) -> str:
    """A pattern for the names where no character of a word stands beside them; in a URL they may follow upon %22."""
    if not names:
        return ""
    either = "|".join(_escapable(name) for name in names)
    return rf"|(?:(?<!{inside})|(?<=%[0-9A-Fa-f][0-9A-Fa-f]))(?P<{group}>(?i:{either}))(?!{inside})"


def _escapable(name: str) -> str:
    """A pattern for the name, also as it stands in a regular expression."""
    return re.sub(r"\\([.-])", r"\\\\{0,2}[\1]", re.escape(name)) if "\\" not in name else re.escape(name)


def letters(number: int) -> str:
    """a, b, … z, aa, ab, …"""
    said = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        said = chr(ord("a") + rest) + said
    return said


_SYSLOG = re.compile(
    r"^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,12}) ([\w.-]{2,64}) [\w./@-]{1,64}"
    r"(?:\[\d+\])?: ",
    re.MULTILINE,
)
_HOST_LABEL = re.compile(
    r"""\b(?:instance|resource_id|host|hostname|nodename)['"]?(?:=~?|: )\\?['"]"""
    r"""([A-Za-z0-9][\w.-]{1,100})(?::\d{1,5})?\\?['"]"""
)
_HOME = re.compile(r"/home/([A-Za-z_][\w.-]{0,31})")
_USER = re.compile(
    r"(?:\buser[= ]\"?|\bUser=|for invalid user |\bAccepted \w{1,20} for |\bFailed \w{1,20} for |\bsudo: +)"
    r"([A-Za-z_][\w.-]{1,31})"
)
_LABEL_SORTS: Mapping[str, Callable[[Names, str], None]] = {
    "unit": Names.service,
    "service": Names.service,
    "process": Names.program,
    "name": Names.program,
    "peer": lambda names, value: names.host(value.rpartition("/")[2]),
    "mount": Names.folders,
}
_HOST_LABELS = frozenset({"instance", "host", "hostname", "node", "nodename", "server", "target", "machine"})


def names_in_labels(names: Names, labels: Mapping[str, str]) -> None:
    """What an alert's labels name."""
    for label, value in sorted(labels.items()):
        if label in _HOST_LABELS and "://" not in value:
            names.host(re.sub(r":\d{1,5}$", "", value))
        elif label in ("name", "service", "unit"):
            names.service(value)
        elif label in ("cluster", "datacenter", "dc", "environment", "env", "team", "tenant", "project", "zone"):
            names.give(_PLACES.get(label, label), value)
        elif label == "job" and not known_service(value):
            names.give("job", value)


_PLACES = {"datacenter": "site", "dc": "site", "environment": "env"}


def names_in_facts(names: Names, facts: Iterable[str]) -> None:
    """What labels of facts name."""
    for key in facts:
        for label, value in sorted(parse_key(key)[1].items()):
            if (give := _LABEL_SORTS.get(label)) is not None:
                give(names, value)


def names_in_text(names: Names, text: str) -> None:
    """Hosts in the heads of log lines, and accounts."""
    for found in _SYSLOG.finditer(text):
        names.host(found.group(1))
    for found in _HOST_LABEL.finditer(text):
        names.host(found.group(1))
    for pattern in (_HOME, _USER):
        for found in pattern.finditer(text):
            names.user(found.group(1))
