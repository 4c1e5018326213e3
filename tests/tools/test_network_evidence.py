"""What a host says of its network is understood, as recorded from iproute2 6.1; and only what is declared is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evals.lab.dnsd import NAME, answer
from graph.records import HealthCheck, Resource, SshAccess
from graph.resources import Networking
from tests.tools.recorded.firewall import IPTABLES, NFT
from tools.evidence.network import network_command, network_facts, sections
from tools.network.told import default_gateways, dns_manager, full_percent, links, listeners, nameservers

RECORDED = Path(__file__).parent / "recorded"
ADDR, ROUTE, LISTEN = ((RECORDED / name).read_text() for name in ("ip_addr.json", "ip_route.json", "ss_listen.txt"))
RESOURCE = Resource(
    id="inst-1",
    kind="Instance",
    address="10.77.1.11",
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
    health=(HealthCheck(http="http://10.77.1.11:8080/healthz"),),
    network=Networking(
        interface="svc0",
        gateway="10.77.1.1",
        ports=(8080,),
        nameservers=("10.77.1.1",),
        resolve=("db.example", "odd name'; reboot"),
    ),
)
ONLY_NFT = NFT.partition("table ip filter")[0]
TOLD = "\n".join(
    ("-- addr", ADDR, "-- route", ROUTE, "-- nft", ONLY_NFT, "-- iptables", "-- listen", LISTEN,
     "-- resolv", "/etc/resolv.conf", "search example", "nameserver 192.0.2.53", "-- conntrack", "255000", "262144",
     "-- asides", "lookup 0 124 100.10 103.11", "lookup 1 0 100.10 100.11", "local 8080 200")
)  # fmt: skip


def test_all_that_is_declared_is_told_and_nothing_else() -> None:
    assert network_facts(RESOURCE, sections(TOLD)) == {
        'net.link{interface="svc0"}': "down",
        'net.address{interface="svc0"}': True,
        "net.route_default": True,
        'net.blocked{by="nft",chain="input",handle="6",place="4",port="8080",table="inet filter"}': (
            'tcp dport 8080 counter drop comment "nightly window; x"'
        ),
        'net.listen_address{port="8080"}': "127.0.0.1",
        'net.queue_full{port="8080"}': True,
        'net.local_status{port="8080"}': 200,
        "dns.nameserver_declared": False,
        "dns.manager": "file",
        "dns.nameservers": "192.0.2.53",
        'dns.resolves{name="db.example"}': False,
        'dns.seconds{name="db.example"}': 3.0,
        """dns.resolves{name="odd name'; reboot"}""": True,
        "net.conntrack_percent": 97,
    }


def test_a_host_that_tells_nothing_gives_no_fact() -> None:
    for told in ("", "-- addr\nnot json\n-- route\n\n-- nft\n-- asides\nlocal 8080 none\nlookup x 0 1 2\n"):
        assert network_facts(RESOURCE, sections(told)) == {}


def test_iptables_kept_by_nft_is_told_once_and_in_its_own_words() -> None:
    facts = network_facts(RESOURCE, sections(f"-- nft\n{NFT}\n-- iptables\n{IPTABLES}"))
    tools = [key for key in facts if key.startswith("net.blocked")]
    assert len(tools) == 2 and sum('by="iptables"' in key for key in tools) == 1


def test_links_tell_whether_they_carry_and_have_an_address() -> None:
    found = links(ADDR)
    assert (found["svc0"].up, found["host0"].up, found["host0"].addressed) == (False, True, True)
    assert (found["lo"].up, found["lo"].addressed, found["x"].addressed) == (True, False, False)


def test_listeners_tell_their_widest_address() -> None:
    found = listeners(LISTEN)
    assert {port: item.shown for port, item in found.items()} == {8081: "0.0.0.0", 8080: "127.0.0.1", 9000: "::1"}
    both = listeners(
        "LISTEN 0 5 127.0.0.1:80 0.0.0.0:*\nLISTEN 0 5 [::]:80 [::]:*\nLISTEN 0 5 127.0.0.53%lo:53 0.0.0.0:*"
    )
    assert (both[80].shown, both[53].shown) == ("::", "127.0.0.53")


@pytest.mark.parametrize(
    ("told", "gateways"),
    [(ROUTE, ["10.77.1.1"]), ("[]", []), ("", None), ('[{"dst":"default","dev":"ppp0"}]', ["ppp0"])],
)
def test_routes_tell_where_everything_else_goes(told: str, gateways: list[str] | None) -> None:
    assert default_gateways(told) == gateways


@pytest.mark.parametrize(
    ("path", "manager"),
    [
        ("/etc/resolv.conf", "file"),
        ("/run/systemd/resolve/stub-resolv.conf", "resolved"),
        ("/run/NetworkManager/resolv.conf", "NetworkManager"),
        ("/run/resolvconf/resolv.conf", "resolvconf"),
    ],
)
def test_who_writes_the_resolver_s_file_is_told_by_where_it_is(path: str, manager: str) -> None:
    assert dns_manager(path) == manager


def test_small_things() -> None:
    assert nameservers("# nameserver 1.1.1.1\nnameserver 9.9.9.9 # x\n nameserver ::1\nnameserver\n") == (
        "9.9.9.9",
        "::1",
    )
    assert [full_percent(text) for text in ("", "5", "5 0", "x 9", "50 200")] == [None, None, None, None, 25]


def test_a_declared_name_is_a_word_to_the_shell_whatever_it_says() -> None:
    command = network_command(RESOURCE)
    assert """'odd name'"'"'; reboot'""" in command
    assert subprocess.run(["sh", "-nc", command]).returncode == 0


# -- the lab's nameserver ------------------------------------------------------------------------------------


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00" + bytes([0, kind, 0, 1])


def test_the_lab_s_nameserver_knows_its_names_and_no_others() -> None:
    known = answer(question(NAME.upper()))
    assert (
        known is not None and known[:2] == b"\x12\x34" and known[3] & 15 == 0 and known.endswith(bytes([10, 77, 1, 1]))
    )
    other, no_address = answer(question("nope.example")), answer(question(NAME, 28))
    assert other is not None and other[3] & 15 == 3
    assert no_address is not None and (no_address[3] & 15, no_address[7]) == (0, 0)


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 12, question(NAME)[:-2], b"\xff" * 40, b"\0\0\x80" * 9])
def test_the_lab_s_nameserver_survives_rubbish(rubbish: bytes) -> None:
    assert answer(rubbish) is None
