"""Who gets in: real rulesets, read as tables. A rule that may be somebody's intention is never blamed."""

from __future__ import annotations

import pytest

from tests.tools.recorded.firewall import IPTABLES, NFT
from tools.network.firewall import Block, blocks, plain
from tools.network.iptables import iptables_chains, iptables_rule, kept_by_nft
from tools.network.nft import nft_chains, nft_rule


def said(block: Block) -> tuple[str, str, int]:
    return block.chain.name, block.rule.text if block.rule else f"policy {block.chain.policy}", block.place


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (22, []),
        (8080, [("input", 'tcp dport 8080 counter drop comment "nightly window; x"', 4)]),
        (8085, [("input", "tcp dport 8080-8090 reject with tcp reset", 5)]),
        (5432, []),
        (7000, [("other", 'ip protocol tcp tcp dport 7000 ct state new log prefix "dropped: " drop', 1)]),
    ],
)
def test_nft_tells_which_rule_shuts_a_port(port: int, expected: list[tuple[str, str, int]]) -> None:
    assert [said(block) for block in blocks(nft_chains(NFT, without_iptables=True), port)] == expected


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (80, ("INPUT", "-p tcp -m multiport --dports 80,8080:8090 -j REJECT --reject-with icmp-port-unreachable", 1)),
        (22, ("INPUT", "policy drop", 0)),
        (5432, ("INPUT", "policy drop", 0)),
    ],
)
def test_iptables_tells_which_rule_shuts_a_port(port: int, expected: tuple[str, str, int]) -> None:
    assert kept_by_nft(IPTABLES)
    assert [said(block) for block in blocks(iptables_chains(IPTABLES), port)] == [expected]


@pytest.mark.parametrize(
    ("rules", "shut"),
    [
        (["tcp dport 8080 drop"], True),
        (["tcp dport 8080 reject"], True),
        (["drop"], True),
        (["tcp dport 8080 accept", "drop"], False),
        (["ip saddr 10.0.0.0/8 tcp dport 8080 accept", "drop"], False),
        (["ip saddr 192.0.2.7 drop"], False),
        (["ip saddr 192.0.2.7 tcp dport 8080 drop"], False),
        (["tcp dport != 8080 drop"], False),
        (["udp dport 8080 drop"], False),
        (["ct state invalid drop"], False),
        (["icmp type echo-request drop"], False),
        (['iifname "lo" drop'], False),
        (["tcp dport @shut drop"], False),
        (["meta l4proto { tcp, udp } th dport 8080 drop"], False),
        (["limit rate over 10/second tcp dport 8080 drop"], False),
        (["jump gone", "tcp dport 8080 drop"], False),
    ],
)
def test_only_what_certainly_shuts_everybody_out_is_blamed(rules: list[str], shut: bool) -> None:
    lines = "\n".join(f"\t\t{rule} # handle {number}" for number, rule in enumerate(rules, 2))
    hook = "\t\ttype filter hook input priority filter; policy accept;"
    ruleset = f"table inet t {{ # handle 1\n\tchain c {{ # handle 1\n{hook}\n{lines}\n\t}}\n}}\n"
    assert bool(blocks(nft_chains(ruleset), 8080)) is shut


@pytest.mark.parametrize(
    ("rule", "certain", "about"),
    [
        ("-p tcp -m tcp --dport 8080 -j DROP", True, True),
        ("-p tcp --dport 8080:8090 -m state --state NEW -j REJECT --reject-with tcp-reset", True, True),
        ("! -s 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j DROP", False, True),
        ("-s 192.0.2.7/32 -j DROP", False, True),
        ("-p udp -m udp --dport 8080 -j DROP", True, False),
        ("-i lo -j ACCEPT", True, False),
        ("-m limit --limit 5/min -j DROP", False, True),
        ('-m comment --comment "never ends -j DROP', False, True),
    ],
)
def test_an_iptables_rule_is_about_a_port_or_not(rule: str, certain: bool, about: bool) -> None:
    read = iptables_rule(rule)
    assert (read.certain, read.about(8080)) == (certain, about)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("tcp dport 8080 counter drop", True),
        ("tcp dport { 80, 8080-8090 } reject with tcp reset", True),
        ('tcp dport 8080 drop comment "window 7"', True),
        ("-p tcp -m tcp --dport 8080 -j DROP", True),
        ('-p tcp -m tcp --dport 8080 -m comment --comment "window 7" -j DROP', True),
        ('tcp dport 8080 drop comment "x; flush ruleset"', False),
        ("tcp dport 8080 drop; flush ruleset", False),
        ("-p tcp -j DROP $(reboot)", False),
        ("-p tcp -j DROP\n-F", False),
        ('-m comment --comment "a\\"b" -j DROP', False),
        ("-m comment --comment `id` -j DROP", False),
    ],
)
def test_a_rule_with_anything_odd_in_it_is_not_named_in_a_command(text: str, safe: bool) -> None:
    assert plain(text) is safe


def test_a_hostile_comment_cannot_end_its_rule_or_begin_another() -> None:
    rule = nft_rule('tcp dport 8080 accept comment "drop # handle 9"', "4")
    assert (rule.verdict, rule.handle) == ("accept", "4")
