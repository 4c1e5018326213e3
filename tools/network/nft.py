"""`nft -a list ruleset`, read as far as it says who gets in. Grammar: nft(8)."""

from __future__ import annotations

import re

from tools.network.firewall import Chain, Rule, Verdict, port_ranges

_TABLE = re.compile(r"^table (\w+ [\w.-]+) \{")
_CHAIN = re.compile(r"^\tchain ([\w.-]+) \{")
_HOOK = re.compile(r"type filter hook (\w+) priority [^;]+;(?: policy (\w+);)?")
_RULE = re.compile(r"^(.*\S) # handle (\d+)$")
_COUNTER = re.compile(r" ?counter packets \d+ bytes \d+")
_IPTABLES_TABLES = {f"{family} {name}" for family in ("ip", "ip6") for name in ("filter", "raw", "mangle", "security")}
_WORDS = r"(\{[^}]*\}|\S+)"
_VERDICT = re.compile(r"(?:^| )(accept|drop|reject(?: with [\w -]+)?|return|(?:jump|goto) [\w.-]+)$")
# What says nothing against a new TCP connection from outside.
_NEUTRAL = re.compile(
    r"\b(?:meta l4proto|ip protocol) tcp\b|\bmeta nfproto ipv4\b|\bip saddr 0\.0\.0\.0/0"
    r'|\blog(?: prefix "[^"]*")?(?: (?:level|flags|group) \w+)*|\bcounter\b'
)
_OTHER = re.compile(
    r'\biif(?:name)? "lo"|\b(?:meta l4proto|ip protocol) (?!tcp\b)[a-z]\w*|\budp [sd]port|\bicmp(?:v6|x)? '
)


def nft_chains(output: str, without_iptables: bool = False) -> list[Chain]:
    """The chains of a ruleset. `without_iptables` leaves out the tables that iptables-nft keeps, as `iptables-save`
    tells these in the words by which they can be changed."""
    found: list[Chain] = []
    table, name, rules, base, policy = "", "", list[Rule](), False, "accept"
    for line in output.splitlines():
        if match := _TABLE.match(line):
            table = match[1]
        elif match := _CHAIN.match(line):
            name, rules, base, policy = match[1], [], False, "accept"
        elif name and line == "\t}":
            found.append(Chain("nft", table, name, tuple(rules), base, policy))
            name = ""
        elif name and (hook := _HOOK.search(line)):
            base, policy = hook[1] in ("input", "prerouting"), hook[2] or "accept"
        elif name and (match := _RULE.match(line.strip())):
            rules.append(nft_rule(canonical(match[1]), match[2]))
    kept = _IPTABLES_TABLES if without_iptables else set()
    return [chain for chain in found if chain.table not in kept and not chain.table.startswith(("bridge ", "arp "))]


def canonical(text: str) -> str:
    """A rule without what its counters have counted."""
    return " ".join(_COUNTER.sub(" counter", text).split())


def nft_rule(text: str, handle: str) -> Rule:
    """One rule, in nft's words."""
    bare = re.sub(r' comment "[^"]*"$', "", text)
    ending = _VERDICT.search(bare)
    if ending is None:
        return Rule(text, "none", handle=handle)
    verdict, target = _verdict(ending[1])
    conditions, ports, certain, concerns = bare[: ending.start()], None, True, True
    if match := re.search(rf"\bct state {_WORDS}", conditions):
        concerns = "new" in match[1]
        conditions = conditions.replace(match[0], "")
    if match := re.search(rf"\b(?:tcp|th) dport (?!!=){_WORDS}", conditions):
        ports = port_ranges(match[1].strip("{} ").split(","))
        certain = ports is not None
        conditions = conditions.replace(match[0], "")
    if _OTHER.search(conditions):
        concerns = False
    if _NEUTRAL.sub("", conditions).strip():
        certain = False
    return Rule(text, verdict, target, ports, certain, concerns, handle)


def _verdict(words: str) -> tuple[Verdict, str]:
    first, _, target = words.partition(" ")
    if first in ("jump", "goto"):
        return "jump", target
    return ("drop" if first == "reject" else first), target  # type: ignore[return-value]  # the pattern admits these
