"""What the host of a PostgreSQL server tells that the server can't: whom it reaches, what it logged, whether its
data is there."""

from __future__ import annotations

import re
import shlex

from graph.facts import FactValue
from graph.records import Resource
from tools.clients.databases.database import database_of
from tools.clients.databases.postgresql_replication import PostgresReplication
from tools.clients.host import HostUnreachable
from tools.evidence.context import HOST_SECONDS, EvidenceContext, line, raw_of
from tools.evidence.mariadb_replication import reach_command
from tools.services.units import sudo

_ABOUT_REPLICATION = re.compile(r"(FATAL|ERROR|PANIC): .*(wal|replication|primary|slot|stream|standby|timeline)", re.I)
_PREFIX = re.compile(r"^.*?\b(FATAL|ERROR|PANIC): ")
_LOG_LINES = 60


async def host_facts(
    context: EvidenceContext, resource: Resource, primary: Resource | None, seen: PostgresReplication | None
) -> tuple[dict[str, FactValue], str]:
    """Facts repl.primary_reachable, repl.receiver_state, repl.error, db.data_present, as far as they can be told; and
    the whole answer."""
    command = host_command(resource, primary, seen)
    try:
        result = await context.hosts.run(resource, command, HOST_SECONDS)
    except HostUnreachable as error:
        return {}, str(error)
    return parse_host(result.stdout), raw_of(result)


def host_command(resource: Resource, primary: Resource | None, seen: PostgresReplication | None) -> str:
    """One line for all of it; each part marked by its name."""
    database = database_of(resource)
    parts = []
    if primary is not None:
        parts.append(f"echo reach $({reach_command(primary.address, database_of(primary).port)})")
    if seen is not None and seen.receiver_pid:
        parts.append(f"echo receiver $(ps -o stat= -p {int(seen.receiver_pid)})")
    if database.data_dir:
        control = shlex.quote(f"{database.data_dir}/global/pg_control")
        as_root = sudo(resource)
        # what we may not look at is not missing: only the answer of a test that was run counts
        parts.append(f"{as_root}test -s {control}; echo control $?" if not as_root else _asked_as_root(control))
    parts.append(
        f"{{ {log_command(resource)}; }} 2>/dev/null | grep -E '(FATAL|ERROR|PANIC): ' | tail -n 20 | sed 's/^/log /'"
    )
    return "; ".join(parts)


def _asked_as_root(control: str) -> str:
    """sudo refuses with the exit status of a failed test, so whether it allows the test is asked first."""
    return f"if sudo -n -l test -s {control} >/dev/null 2>&1; then sudo -n test -s {control}; echo control $?; fi"


def log_command(resource: Resource) -> str:
    """The end of the server's log: of its unit's journal, and of its files."""
    database = database_of(resource)
    unit = database.service or (resource.services[0] if resource.services else "")
    files = ["/var/log/postgresql/*.log", f"{shlex.quote(database.data_dir)}/log/*.log"] if database.data_dir else []
    parts = [f"{sudo(resource)}journalctl -q -o cat -n {_LOG_LINES} -u {shlex.quote(unit)}"] if unit else []
    if files:
        parts.append(f"tail -q -n {_LOG_LINES} $(ls -t {' '.join(files)} 2>/dev/null | head -n 1) </dev/null")
    return "; ".join(parts) or "true"


def parse_host(output: str) -> dict[str, FactValue]:
    """From what `host_command` prints."""
    facts: dict[str, FactValue] = {}
    for row in output.splitlines():
        word, _, rest = row.partition(" ")
        if word == "reach" and rest in ("open", "shut"):
            facts["repl.primary_reachable"] = rest == "open"
        elif word == "receiver" and rest.strip():
            facts["repl.receiver_state"] = "stopped" if rest.strip().startswith(("T", "t")) else "runs"
        elif word == "control" and rest in ("0", "1"):
            facts["db.data_present"] = rest == "0"
        elif word == "log" and _ABOUT_REPLICATION.search(rest):
            facts["repl.error"] = line(_PREFIX.sub("", rest), 120)
    return facts
