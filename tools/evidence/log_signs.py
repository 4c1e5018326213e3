"""What a service's last log lines say of why it ended: pure parsing, tried on tables of real lines.

Only the last run counts, since an old error says nothing of a new failure. A line is data: it may be quoted as the
reason, and that is all it can do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_JOURNAL = re.compile(
    r"^\d{4}-\d\d-\d\dT[\d:.,]+[+\-\dZ:]* (?P<host>\S+) (?P<who>[^\s\[:]+)(?:\[\d+\])?: (?P<says>.*)$"
)
_SUPERVISOR = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?:[A-Z]+) (?P<says>.*)$")

_STARTING = re.compile(r"^Starting\b")
_STARTED = re.compile(r"^Started\b|^spawned: ")
_ENDED = re.compile(
    r"Main process exited|Failed with result|^Stopped |^Failed to start|Deactivated successfully"
    r"|^exited: |^stopped: |^gave up: "
)
_EXIT = re.compile(r"Main process exited|^exited: ")
_STOPPING = re.compile(r"^Stopping\b|^waiting for .* to stop|^stopped: ")
_FAILED = re.compile(
    r"Failed with result|^Failed to start|^exited: |^gave up: |Main process exited, code=(killed|dumped)"
)
# A service that says it serves has got over whatever it complained of before.
_SERVES = re.compile(
    r"(?i)\b(listening (on|at)|ready (to accept|for) connections|accepting connections|server started)\b"
)

_OOM = re.compile(r"killed by the OOM killer|\boom-kill(er)?\b|Out of memory: Kill", re.I)
_ADDRESS = re.compile(
    r"address already in use|EADDRINUSE|bind\(\) to \S+ failed \(98|port \S+ is already (in use|allocated)", re.I
)
_SPACE = re.compile(r"no space left on device|ENOSPC|disk quota exceeded|disk (is )?full\b", re.I)
# A database that won't open its own files: of MariaDB and MySQL, and of PostgreSQL.
_DAMAGED = re.compile(
    r"Plugin 'InnoDB' registration as a STORAGE ENGINE failed|InnoDB: .*\b(corrupt|wrong space ID)"
    r"|could not locate a valid checkpoint record|invalid (primary )?checkpoint record"
    r"|could not (open|read) (control )?file \S*pg_control|control file contains invalid"
)

_BAD = (
    r"(?:errors?|invalid|fail(?:ed|ure)?|bad|unknown|unexpected|cannot|can't|could not|unable|missing|malformed|"
    r"unrecogni[sz]ed|not found|no such)"
)
_CONFIG = re.compile(
    rf"\bconfig(?:uration|s)?\b.{{0,80}}?\b{_BAD}\b|\b{_BAD}\b.{{0,60}}?\bconfig(?:uration|s)?\b"
    r"|\.(?:conf|cfg|ini|ya?ml|toml|json)\b.{0,40}?\b(?:line \d+|error|invalid|unknown|unexpected)\b"
    r"|JSONDecodeError|YAMLError|ScannerError|ParserError|TOMLDecodeError|MissingSectionHeaderError"
    r"|\b(?:syntax|parse|parsing) (?:error|failed)"
    r"|\b(?:failed|unable|error|cannot|could not)\b.{0,20}?\bpars(?:e|ing)\b"
    r"|\bunexpected (?:token|character|end of|identifier)|\bunknown (?:directive|option|key|lvalue|field|parameter)"
    r"|\binvalid (?:directive|option|value|argument|parameter|key|port|number of arguments)"
    r"|\bunrecogni[sz]ed (?:option|argument|directive|configuration parameter)|\[emerg\]|status=78/CONFIG",
    re.I,
)
_PLACE = re.compile(r"\bline \d+|:\d+(?::\d+)?\b|\bin /\S+")
_ERROR = re.compile(
    r"(?i)\b(fatal|panic|error|exception|traceback|critical|emerg|alert|fail(ed|ure)?|cannot|killed)\b|\[emerg\]"
)
_ACCESS = re.compile(r'"?(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) /\S* ?(?:HTTP/)?')

_MAX_LINE_CHARS = 2000
Who = Literal["manager", "service"]


@dataclass(frozen=True)
class LogLine:
    """One line: what it says, and whether the service itself or its manager says it."""

    who: Who
    says: str


@dataclass(frozen=True)
class LogSigns:
    """What the lines of the last run speak of. None for `stopped_by_request` where they tell of no end."""

    config_error: str | None = None
    last_error: str | None = None
    oom: bool = False
    address_in_use: bool = False
    no_space: bool = False
    data_damaged: bool = False
    stopped_by_request: bool | None = None
    ended: str | None = None
    """How the main process last ended, in the manager's words."""


