"""Put the declared nameservers back, and undo it: a plain resolv.conf, or a drop-in for systemd-resolved."""

from __future__ import annotations

import shlex
from ipaddress import ip_address
from typing import Literal

from pydantic import Field

from graph.kind import ActionSpec
from graph.records import PlanStep, Resource
from tools.actions.action import NotAllowed
from tools.actions.action import Params as ActionParams
from tools.actions.on_network import DEADLINE_SECONDS, OnNetwork
from tools.network.told import dns_manager, nameservers
from tools.services.units import sudo

_FILE = "/etc/resolv.conf"
_COPY = "/etc/resolv.conf.selfheal-before"
_FOLDER = "/etc/systemd/resolved.conf.d"
_DROP_IN = f"{_FOLDER}/90-selfheal.conf"
_LOOKUP_SECONDS = 5


class ResolverParams(ActionParams):
    """Whose configuration it is."""

    by: Literal["file", "resolved"] = Field(description="who resolves names there: /etc/resolv.conf as a plain file, "
                                            "or systemd-resolved")  # fmt: skip


class _OnResolver(OnNetwork[ResolverParams]):
    params = ResolverParams

    def admit(self, resource: Resource, params: ResolverParams) -> ResolverParams:
        """Only where nameservers are declared, which are addresses."""
        if not resource.network.nameservers:
            raise NotAllowed("action", f"{resource.key} declares no network.nameservers: nothing could be put back")
        for server in resource.network.nameservers:
            try:
                ip_address(server)
            except ValueError as error:
                raise NotAllowed("action", f"network.nameservers of {resource.key}: {error}") from error
        return params

    async def look(self, resource: Resource) -> tuple[str, tuple[str, ...], bool, bool]:
        """Who manages names there, by which servers, whether the copy is there, whether the drop-in is."""
        told = await self.ask(
            resource,
            f"readlink -f {_FILE}; for f in {_COPY} {_DROP_IN}; do [ -e $f ] && echo yes || echo no; done; cat {_FILE}",
        )
        path, copy, drop_in, *content = [*told.splitlines(), "", "", ""]
        return dns_manager(path), nameservers("\n".join(content)), copy == "yes", drop_in == "yes"


class RestoreDns(_OnResolver):
    """Keeps what was there, and ends well only where a declared name resolves afterwards."""

    spec = ActionSpec(
        name="restore_dns",
        summary="put the declared nameservers back",
        risk="disruptive",
        params=ResolverParams,
        deadline_seconds=DEADLINE_SECONDS,
        undone_by="put_back_dns",
    )

    def command(self, resource: Resource, params: ResolverParams) -> str:
        """All lines but the nameservers stay as they were."""
        root, servers = sudo(resource), " ".join(map(shlex.quote, resource.network.nameservers))
        if params.by == "file":
            does = (
                f"{root}cp -p {_FILE} {_COPY} && {{ grep -v '^[[:space:]]*nameserver' {_COPY}; "
                f"printf 'nameserver %s\\n' {servers}; }} | {root}tee {_FILE} >/dev/null"
            )
        else:
            does = (
                f"{root}mkdir -p {_FOLDER} && printf '[Resolve]\\nDNS=%s\\nDomains=~.\\n' {shlex.quote(servers)} "
                f"| {root}tee {_DROP_IN} >/dev/null && {root}systemctl restart systemd-resolved"
            )
        if not resource.network.resolve:
            return does
        name = shlex.quote(resource.network.resolve[0])
        look = f"timeout {_LOOKUP_SECONDS} getent ahosts {name} >/dev/null"
        return f"{does} && {{ {look} || {{ echo {name} 'still does not resolve'; exit 1; }}; }}"

    async def precondition(self, resource: Resource, params: ResolverParams) -> str | None:
        """It is managed as planned, and not as declared already."""
        manager, servers, _, drop_in = await self.look(resource)
        if manager != params.by:
            return f"{_FILE} of {resource.key} is managed by {manager}, not by {params.by}"
        if params.by == "file" and servers and set(servers) <= set(resource.network.nameservers):
            return f"{_FILE} names the declared nameservers already"
        return f"{_DROP_IN} is there already" if params.by == "resolved" and drop_in else None

    async def in_effect(self, resource: Resource, params: ResolverParams) -> bool:
        """The declared servers are those that are asked."""
        _, servers, _, drop_in = await self.look(resource)
        return drop_in if params.by == "resolved" else servers == resource.network.nameservers

    def undo(self, resource: Resource, params: ResolverParams) -> PlanStep | None:
        """What was there before."""
        return PlanStep(
            action="put_back_dns",
            params=params.model_dump(mode="json"),
            why="the declared nameservers did not help",
            expect="names are looked up as before",
        )


class PutBackDns(_OnResolver):
    """Undoes `restore_dns`."""

    spec = ActionSpec(
        name="put_back_dns",
        summary="put back the nameservers that were there before restore_dns",
        risk="disruptive",
        params=ResolverParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

    def command(self, resource: Resource, params: ResolverParams) -> str:
        """The copy back in place, or the drop-in gone."""
        root = sudo(resource)
        if params.by == "file":
            return f"{root}cp -p {_COPY} {_FILE}"
        return f"{root}rm -f {_DROP_IN} && {root}systemctl restart systemd-resolved"

    async def precondition(self, resource: Resource, params: ResolverParams) -> str | None:
        """There is something to put back."""
        _, _, copy, drop_in = await self.look(resource)
        if params.by == "file":
            return None if copy else f"there is no {_COPY} on {resource.key}"
        return None if drop_in else f"there is no {_DROP_IN} on {resource.key}"

    async def in_effect(self, resource: Resource, params: ResolverParams) -> bool:
        """The declared servers are no longer those that were put there."""
        _, servers, _, drop_in = await self.look(resource)
        return not drop_in if params.by == "resolved" else servers != resource.network.nameservers
