"""Whether a firewall lets a new TCP connection from outside in to a port, and which rule does not: pure.

A rule with conditions that we do not understand decides nothing: one that drops is then meant for somebody else (a
block list), and one that accepts may be all that is meant to get in. Then nothing is claimed, so that no rule is ever
blamed that might be somebody's intention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["accept", "drop", "return", "jump", "none"]
By = Literal["nft", "iptables"]
_MOST_JUMPS = 8
_PLAIN = re.compile(
    r'[A-Za-z0-9_.:/,=@+{}<>! -]{1,300}(?: comment "[A-Za-z0-9 _.,:/=@+()-]{0,120}")?(?: [A-Za-z0-9 -]{1,60})?'
)
_PLAIN_COMMENT = re.compile(r'--comment "[A-Za-z0-9 _.,:/=@+()-]{0,120}"')


@dataclass(frozen=True)
class Rule:
    """One rule. `ports` are ranges it is about, None for all; `certain`: it has no condition beyond these;
    `concerns`: it can be about a new TCP connection from outside at all."""

    text: str
    verdict: Verdict
    target: str = ""
    ports: tuple[tuple[int, int], ...] | None = None
    certain: bool = True
    concerns: bool = True
    handle: str = ""

    def about(self, port: int) -> bool:
        return self.concerns and (self.ports is None or any(low <= port <= high for low, high in self.ports))


@dataclass(frozen=True)
class Chain:
    """`table` as its tool names it (`inet filter`, `filter`); `base` where packets for the host come in."""

    by: By
    table: str
    name: str
    rules: tuple[Rule, ...] = ()
    base: bool = False
    policy: str = "accept"


@dataclass(frozen=True)
class Block:
    """What keeps a port shut: the rule and its place in its chain, counted from 1; no rule: the chain's policy."""

    chain: Chain
    rule: Rule | None = None
    place: int = 0


def blocks(chains: Sequence[Chain], port: int) -> list[Block]:
    """Everything that keeps this port shut, one for each way in."""
    by_name = {(chain.by, chain.table, chain.name): chain for chain in chains}
    found = (_walk(chain, port, by_name, 0) for chain in chains if chain.base)
    return [block for block in found if isinstance(block, Block)]


def plain(text: str) -> bool:
    """Whether a rule may be named in a command of ours: nothing in it means anything to a shell, nor ends a rule."""
    bare = _PLAIN_COMMENT.sub("--comment x", text)
    return _PLAIN.fullmatch(bare) is not None


Chains = Mapping[tuple[By, str, str], Chain]


def _walk(chain: Chain, port: int, chains: Chains, depth: int) -> Block | Literal["accept", "unsure"] | None:
    for place, rule in enumerate(chain.rules, 1):
        if not rule.about(port) or rule.verdict == "none":
            continue
        if rule.verdict == "jump":
            ended = _jump(chain, rule, port, chains, depth)
            if ended is not None:
                return ended
        elif rule.verdict == "drop":
            if rule.certain:
                return Block(chain, rule, place)
        elif not rule.certain:
            return "unsure"
        elif rule.verdict == "accept":
            return "accept"
        else:
            return None
    return Block(chain) if chain.base and chain.policy == "drop" else None


def _jump(
    chain: Chain, rule: Rule, port: int, chains: Chains, depth: int
) -> Block | Literal["accept", "unsure"] | None:
    target = chains.get((chain.by, chain.table, rule.target))
    if target is None or depth >= _MOST_JUMPS:
        return "unsure"
    ended = _walk(target, port, chains, depth + 1)
    if rule.certain or ended is None:
        return ended
    return None if isinstance(ended, Block) else "unsure"


def port_ranges(words: Iterable[str]) -> tuple[tuple[int, int], ...] | None:
    """`["80", "8080-8090"]` (or with `:`) as ranges; None where a word is no port."""
    found = []
    for word in words:
        low, _, high = word.strip().replace(":", "-").partition("-")
        if not low.isdigit() or not (high or low).isdigit():
            return None
        found.append((int(low), int(high or low)))
    return tuple(found)
