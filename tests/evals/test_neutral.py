"""Neutral identities: one mapping, the same everywhere, and nothing of the old names left."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.case import Recorded
from evals.neutral import Names, letters, names_in_facts, names_in_text
from evals.neutral_words import RESERVED
from evals.renaming import neutral, related
from graph.alerts import Alert, AlertGroup
from graph.facts import fact_key
from graph.records import Resource
from tests.evals.a_case import EXPECTED, RESOURCE, made
from tools.redaction import MASK

V4 = st.ip_addresses(v=4).map(str)
PRIVATE = st.one_of(
    st.ip_addresses(network="10.0.0.0/8"),
    st.ip_addresses(network="192.168.0.0/16"),
    st.ip_addresses(network="172.16.0.0/12"),
).map(str)
V6 = st.ip_addresses(network="2a01:4f8::/32").map(str)
NAME = st.from_regex(r"[a-z][a-z0-9]{2,8}(-[a-z0-9]{1,4})?", fullmatch=True).filter(lambda name: name not in RESERVED)


def test_names_are_numbered_by_letters() -> None:
    assert [letters(number) for number in (0, 1, 25, 26, 27, 701, 702)] == ["a", "b", "z", "aa", "ab", "zz", "aaa"]


@settings(max_examples=40, deadline=None)
@given(st.lists(V4, min_size=1, max_size=30))
def test_equal_addresses_stay_equal_and_others_stay_others(addresses: list[str]) -> None:
    names = Names()
    made_of = {address: names.text(address) for address in addresses}
    assert len(set(made_of.values())) == len(made_of)
    assert names.text(" ".join(addresses)) == " ".join(made_of[address] for address in addresses)
    assert all(ipaddress.ip_address(made) for made in made_of.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(PRIVATE, min_size=2, max_size=30))
def test_private_addresses_keep_their_networks(addresses: list[str]) -> None:
    names = Names()
    made_of = [(old, names.text(old)) for old in addresses]
    for one, one_made in made_of:
        assert ipaddress.ip_address(one_made).is_private
        for other, other_made in made_of:
            for bits in (8, 16, 24):
                same = _within(one, other, bits)
                assert same == _within(one_made, other_made, bits), (one, other, one_made, other_made)


@settings(max_examples=40, deadline=None)
@given(st.lists(V6, min_size=2, max_size=20))
def test_ipv6_addresses_go_to_documentation_and_keep_their_64_bit_networks(addresses: list[str]) -> None:
    names = Names()
    made_of = [(old, names.text(old)) for old in addresses]
    for one, one_made in made_of:
        assert ipaddress.ip_address(one_made) in ipaddress.ip_network("2001:db8::/32")
        for other, other_made in made_of:
            assert _within(one, other, 64) == _within(one_made, other_made, 64)
            assert (one == other) == (one_made == other_made)


def _within(one: str, other: str, bits: int) -> bool:
    return ipaddress.ip_address(other) in ipaddress.ip_network(f"{one}/{bits}", strict=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(NAME, min_size=1, max_size=10, unique=True), st.text(" .,:/=\"'()[]{}\n", min_size=1, max_size=3))
def test_a_name_is_replaced_wherever_it_stands_as_a_word_and_nothing_of_it_is_left(
    words: list[str], between: str
) -> None:
    names, again = Names(), Names()
    for each in (names, again):
        for word in words:
            each.give("host", word)
    text = between.join(words)
    made = names.text(text)
    assert made == again.text(text), "the same every time"
    assert len({names.text(word) for word in words}) == len(words), "different names stay different"
    found = re.findall(r"[a-z0-9-]+", made)
    assert all(word.startswith("host-") for word in found), made


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T14:10:02.123Z",
        "Nov 24 14:10:02",
        "[ 1234.567890] oom-kill",
        "1764000000.5",
        "127.0.0.1:8080 and ::1 and 0.0.0.0/0 and [::]:80",
        "169.254.169.254",
        "nginx 1.26.3-2+deb13u1",
        "see https://www.freedesktop.org/wiki",
        "exit status 137, signal SEGV",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "/usr/lib/systemd/system/nginx.service",
        "17:30:00 up 3 days, load average: 0.10, 0.20, 0.30",
    ],
)
def test_times_versions_and_what_means_the_same_everywhere_stay(text: str) -> None:
    assert Names().text(text) == text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("ann.smith@acme.com and Ann.Smith@acme.com", "person-1@example.com and person-1@example.com"),
        ("vol-0abc12345678def01 of i-0abc12345678def01", "vol-00000000000000001 of i-00000000000000001"),
        ("arn:aws:rds:eu-west-1:123456789012:db", "arn:aws:rds:eu-west-1:111111111111:db"),
        ("52:54:00:ab:cd:ef", "02:00:00:00:00:01"),
        ("9f86d081-884c-4d65-9a2f-eaa0c55ad015", "00000000-0000-4000-8000-000000000001"),
        ("https://shop.acme.com:8443/healthz", "https://node-1.domain-1.example:8443/healthz"),
        ("db.acme.com, www.acme.com", "node-1.domain-1.example, node-2.domain-1.example"),
        ("http://10.9.8.7:9090/metrics", "http://10.1.1.7:9090/metrics"),
        ("ip-10-9-8-7", "ip-10-1-1-7"),
        (r'instance=~"10\\.9\\.8\\.7(:[0-9]+)?" of 10.9.8.7', r'instance=~"10\\.1\\.1\\.7(:[0-9]+)?" of 10.1.1.7'),
        ("10.9.0.0/16 holds 10.9.8.0/24 holds 10.9.8.255", "10.1.0.0/16 holds 10.1.1.0/24 holds 10.1.1.255"),
        ("8.8.8.8 and 8.8.8.9", "203.0.113.8 and 203.0.113.9"),
        ("password=hunter2hunter2", f"password={MASK}"),
    ],
)
def test_identities_are_known_by_their_shape(text: str, made: str) -> None:
    assert Names().text(text) == made


def test_hosts_and_people_are_met_in_the_heads_of_log_lines() -> None:
    log = (
        "Nov 24 14:10:02 web-07 sshd[12]: Accepted publickey for mmuster from 10.9.8.7 port 22\n"
        "2026-11-24T14:10:03+01:00 web-07 sudo: mmuster : PWD=/home/mmuster ; USER=root\n"
    )
    names = Names()
    names_in_text(names, log)
    made = names.text(log)
    assert "web-07" not in made and "mmuster" not in made
    assert made.count("host-a") == 2 and made.count("user_a") == 3 and "USER=root" in made and "sshd[12]" in made


def test_hosts_are_met_in_the_labels_of_series_but_the_scheme_of_a_url_is_none() -> None:
    names = Names()
    text = """up{instance="web-07:9100", job="node"} {'resource_id': 'web-08'} probe{instance="http://web-09:80/x"}"""
    names_in_text(names, text)
    made = names.text(text)
    assert "web-07" not in made and "web-08" not in made and "http://" in made


def test_what_a_fact_says_of_a_rule_or_a_transient_unit_is_no_identity() -> None:
    names = Names()
    names_in_facts(
        names,
        [
            fact_key("net.blocked", place="nft inet filter input", handle="7"),
            fact_key("unit.cpu_percent", unit="run-r0a1b2.scope"),
            fact_key("disk.used_percent", mount="/srv/acmedata"),
        ],
    )
    said = "drop in nft inet filter input, run-r0a1b2.scope, "
    assert names.text(said + "/srv/acmedata/x") == said + "/srv/dir-a/x"
    assert names.tree({"facts": {"host.unreachable_how": "auth"}}) == {"facts": {"host.unreachable_how": "auth"}}


def test_well_known_services_keep_their_names_and_own_ones_do_not() -> None:
    names = Names()
    for service in ("nginx", "mariadb.service", "postgresql@17-main", "ssh", "systemd-networkd", "acmepay.service"):
        names.service(service)
    said = "nginx, mariadb, postgresql@17-main, ssh, systemd-networkd; acmepay.service: /etc/acmepay/acmepay.conf"
    assert names.text(said) == said.replace("acmepay", "svc-a")
    assert names.text("rate(acmepay_requests_total[5m])") == "rate(svc_a_requests_total[5m])"


DATABASE = Resource.model_validate(
    {
        "id": "orders-db-1",
        "kind": "Database",
        "address": "db1.acme.internal",
        "group": "orders",
        "ssh": {
            "user": "mmuster",
            "key_file": "/home/mmuster/.ssh/id",
            "known_hosts": "/home/mmuster/.ssh/known_hosts",
        },
        "services": ["mariadb"],
        "host": "machine-17",
        "volumes": [{"mount": "/srv/acmedata", "max_gib": 50, "volume_id": "vol-0123456789abcdef0"}],
        "depends_on": ["Instance/machine-17", "vault.acme.internal:8200"],
        "database": {
            "engine": "mariadb",
            "cluster": "orders",
            "role": "replica",
            "port": 3306,
            "user": "acme_monitor",
            "password_file": "/home/mmuster/pw",
            "name": "orders_live",
            "peers": ["orders-db-2"],
            "replication": {"user": "repl_acme", "password_file": "/home/mmuster/repl", "slot": "orders_slot"},
        },
    }
)
OF_ACME = ("acme", "orders", "mmuster", "machine-17", "vol-0123456789abcdef0", "db1", "vault.")


def test_one_mapping_goes_through_resource_alert_facts_texts_and_expectations(tmp_path: Path) -> None:
    peer = DATABASE.model_copy(update={"id": "orders-db-2", "address": "db2.acme.internal"})
    labels = {"alertname": "ReplicationStopped", "resource_id": "orders-db-1", "cluster": "orders", "job": "mysqld"}
    call = Recorded(
        tool="replication",
        at_seconds=1,
        facts={fact_key("repl.peer_safe", peer="orders-db-2"): True, "repl.source": "db2.acme.internal:3306"},
        text="replica of orders-db-2 (db2.acme.internal), slot orders_slot, database orders_live, as repl_acme",
        raw="Source_Host: db2.acme.internal",
    )
    expected = EXPECTED.model_copy(update={"required_facts": (fact_key("repl.peer_safe", peer="orders-db-2"),)})
    case = made(tmp_path, call, expected=expected, inventory=(peer,))
    case = replace(
        case,
        alerts=AlertGroup(alerts=(Alert(status="firing", labels=labels),)),
        context=case.context.model_copy(update={"resource": DATABASE}),
    )
    done = neutral(case)
    assert done == neutral(case), "the same every time"
    assert neutral(done) == done, "what is neutral stays as it is"
    resource, other = done.context.resource, done.context.inventory[0]
    assert resource is not None and resource.database is not None
    assert resource.database.peers == (other.id,), "relations are kept"
    assert resource.database.engine == "mariadb" and resource.services == ("mariadb",)
    [fact] = [key for key in done.calls[0].facts if key.startswith("repl.peer_safe")]
    assert fact == fact_key("repl.peer_safe", peer=other.id) == done.expected.required_facts[0]
    assert done.calls[0].facts["repl.source"] == f"{other.address}:3306"
    assert other.id in done.calls[0].text and other.address in done.calls[0].raw
    alert = done.alerts.alerts[0]
    assert alert.labels["resource_id"] == resource.id and alert.labels["cluster"] == resource.database.cluster
    assert alert.fingerprint == Alert(status="firing", labels=alert.labels).fingerprint
    everything = repr((done.context, done.calls, done.alerts, done.expected))
    assert [word for word in OF_ACME if word in everything] == []


def test_an_alerts_name_stays_unless_it_says_what_only_a_diagnosis_may_say(tmp_path: Path) -> None:
    case = made(tmp_path)
    assert neutral(case).alerts.alerts[0].name == "ServiceDown"
    telling = Alert(status="firing", labels={"alertname": "ServiceProcessCrashed", "issue_type": "service_down"})
    fact = Recorded(tool="health", at_seconds=1, facts={fact_key("alert.firing", alertname=telling.name): True})
    done = neutral(replace(case, alerts=AlertGroup(alerts=(telling,)), calls=(fact,)))
    assert done.alerts.alerts[0].name == "ServiceDownAlert"
    assert list(done.calls[0].facts) == [fact_key("alert.firing", alertname="ServiceDownAlert")]


def test_what_is_related_goes_along_and_nothing_else() -> None:
    peer = DATABASE.model_copy(update={"id": "orders-db-2", "address": "db2.acme.internal", "host": None})
    machine = RESOURCE.model_copy(update={"id": "machine-17", "address": "10.0.0.17"})
    stranger = RESOURCE.model_copy(update={"id": "stranger", "address": "10.0.0.99"})
    assert related(DATABASE, (DATABASE, peer, machine, stranger)) == (peer, machine)
    assert related(None, (peer,)) == ()
