"""Whether the world is as the configuration says: everything asked at once, nothing changed, every wait bounded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from agents import known_kinds
from graph.ports import PermanentError, TemporaryError
from graph.records import Resource
from server.auth import read_token, token_warning
from server.client import ServerClient
from server.notify_targets import open_target
from server.preflight import checked
from server.runbooks.shelf import Shelf
from server.settings import Settings, unknown_variables
from server.settings_errors import ConfigError
from server.wiring import Tools, open_tools
from tools.clients.host import HostUnreachable
from tools.clients.providers.provider import ProviderError
from tools.services import ManagerSilent, UnknownUnit, unit_states

SECONDS = 12.0
HOST_SECONDS = 8.0


@dataclass(frozen=True)
class Check:
    """One thing looked at. `warn`: it works, but not as it should."""

    subject: str
    status: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def examine(settings: Settings) -> AsyncIterator[Check]:
    """Every check, those of the configuration first."""
    for check in (*_configuration(settings), *_tokens(settings), _database(settings), _model(settings)):
        yield check
    for check in await asyncio.to_thread(_runbooks, settings):
        yield check
    for check in await asyncio.to_thread(_targets, settings):
        yield check
    yield await asyncio.to_thread(_server, settings)
    async with open_tools(settings) as tools:
        pending: list[Awaitable[Check]] = [_bounded("prometheus", lambda: _prometheus(tools))]
        if tools.alertmanager is not None:
            pending.append(_bounded("alertmanager", lambda: _alertmanager(tools)))
        for resource in settings.resources:
            pending += _of_resource(resource, tools)
        for check in await asyncio.gather(*pending):
            yield check


# -- what needs no network ---------------------------------------------------------------------------------


def _configuration(settings: Settings) -> Iterator[Check]:
    try:
        kinds, policies = checked(settings)
    except ConfigError as error:
        for problem in error.problems:
            yield Check("configuration", "fail", problem, "correct it")
    else:
        about = f"{len(settings.resources)} resources of kinds {', '.join(sorted(kinds))}; {len(policies)} policies"
        yield Check("configuration", "ok" if settings.resources else "warn", about, _if(not settings.resources))
    for name in unknown_variables():
        yield Check(f"variable {name}", "warn", "sets nothing", "correct its name, or unset it")


def _if(empty: bool) -> str:
    return "declare what may be repaired under `resources`" if empty else ""


def _tokens(settings: Settings) -> Iterator[Check]:
    for name, file in (("webhook", settings.webhook.token_file), ("operator", settings.operator.token_file)):
        if not file.exists():
            yield Check(f"{name} token", "ok", f"{file} is not there yet", "made by the first `selfheal serve`")
            continue
        try:
            read_token(file)
        except ConfigError as error:
            yield Check(f"{name} token", "fail", error.problems[0], "delete the file to have one made")
            continue
        warning = token_warning(file)
        yield Check(f"{name} token", "warn" if warning else "ok", warning or str(file))


def _database(settings: Settings) -> Check:
    file = settings.database_file
    if file is None:
        return _postgres(settings.database_url)
    folder = next((parent for parent in (file.parent, *file.parents) if parent.exists()), Path("/"))
    target = file if file.exists() else folder
    if not os.access(target, os.W_OK):
        return Check("database", "fail", f"{target} can't be written", "change its mode, or database_url")
    return Check("database", "ok", str(file) if file.exists() else f"{file} will be made")


def _postgres(url: str) -> Check:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
            found = connection.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')").fetchone()
    except psycopg.Error as error:
        return Check("database", "fail", str(error).strip()[:300], "correct database_url, or start PostgreSQL")
    if not (found and found[0]):
        return Check("database", "fail", "its user may not create tables", "GRANT CREATE on its schema")
    return Check("database", "ok", f"PostgreSQL {version // 10000}")


def _model(settings: Settings) -> Check:
    if settings.llm is None:
        return Check("model", "ok", "none configured: the runbook reasoner works alone")
    if settings.llm.api_key is None and settings.llm.base_url is None:
        return Check("model", "fail", f"{settings.llm.model} at OpenAI needs a key", "set OPENAI_API_KEY")
    where = settings.llm.base_url or "OpenAI"
    return Check("model", "ok", f"{settings.llm.model} at {where}; not asked, as that may cost")


def _runbooks(settings: Settings) -> list[Check]:
    """Read as heals read them; one that can't be read is left out by them, and hinders nothing."""
    if settings.runbooks is None:
        return []
    contents = Shelf(settings.runbooks, known_kinds()).read()
    found = Check("runbooks", "ok", f"{len(contents.runbooks)} in {settings.runbooks}")
    wrong = [
        Check("runbooks", "fail", problem, "correct it: until then it is left out") for problem in contents.problems
    ]
    return [found, *wrong] if contents.runbooks or not wrong else wrong


