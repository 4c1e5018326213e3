"""Remove the one firewall rule that shuts a declared port, and put it back: nft and iptables.

The rule comes from telemetry, so it is believed only as far as fresh data bear it out: read anew just before, the very
same rule must still be what shuts the port. nft's handle alone would not do, as a ruleset that was loaded anew counts
from one again.
"""

from __future__ import annotations

import shlex
from typing import Literal

from pydantic import Field

from graph.kind import ActionSpec
from graph.records import PlanStep, Resource
from tools.actions.action import NotAllowed
from tools.actions.action import Params as ActionParams
from tools.actions.on_network import DEADLINE_SECONDS, OnNetwork
from tools.evidence.network import chains_of, sections, wanted_ports
from tools.network.firewall import Block, blocks, plain
from tools.services.units import sudo

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
# Without what the counters count, as handles are told with it.
_STILL = "sed 's/ counter packets [0-9]* bytes [0-9]*/ counter/; s/^[[:space:]]*//; s/  */ /g'"


class RuleParams(ActionParams):
    """One rule, exactly: as its own tool tells it."""

    port: int = Field(ge=1, le=65535, description="the declared port that it shuts")
    by: Literal["nft", "iptables"]
    table: str = Field(pattern=rf"^(?:(?:ip|ip6|inet) )?{_NAME}$")
    chain: str = Field(pattern=rf"^{_NAME}$")
    rule: str = Field(min_length=1, max_length=300, description="the rule's text, counters left out")
    place: int = Field(ge=1, le=100_000, description="its place in the chain, from 1")
    handle: str = Field(default="", pattern=r"^[0-9]{0,18}$", description="nft's handle of it")


class _OnRule(OnNetwork[RuleParams]):
    params = RuleParams

    def admit(self, resource: Resource, params: RuleParams) -> RuleParams:
        """The port is declared, and the rule one that can be named in a command."""
        if params.port not in wanted_ports(resource):
            ports = ", ".join(map(str, wanted_ports(resource))) or "none"
            raise NotAllowed("port", f"{params.port} is no declared port of {resource.key} (declared: {ports})")
        if not plain(params.rule):
            raise NotAllowed("rule", "it has characters in it that no command of ours may have: remove it by hand")
        if params.by == "nft" and (" " not in params.table or not params.handle):
            raise NotAllowed("table", "nft needs its family and table (`inet filter`), and the rule's handle")
        if params.by == "iptables" and params.table != "filter":
            raise NotAllowed("table", "of iptables, only the table `filter` is touched")
        return params

    async def in_effect(self, resource: Resource, params: RuleParams) -> bool:
        """Whether this very rule is (not) there."""
        return (await self._found(resource, params) is not None) is (self.spec.name == "restore_firewall_rule")

    async def _found(self, resource: Resource, params: RuleParams) -> Block | None:
        """The rule, where it shuts the port now."""
        root = sudo(resource)
        parts = sections(
            await self.ask(
                resource,
                f"echo '-- nft'; {root}nft -a list ruleset 2>/dev/null; "
                f"echo '-- iptables'; {root}iptables-save 2>/dev/null",
            )
        )
        return next((block for block in blocks(chains_of(parts), params.port) if _same(block, params)), None)


class RemoveFirewallRule(_OnRule):
    """Exactly that one rule."""

    spec = ActionSpec(
        name="remove_firewall_rule",
        summary="remove the one host firewall rule that shuts a declared port",
        risk="disruptive",
        params=RuleParams,
        deadline_seconds=DEADLINE_SECONDS,
        undone_by="restore_firewall_rule",
    )

    def command(self, resource: Resource, params: RuleParams) -> str:
        """nft: by handle, where that is still this rule. iptables: by the rule's own words."""
        root = sudo(resource)
        if params.by == "iptables":
            return f"{root}iptables -w 5 -D {params.chain} {shlex.join(shlex.split(params.rule))}"
        where = f"{params.table} {params.chain}"
        told = shlex.quote(f"{params.rule} # handle {params.handle}")
        return (
            f"if {root}nft -a list chain {where} | {_STILL} | grep -Fqx -- {told}; "
            f"then {root}nft delete rule {where} handle {params.handle}; "
            "else echo 'the rule is no longer there'; exit 1; fi"
        )

    async def precondition(self, resource: Resource, params: RuleParams) -> str | None:
        """The rule is still what shuts the port."""
        if await self._found(resource, params) is None:
            return f"no rule {params.rule!r} shuts port {params.port} in {params.table} {params.chain} any more"
        return None

    def undo(self, resource: Resource, params: RuleParams) -> PlanStep | None:
        """The same rule in its place."""
        return PlanStep(
            action="restore_firewall_rule",
            params=params.model_dump(mode="json"),
            why="removing the rule did not help",
            expect="the firewall is as it was",
        )


class RestoreFirewallRule(_OnRule):
    """Only ever a rule that was there."""

    spec = ActionSpec(
        name="restore_firewall_rule",
        summary="put a removed firewall rule back in its place",
        risk="disruptive",
        params=RuleParams,
        deadline_seconds=DEADLINE_SECONDS,
    )

    def command(self, resource: Resource, params: RuleParams) -> str:
        """At its place; at the chain's end where it was the last."""
        root = sudo(resource)
        if params.by == "iptables":
            rule = shlex.join(shlex.split(params.rule))
            return f"{root}iptables -w 5 -I {params.chain} {params.place} {rule}"
        where, rule = f"{params.table} {params.chain}", shlex.quote(params.rule)
        return (
            f"{root}nft insert rule {where} index {params.place - 1} {rule} 2>/dev/null "
            f"|| {root}nft add rule {where} {rule}"
        )

    async def precondition(self, resource: Resource, params: RuleParams) -> str | None:
        """It is not there already."""
        return "the rule is there already" if await self._found(resource, params) else None


def _same(block: Block, params: RuleParams) -> bool:
    rule, chain = block.rule, block.chain
    if rule is None or (chain.by, chain.table, chain.name) != (params.by, params.table, params.chain):
        return False
    return rule.text == params.rule
