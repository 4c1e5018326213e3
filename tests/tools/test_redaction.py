"""Secrets are taken out, the rest stays readable, and no text makes it slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.redaction import MASK, condense, redact

ROOT = Path(__file__).parents[2]
# Put together here, so that no scanner takes this file's own shapes for secrets.
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nhunter2\n-----END RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://shop:hunter2@db:5432/shop", "hunter2"),
        ("redis://:hunter2@cache/0", "hunter2"),
        ("DB_PASSWORD=hunter2", "hunter2"),
        ("password: hunter2", "hunter2"),
        ("Password = 'hunter2 with spaces'", "hunter2 with spaces"),
        ('{"user": "a", "password": "hun\\"ter2", "port": 5}', "ter2"),
        ('{"db":{"apiKey":"hunter2"}}', "hunter2"),
        ("{'token': 'hunter2'}", "hunter2"),
        ("client_secret => hunter2", "hunter2"),
        ("mysqldump --user=root --password=hunter2,more shop", "hunter2,more"),
        ("tool --api-key hunter2 --verbose", "hunter2"),
        ("GET /x?access_token=hunter2&page=2", "hunter2"),
        ("GET /b?X-Amz-Signature=hunter2 200", "hunter2"),
        ("Authorization: Bearer hunter2", "hunter2"),
        ("authorization: Basic aHVudGVyMg==", "aHVudGVyMg"),
        ("curl -H 'Authorization: token hunter2' http://x", "hunter2"),
        ('"Authorization": "Bearer hunter2hunter2"', "hunter2"),
        ("sent Bearer abc123def456 to upstream", "abc123def456"),
        ("Set-Cookie: session=hunter2; Path=/", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
        ("using key AKIA" + "IOSFODNN7EXAMPLE for S3", "IOSFODNN7EXAMPLE"),
        (f"jwt {JWT} refused", JWT),
        ("pushed with ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnop"),
        (f"key:\n{PEM}\nafter", "hunter2"),
        ("-----BEGIN OPENSSH " + "PRIVATE KEY-----\nhunter2 and no end", "hunter2"),
        ("CREATE USER shop IDENTIFIED BY 'hunter2'", "hunter2"),
        ("pass\x1b[31mword=hunter2", "hunter2"),
        ("pass\u200bword=hunter2", "hunter2"),
        ("SECRET_KEY_BASE=hunter2", "hunter2"),
        ("pwd=hunter2", "hunter2"),
    ],
)
def test_a_secret_is_taken_out(text: str, secret: str) -> None:
    told = redact(text)
    assert secret not in told
    assert MASK in told


@pytest.mark.parametrize(
    "text",
    [
        "nginx.service: Main process exited, code=exited, status=1/FAILURE",
        "Failed password for root from 10.0.0.9 port 22 ssh2",
        "sudo: selfheal : PWD=/home/selfheal ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx",
        "bind() to 0.0.0.0:80 failed (98: Address already in use)",
        "http://10.0.0.5:9090/api/v1/query?query=up",
        "shopd: FATAL config error in shopd.json line 4 column 3: Expecting ',' delimiter",
        "Out of memory: Killed process 812 (shopd) total-vm:1048576kB",
        "https://example.org/a@b and mail@example.org",
        "token expired, basic information follows",
        "tab\tand\nnewline",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("a postgres://shop:x1@db/shop b") == f"a postgres://shop:{MASK}@db/shop b"
    assert redact('{"password": "x1", "port": 5}') == f'{{"password": "{MASK}", "port": 5}}'
    assert redact(f"before\n{PEM}\nafter") == f"before\n{MASK}\nafter"


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact('password=x "token": "y z" Authorization: Bearer abc://u:p@h')
    assert redact(once) == once


def test_control_characters_are_stripped() -> None:
    assert redact("\x1b[1;31mred\x1b[0m\x00\x07 \x1b]0;title\x07end\r\n\u202etxt") == "red end\ntxt"


HOSTILE = {
    "words": "'password' * 32768",
    "names": "'password_' * 29000",
    "dashes": "'--a-' * 65536",
    "spaced dashes": "' --a' * 65536",
    "long options": "' --' + '-a' * 131072",
    "jwt": "'eyJ-' * 65536",
    "jwt dots": "'eyJaaaaaaa.' * 24000",
    "urls": "'://a:' * 52000",
    "url tail": "'://' + ':' * 262144",
    "keys": "('-----BEGIN ' + 'PRIVATE KEY-----') * 9600",
    "quotes": "'password=\"' * 26000",
    "escapes": "'password=\"' + '\\\\' * 262144",
    "spaces": "'password' + ' ' * 262144",
    "headers": "'authorization: a ' * 16000",
    "bearer": "'bearer ' * 37000",
    "bearer letters": "'bearer ' + 'a' * 262144",
    "escape sequences": "'\\x1b[' * 131072",
    "terminal titles": "'\\x1b]' * 131072",
    "letters": "'a' * 262144",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_256_kib_keeps_it_busy(name: str) -> None:
    # In a process of its own: a regular expression that runs away can't be stopped in ours.
    code = f"from tools.redaction import redact; redact({HOSTILE[name]})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_text_within_the_bound_is_left_alone() -> None:
    assert condense("short", 100) == "short"


def test_a_long_text_keeps_its_beginning_and_more_of_its_end() -> None:
    text = "begin " + "x" * 5000 + " the last error"
    told = condense(text, 400)
    assert len(told) <= 400
    assert told.startswith("begin") and told.endswith("the last error")
    assert "left out" in told


@pytest.mark.parametrize("bound", [0, 1, 10, 60])
def test_a_tiny_bound_still_holds(bound: int) -> None:
    assert len(condense("y" * 1000, bound)) <= bound