def _targets(settings: Settings) -> list[Check]:
    """Whether apprise can make something of every target; nothing is sent."""
    found = []
    for target in settings.notify.targets if settings.notify else ():
        subject = f"notify {target.name}"
        try:
            open_target(target)
        except ConfigError as error:
            found.append(Check(subject, "fail", error.problems[0], "correct its url or url_file"))
            continue
        warning = token_warning(target.url_file) if target.url_file else None
        said = f"understood; not told anything: try `selfheal notify test {target.name}`"
        found.append(Check(subject, "warn" if warning else "ok", warning or said))
    return found


def _server(settings: Settings) -> Check:
    with ServerClient(settings.server_url) as client:
        if client.alive():
            return Check("server", "ok", f"answers at {settings.server_url}")
    return Check("server", "warn", f"none answers at {settings.server_url}", "start it with `selfheal serve`")


# -- what is asked of the world ------------------------------------------------------------------------------


async def _prometheus(tools: Tools) -> Check:
    try:
        await tools.prometheus.instant("vector(1)")
    except (TemporaryError, PermanentError) as error:
        return Check("prometheus", "fail", str(error), "correct prometheus.url, or start it")
    return Check("prometheus", "ok", f"answers at {tools.prometheus.url}")


async def _alertmanager(tools: Tools) -> Check:
    assert tools.alertmanager is not None, "only one that is set is looked at"
    try:
        silences = [silence for silence in await tools.alertmanager.silences() if silence.active]
    except (TemporaryError, PermanentError) as error:
        return Check("alertmanager", "fail", str(error), "correct the settings under `alertmanager`, or start it")
    return Check("alertmanager", "ok", f"answers at {tools.alertmanager.url}, {len(silences)} silences in force")


def _of_resource(resource: Resource, tools: Tools) -> Sequence[Awaitable[Check]]:
    name = resource.key
    checks = [_bounded(f"{name} access", lambda: _access(resource, tools))]
    if resource.services:
        checks.append(_bounded(f"{name} services", lambda: _services(resource, tools)))
    if resource.provider.name != "none":
        checks.append(_bounded(f"{name} provider", lambda: _provider(resource, tools)))
    return checks


async def _bounded(subject: str, ask: Callable[[], Awaitable[Check]]) -> Check:
    try:
        async with asyncio.timeout(SECONDS):
            return await ask()
    except TimeoutError:
        return Check(subject, "fail", f"no answer within {SECONDS:g} s", "see whether it is up and reachable from here")
    except Exception as error:  # a doctor must not fall ill: whatever went wrong is a finding
        return Check(subject, "fail", f"{type(error).__name__}: {error}")


async def _access(resource: Resource, tools: Tools) -> Check:
    subject, ssh = f"{resource.key} access", resource.ssh
    if resource.transport == "ssh" and ssh is not None:
        for key, file in (("key_file", ssh.key_file), ("known_hosts", ssh.known_hosts)):
            if not os.access(file, os.R_OK):
                return Check(subject, "fail", f"ssh.{key} {file} can't be read", f"correct ssh.{key}")
    sudo = ssh is not None and ssh.uses_sudo
    try:
        result = await tools.hosts.run(resource, "sudo -n true" if sudo else "true", HOST_SECONDS)
    except HostUnreachable as error:
        remedy = _ACCESS_REMEDIES.get(error.how, "see whether it is up and reachable from here")
        return Check(subject, "fail", str(error), remedy.format(address=resource.address))
    how = f"{resource.transport} to {resource.address}"
    if result.ok:
        return Check(subject, "ok", f"{how} works{', sudo too' if sudo else ''}")
    remedy = "allow the user `sudo -n`, or set ssh.sudo: false"
    return Check(subject, "fail", f"{how} works, but sudo -n does not: {result.stderr.strip()[:120]}", remedy)


_ACCESS_REMEDIES = {
    "auth": "put our public key into the user's authorized_keys",
    "host_key": "check the host's key, then: ssh-keyscan {address} >> known_hosts",
    "dns": "correct `address`",
}


async def _services(resource: Resource, tools: Tools) -> Check:
    subject = f"{resource.key} services"
    try:
        states = await unit_states(tools.hosts, resource, resource.services, HOST_SECONDS)
    except HostUnreachable:
        return Check(subject, "fail", "the host can't be asked", "see the line about access")
    except (UnknownUnit, ManagerSilent) as error:
        return Check(subject, "fail", str(error), "correct `services` or `service_manager`")
    told = ", ".join(str(state) for state in states.values())
    missing = [name for name, state in states.items() if state.state == "not_found"]
    if missing:
        return Check(subject, "fail", told, f"correct `services`: the manager knows no {', '.join(missing)}")
    running = all(state.state == "running" for state in states.values())
    return Check(subject, "ok" if running else "warn", told)


async def _provider(resource: Resource, tools: Tools) -> Check:
    subject = f"{resource.key} provider"
    try:
        status = await tools.evidence.providers[resource.provider.name].status(resource)
    except ProviderError as error:
        return Check(subject, "fail", str(error), "check instance_id, region and the credentials")
    found = f"{resource.provider.name} says {status.state}, checks {status.instance_check}/{status.system_check}"
    return Check(subject, "ok" if status.state == "running" else "warn", found)
