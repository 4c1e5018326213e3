"""The lab's security groups and its floating address: what moto says, as rules of nft."""

from __future__ import annotations

from evals.lab.cloud_network import FLOATING, CloudNetwork, Guarded, open_ports

GROUPS = b"""<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><securityGroupInfo>
<item><groupId>sg-1</groupId><ipPermissions>
<item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>
<ipRanges><item><cidrIp>10.77.1.0/24</cidrIp></item></ipRanges></item>
<item><ipProtocol>tcp</ipProtocol><fromPort>8080</fromPort><toPort>8080</toPort>
<ipRanges><item><cidrIp>192.0.2.0/24</cidrIp></item></ipRanges></item>
</ipPermissions></item>
<item><groupId>sg-2</groupId><ipPermissions>
<item><ipProtocol>-1</ipProtocol><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges></item>
</ipPermissions></item></securityGroupInfo></DescribeSecurityGroupsResponse>"""


class RecordedNetwork(CloudNetwork):
    """Keeps what it would tell nft."""

    def _write(self) -> None:
        self.told = self.rules()


def network() -> RecordedNetwork:
    guarded = {name: Guarded(f"vb-{name}", frozenset({22, 8080})) for name in ("sg-1", "sg-2")}
    return RecordedNetwork(guarded, {"i-1": "10.77.1.11", "i-2": "10.77.1.12"})


def test_only_what_lets_the_labs_own_network_in_counts_as_open() -> None:
    found = open_ports(GROUPS)
    assert found["sg-1"] == {22}
    assert 8080 in found["sg-2"]


def test_what_a_group_does_not_allow_is_dropped_at_that_hosts_cable_alone() -> None:
    lab = network()
    assert "drop" not in lab.rules()
    lab.regroup(GROUPS)
    assert 'oifname "vb-sg-1" tcp dport { 8080 } drop' in lab.told
    assert "vb-sg-2" not in lab.told


def test_the_floating_address_leads_to_whoever_holds_it() -> None:
    lab = network()
    assert "dnat" not in lab.rules()
    for instance, address in (("i-1", "10.77.1.11"), ("i-2", "10.77.1.12")):
        lab.lead(instance)
        assert f"ip daddr {FLOATING} dnat to {address}" in lab.told
    lab.lead("i-9")
    assert "dnat" not in lab.told
