"""Secrets are taken out, the rest stays readable, and no text makes it slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.redaction import MASK, condense, redact, redact_tree

ROOT = Path(__file__).parents[2]
# Put together here, so that no scanner takes this file's own shapes for secrets.
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nhunter2\n-----END RSA " + "PRIVATE KEY-----"
HEX32, HEX40 = "0123456789abcdef" * 2, "9fceb02d0ae598e95dc970b74767f19372d61af8"
B64_40 = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY_LINE = "MIIEpAIBAAKCAQEA7bq2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4"
HOST = "db.example"

CONNECTIONS = [
    ("mysql://shop:hunter2@db:3306/shop?ssl=1", "hunter2"),
    ("amqp://guest:hunter2@mq:5672/%2f", "hunter2"),
    ("mongodb+srv://shop:hunter2@c0.example/test", "hunter2"),
    ("postgres://shop:p@ss:word@db/shop", "ss:word"),
    ("jdbc:postgresql://db/shop?user=shop&password=hunter2&ssl=true", "hunter2"),
    ("jdbc:oracle:thin:scott/hunter2@//db:1521/x", "hunter2"),
    ("Server=db;User Id=sa;Password=hunter two;Encrypt=true", "hunter two"),
    ("Driver={ODBC};Uid=sa;Pwd=hunter2;", "hunter2"),
    ("host=db user=shop password=hunter2 dbname=shop", "hunter2"),
    ("primary_conninfo = 'user=rep password=hunter2 host=10.0.0.1'", "hunter2"),
    ("export PGPASSWORD=hunter2; psql", "hunter2"),
    ("MYSQL_PWD=hunter2 mysqldump shop", "hunter2"),
    ("DB_PASS=hunter2", "hunter2"),
    ('{"db_pass": "hunter2"}', "hunter2"),
    ("user=a pass=hunter2", "hunter2"),
    ("REDISCLI_AUTH=hunter2 redis-cli ping", "hunter2"),
    ("requirepass hunter2", "hunter2"),
    ("machine x login bot password hunter2", "hunter2"),
    ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aHVudGVyMg==;EndpointSuffix=x", "aHVudGVyMg"),
    ("Endpoint=sb://x/;SharedAccessKeyName=root;SharedAccessKey=aHVudGVyMg==", "aHVudGVyMg"),
    ("GET /c?sv=2022&sp=r&sig=" + "aB3%2F" * 6 + "%3D HTTP/1.1", "aB3%2F"),
    ("<db><password>hunter2</password></db>", "hunter2"),
    (r'{"log": "{\"password\": \"hunter two\"}"}', "hunter two"),
]
HEADERS = [
    ("X-Api-Key: hunter2", "hunter2"),
    ("X-Vault-Token: hunter2", "hunter2"),
    ("Proxy-Authorization: Basic aHVudGVyMg==", "aHVudGVyMg"),
    ("Authorization: AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host, Signature=0f1e2d3c4b5a", "0f1e2d3c4b5a"),
    ('{"headers": {"cookie": "sid=hunter2; a=b", "host": "x"}}', "hunter2"),
    ("Cookie: PHPSESSID=hunter2", "hunter2"),
    ("GET /x;jsessionid=hunter2 200", "hunter2"),
]
COMMANDS = [
    ("mysql -u root -phunter2 shop", "hunter2"),
    ("/usr/bin/mysqldump --single-transaction -uroot -p'hunter two' shop", "hunter two"),
    ("mariadb-dump -h db -phunter2", "hunter2"),
    ("sshpass -p hunter2 ssh root@db", "hunter2"),
    ("redis-cli -h cache -a hunter2 info", "hunter2"),
    ("mongodump -u root -p hunter2", "hunter2"),
    ("docker login -u bot -p hunter2 registry.example", "hunter2"),
    ("ldapsearch -x -D cn=a -w hunter2", "hunter2"),
    ("curl -s -u shop:hunter2 http://db/x", "hunter2"),
    ("curl --user 'shop:hunter2' http://db/x", "hunter2"),
    ("curl -sSu shop:hunter2 http://db/x", "hunter2"),
    ("openssl rsa -passin pass:hunter2 -in k", "hunter2"),
    ("htpasswd -bc /etc/nginx/htpasswd ada hunter2", "hunter2"),
    ("echo 'ada:hunter2' | chpasswd", "hunter2"),
]
DATABASES = [
    ("CREATE USER a IDENTIFIED WITH mysql_native_password BY 'hunter2'", "hunter2"),
    ("CREATE USER a IDENTIFIED BY PASSWORD '*" + HEX40.upper() + "'", HEX40.upper()),
    ("CREATE USER a IDENTIFIED BY 'it''s hunter2'", "hunter2"),
    ('ALTER USER a IDENTIFIED BY "hunter2"', "hunter2"),
    ("ALTER ROLE shop WITH ENCRYPTED PASSWORD 'hunter2'", "hunter2"),
    ("SET PASSWORD FOR a = PASSWORD('hunter2')", "hunter2"),
    ("CHANGE MASTER TO MASTER_HOST='a', MASTER_PASSWORD='hunter2'", "hunter2"),
]
HASHES = [
    ("root:$6$saltsalt$" + "Ab1./" * 16 + ":19000:0:99999:7:::", "Ab1./Ab1"),
    ("ada:$y$j9T$saltsalt$" + "Ab1./" * 8 + ":19000::::::", "Ab1./Ab1"),
    ("ada:$apr1$saltsalt$" + "Ab1./" * 4, "Ab1./Ab1"),
    ("ada:$2y$10$" + "Ab1./" * 10, "Ab1./Ab1"),
    ("ada:{SHA}" + "Ab1/" * 7, "Ab1/Ab1"),
    ("rolpassword md5" + HEX32, HEX32),
    ("SCRAM-SHA-256$4096:c2FsdHNhbHQ=$" + "Ab1/" * 8, "Ab1/Ab1"),
]
TOKENS = [
    ("AKIA" + "IOSFODNN7EXAMPLE," + B64_40, B64_40),
    ('{"SecretAccessKey": "' + B64_40 + '"}', B64_40),
    ("xox" + "b-123456789012-abcdefABCDEF", "123456789012"),
    ("https://hooks.slack.com/services/" + "T0000/B0000/abcdefgh", "abcdefgh"),
    ("glrt-" + "abcdefghij0123456789", "abcdefghij"),
    ("npm_" + "abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghij"),
    ("//registry.example/:_authToken=hunter2", "hunter2"),
    ("//registry.example/:_auth=hunter2", "hunter2"),
    ("pypi-" + "AgEIcHlwaS5vcmc" + "a1b2c3" * 12, "a1b2c3a1"),
    ("sk_" + "live_abcdefghijklmnopqrstuvwx", "abcdefghij"),
    ("rk_" + "test_abcdefghijklmnopqrstuvwx", "abcdefghij"),
    ("SG." + "abcdefghijklmnopqrstuv." + "a1b2c3d4" * 5 + "abc", "abcdefghij"),
    ("SK" + HEX32, HEX32),
    (HEX32 + "-us12", HEX32),
    ("bot 123456789:" + "AA" + "abcdefghijklmnopqrstuvwxyz0123456", "abcdefghij"),
    ("lsv2_" + "pt_" + HEX32, HEX32),
    ("ya29." + "abcdefghijklmnopqrst", "abcdefghij"),
]
KEYS = [
    ('{"private_key": "-----BEGIN ' + 'PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----\\n"}', "hunter2"),
    ("PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 2\n" + f"{KEY_LINE}\nhunter2=\nPrivate-MAC: aa11\n", "hunter2"),
    (f"app[1]: {KEY_LINE}\napp[1]: hunter2=\n-----END " + "RSA PRIVATE KEY-----\nafter", KEY_LINE),
    (f"app[1]: {KEY_LINE}\napp[1]: hunter2=\n-----END " + "RSA PRIVATE KEY-----\nafter", "hunter2"),
    ("PresharedKey = aHVudGVyMg==", "aHVudGVyMg"),
]


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
        ("ap\u0131_key=hunter2", "hunter2"),
        ("pwd=hunter2", "hunter2"),
        *CONNECTIONS,
        *HEADERS,
        *COMMANDS,
        *DATABASES,
        *HASHES,
        *TOKENS,
        *KEYS,
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
        'FATAL:  password authentication failed for user "shop"',
        f"commit {HEX40} (HEAD)",
        f"image@sha256:{HEX32}{HEX32}",
        "request 4f2c1a9e-3b1f-4c8a-9d0e-112233445566 took 3 s",
        f"InvocationID={HEX32}",
        f"{HEX32}  /etc/nginx/nginx.conf",
        "/var/lib/postgresql/16/main/pg_wal/000000010000000000000003",
        "postgresql@16-main.service, var-lib-mysql.mount, systemd-fsck@dev-disk-by\\x2duuid.service",
        'node_memory_MemAvailable_bytes{instance="10.0.0.5:9100",job="node"} 1.2e+09',
        "0-1-100, 3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5, 0/3000148",
        "password_encryption = scram-sha-256",
        "ssl_key_password_file=/etc/ssl/pass.txt token_type=opaque default_password_lifetime=0",
        "prompt_tokens=120 max_tokens: 30000",
        "docker run -p 8080:80 web; ssh -p 2222 host; mysql -P 3306 -p shop",
        "arn:aws:iam::123456789012:role/web i-0123456789abcdef0 vol-0123456789abcdef0",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2 ops@host",
        "host key fingerprint SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg",
        "redis://cache:6379/0 and http://[::1]:9090/api",
        "main.c:120:5: error: expected ';' | sig=SIGKILL core_dumped",
        "key_buffer_size=128M primary_key=17 keyboard: us",
        "nginx: $remote_addr $1 $6 costs",
        "passing 12 of 14 tests, pass: 12 fail: 2",
        "Access denied for user 'shop'@'10.0.0.5' (using password: YES)",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("a postgres://shop:x1@db/shop b") == f"a postgres://shop:{MASK}@db/shop b"
    assert redact('{"password": "x1", "port": 5}') == f'{{"password": "{MASK}", "port": 5}}'
    assert redact(f"before\n{PEM}\nafter") == f"before\n{MASK}\nafter"


def test_what_a_redacted_command_or_header_was_about_stays() -> None:
    assert redact("curl -s -u shop:x1 http://db/x") == f"curl -s -u shop:{MASK} http://db/x"
    assert redact("mysql -u root -px1 shop") == f"mysql -u root -p{MASK} shop"
    assert redact("Server=db;Password=x1;Encrypt=true") == f"Server=db;Password={MASK};Encrypt=true"
    assert redact(f"before\nx {KEY_LINE}\n-----END " + "PRIVATE KEY-----\nafter") == f"before\n{MASK}\nafter"


def test_a_structure_is_redacted_in_its_texts_its_keys_and_what_they_name() -> None:
    told = redact_tree(
        {
            "password": "hunter2",
            "api_keys": ["hunter2", "hunter2"],
            "nested": {"text": "token=hunter2", "why": ("postgres://a:hunter2@db",)},
            "password=hunter2": 1,
            "token_file": "/etc/token",
            "input_tokens": 1200,
            "note": Unreadable(),
        }
    )
    assert "hunter2" not in str(told)
    assert told["input_tokens"] == 1200 and told["token_file"] == "/etc/token"
    assert told["nested"]["why"] == [f"postgres://a:{MASK}@db"]


def test_a_structure_without_end_has_one() -> None:
    endless: dict[str, Any] = {"a": 1}
    endless["self"] = endless
    assert MASK in str(redact_tree(endless))


class Unreadable:
    def __str__(self) -> str:
        return "Unreadable(password='hunter2')"


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
    "names of files": "'password_file' * 20000",
    "escaped quotes": "'password' + '\\\\' * 262144",
    "counts": "'tokens: ' * 32768",
    "commands": "'mysql curl mongo login redis-cli ldap ' * 7000 + '-p -u -a -w'",
    "options": "'mysql' + ' -a' * 87000",
    "logins": "'login a ' * 32768 + 'password '",
    "pairs": "'a:' * 131072 + 'chpasswd'",
    "SQL quotes": "'password' + \"'\" * 262144",
    "hashes": "'$6$' * 87000",
    "slack": "'hooks.slack.com/a' * 15000",
    "key ends": "'-----END ' * 1 + 'PRIVATE KEY-----' + ('-----END ' + 'PRIVATE KEY-----') * 10000",
    "key lines": "('a' * 64 + ' ' * 100 + chr(10)) * 1500 + '-----END ' + 'PRIVATE KEY-----'",
    "key blanks": "'a' * 64 + ' ' * 262144 + chr(10) + '-----END ' + 'PRIVATE KEY-----'",
    "cookies": "'cookie: ' * 32768",
    "connections": "';password=' * 26000 + ';'",
    "oracle": "'jdbc:oracle:thin:' * 15000",
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
