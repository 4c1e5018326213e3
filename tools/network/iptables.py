"""`iptables-save`, read as far as it says who gets in. Grammar: iptables-extensions(8)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from tools.network.firewall import Chain, Rule, Verdict, port_ranges

_VERDICTS: dict[str, Verdict] = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_SILENT = {"LOG", "NFLOG", "MARK", "CONNMARK", "TRACE"}
_SAYS_NOTHING = {"-m": 1, "--comment": 1, "--reject-with": 1, "--log-prefix": 1, "--log-level": 1}


def iptables_chains(output: str) -> list[Chain]:
    """The chains of the `filter` table."""
    policies: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    table = ""
    for line in output.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table != "filter":
            continue
        elif match := re.match(r":(\S+) (\S+)", line):
            policies[match[1]] = "drop" if match[2] == "DROP" else "accept"
        elif match := re.match(r"-A (\S+) (.+)", line):
            rules.setdefault(match[1], []).append(iptables_rule(match[2]))
    return [
        Chain("iptables", "filter", name, tuple(rules.get(name, ())), name == "INPUT", policy)
        for name, policy in policies.items()
    ]


def kept_by_nft(output: str) -> bool:
    """Whether these rules are nft's underneath, so that `nft list` tells them too."""
    return "(nf_tables)" in output


def iptables_rule(text: str) -> Rule:
    """One rule, as it stands behind its chain's name."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that never ends
        return Rule(text, "accept", certain=False)
    verdict, target = _target(words)
    ports, certain, concerns = None, True, True
    index = 0
    while index < len(words):
        word, value = words[index], words[index + 1] if index + 1 < len(words) else ""
        index += 2
        if word in ("-j", "-g"):
            # what follows belongs to the target
            certain = certain and all(rest.startswith("-") is False or rest in _SAYS_NOTHING for rest in words[index:])
            break
        if word in _SAYS_NOTHING or (word == "-s" and value == "0.0.0.0/0"):
            continue
        if word == "-p":
            concerns = concerns and value in ("tcp", "all")
        elif word == "-i" and value == "lo":
            concerns = False
        elif word in ("--ctstate", "--state"):
            concerns = concerns and "NEW" in value.split(",")
        elif word in ("--dport", "--dports"):
            ports = port_ranges(value.split(","))
            certain = certain and ports is not None
        else:
            certain = False
            index -= 1 if word == "!" else 0
    return Rule(text, verdict, target, ports, certain, concerns)


def _target(words: Sequence[str]) -> tuple[Verdict, str]:
    for flag in ("-j", "-g"):
        if flag in words and words.index(flag) + 1 < len(words):
            target = words[words.index(flag) + 1]
            if target in _VERDICTS:
                return _VERDICTS[target], ""
            return ("none", "") if target in _SILENT else ("jump", target)
    return "none", ""