def signs_in(text: str) -> LogSigns:
    """Signs in journalctl's short-iso lines, or in a program's own lines followed by supervisord's."""
    lines = last_run([_parsed(line) for line in text.splitlines() if line.strip()])
    service = [line.says for line in lines if line.who == "service" and not _ACCESS.search(line.says)]
    manager = [line.says for line in lines if line.who == "manager"]
    both = [*service, *manager]
    errors = [says for says in service if _ERROR.search(says)]
    return LogSigns(
        config_error=_config_error(service) or _config_error(says for says in manager if _refused_by_manager(says)),
        last_error=errors[-1] if errors else None,
        oom=any(_OOM.search(says) for says in both),
        address_in_use=any(_ADDRESS.search(says) for says in service),
        no_space=any(_SPACE.search(says) for says in both),
        data_damaged=any(_DAMAGED.search(says) for says in service),
        stopped_by_request=_stopped_by_request(manager),
        ended=next((says for says in reversed(manager) if _EXIT.search(says)), None),
    )


def last_run(lines: Sequence[LogLine]) -> list[LogLine]:
    """From where the service was last started; all lines where that is not told."""
    managed = [line for line in lines if line.who == "manager"]
    if managed and _SUPERVISOR_WORDS.match(managed[-1].says):
        return [*_since_it_served([line for line in lines if line.who == "service"]), *_since_start(managed)]
    return _since_start(lines)


_SUPERVISOR_WORDS = re.compile(
    r"^(spawned|exited|stopped|success|gave up|waiting for|reaped|received)\b|.*\bRUNNING state"
)


def _since_start(lines: Sequence[LogLine]) -> list[LogLine]:
    begin, starting = 0, False
    for index, line in enumerate(lines):
        if line.who != "manager":
            continue
        if _STARTING.search(line.says):
            begin, starting = index, True
        elif _STARTED.search(line.says):
            begin, starting = (begin if starting else index), False
        elif _ENDED.search(line.says):
            starting = False
    return list(lines[begin:])


def _since_it_served(lines: Sequence[LogLine]) -> list[LogLine]:
    """supervisord keeps a program's lines apart from its own, so only the program tells where its last run begins."""
    served = [index for index, line in enumerate(lines) if _SERVES.search(line.says)]
    return list(lines[served[-1] :] if served else lines)


def _parsed(line: str) -> LogLine:
    line = line[:_MAX_LINE_CHARS]
    if match := _JOURNAL.match(line):
        return LogLine("manager" if match["who"] in ("systemd", "kernel") else "service", match["says"].strip())
    if match := _SUPERVISOR.match(line):
        return LogLine("manager", match["says"].strip())
    return LogLine("service", line.strip())


def _config_error(lines: Iterable[str]) -> str | None:
    """The line that names what is wrong, best with the place it is wrong at."""
    found = [says for says in lines if _CONFIG.search(says) and not _ADDRESS.search(says) and not _SPACE.search(says)]
    found = [says for says in found if "[emerg]" not in says or "bind()" not in says]
    placed = [says for says in found if _PLACE.search(says)]
    best = placed or found
    return best[-1] if best else None


def _refused_by_manager(says: str) -> bool:
    """systemd's own complaints about a unit file, and the exit status that is kept for bad configuration."""
    return bool(re.search(r"status=78/CONFIG|Unknown (key|lvalue|section)|Refusing|bad unit file setting", says))


def _stopped_by_request(manager: Sequence[str]) -> bool | None:
    ended = [index for index, says in enumerate(manager) if _ENDED.search(says) or _STOPPING.search(says)]
    if not ended:
        return None
    asked = [index for index, says in enumerate(manager) if _STOPPING.search(says)]
    if not asked:
        return False
    return not any(_FAILED.search(says) for says in manager[asked[-1] :])
