"""The settings of who may come in: what is refused in which words, and the commands that make their lines."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from server import exits
from server.access.secrets import Passwords, is_personal, token_hash
from server.access.settings import AccessSettings
from server.cli import run
from server.preflight import prepare
from server.settings import load
from server.settings_errors import ConfigError
from tests.server.people import CHEAP, PASSWORD

HASH = CHEAP.hash(PASSWORD)
TOKEN = "sha256:" + "0" * 64
A_VIEWER = f"{{name: a, role: viewer, token_hash: '{TOKEN}'}}"
OIDC = "issuer: https://sso.example.com, client_id: x"


def written(folder: Path, access: str) -> Path:
    file = folder / "selfheal.yaml"
    file.write_text(f"access: {access}")
    return file


def user(**keys: str) -> str:
    return json.dumps({"users": [{"name": "ann", "role": "viewer", "token_hash": TOKEN, **keys}]})


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (user(role="boss"), "access.users[0].role: Input should be 'viewer', 'approver' or 'admin' (given: 'boss')"),
        (user(name="operator"), "access.users[0].name: is a name the audit log uses for what is no single person"),
        (user(name="Self-Heal"), "access.users[0].name: is a name the audit log uses"),
        (user(name="a b"), "access.users[0].name: must be 1 to 64 letters"),
        (user(name=""), "access.users[0].name: must be 1 to 64 letters"),
        (user(password="x"), "access.users[0].password: unknown key, did you mean `password_hash`?"),
        (user(password_hash="hunter2"), "access.users[0].password_hash: is no argon2id hash: make one with `selfheal"),
        (user(password_hash=HASH.replace("argon2id", "argon2i")), "password_hash: is no argon2id hash"),
        (user(password_hash=HASH.replace("m=8192", "m=512")), "password_hash: is too cheap to guess"),
        (user(password_hash=HASH.replace("m=8192", "m=99999999")), "password_hash: takes too much to verify"),
        (user(token_hash="sh_ann_secret"), "access.users[0].token_hash: must be sha256: and 64 hex digits"),
        ("{users: [{name: ann, role: viewer}]}", "access.users[0]: ann could never sign in: add a password_hash"),
        (
            f"{{users: [{A_VIEWER}, {{name: A, role: admin, password_hash: '{HASH}'}}]}}",
            "access.users: two users are named 'a': give each a name of its own",
        ),
        (
            f"{{users: [{A_VIEWER}, {{name: b, role: admin, token_hash: '{TOKEN}'}}]}}",
            "access.users: two users have the same token_hash",
        ),
        (f"{{oidc: {{{OIDC}}}}}", "access.oidc: nobody could sign in: map values of roles_claim in `roles`"),
        (f"{{oidc: {{{OIDC}, roles: {{a: boss}}}}}}", "access.oidc.roles.a: Input should be 'viewer'"),
        (
            f"{{oidc: {{{OIDC}, default_role: viewer, client_secret: x, client_secret_file: y}}}}",
            "client_secret and client_secret_file are both given: keep one",
        ),
        ("{oidc: {issuer: 'http://sso.example.com', client_id: x}}", "access.oidc.issuer: must be https"),
        (f"{{oidc: {{{OIDC}, scopes: [profile], default_role: viewer}}}}", "access.oidc.scopes: must contain openid"),
        ("{trusted_proxies: [proxy.local]}", "access.trusted_proxies: 'proxy.local' is no address or network"),
        ("{public_url: heal.example.com}", "access.public_url: must be a URL"),
        ("{session_hours: 0}", "access.session_hours: Input should be greater than 0"),
        ("{user: []}", "access.user: unknown key, did you mean `users`?"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(tmp_path: Path, access: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, access))
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["password_hash", "token_hash"])
def test_a_password_put_in_the_place_of_a_hash_is_not_repeated(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, user(**{key: "hunter2-in-clear"})))
    assert "hunter2" not in str(caught.value)


def test_hashes_and_secrets_are_not_in_what_the_settings_print(tmp_path: Path) -> None:
    settings = load(written(tmp_path, user(password_hash=HASH)))
    assert HASH not in repr(settings) and TOKEN not in repr(settings)


def test_all_of_it_can_come_from_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [{"name": "ann", "role": "approver", "password_hash": HASH}]
    monkeypatch.setenv("SELFHEAL_ACCESS__USERS", json.dumps(users))
    monkeypatch.setenv("SELFHEAL_ACCESS__OIDC__CLIENT_SECRET", "from-outside")
    monkeypatch.setenv("SELFHEAL_ACCESS__SESSION_HOURS", "2")
    access = load(written(tmp_path, f"{{oidc: {{{OIDC}, roles: {{sre: admin}}}}}}")).access
    assert [(item.name, item.role) for item in access.users] == [("ann", "approver")]
    assert access.oidc is not None and access.oidc.client_secret is not None and access.session_hours == 2
    assert access.oidc.client_secret.get_secret_value() == "from-outside"


def test_the_secret_in_a_file_belongs_to_the_folder_of_the_settings_and_is_missed_before_the_start(
    tmp_path: Path,
) -> None:
    settings = load(written(tmp_path, f"{{oidc: {{{OIDC}, default_role: viewer, client_secret_file: oidc.secret}}}}"))
    assert settings.access.oidc is not None
    assert settings.access.oidc.client_secret_file == tmp_path / "oidc.secret"
    for content in (None, "\n"):
        if content is not None:
            (tmp_path / "oidc.secret").write_text(content)
        with pytest.raises(ConfigError, match=r"access\.oidc\.client_secret_file: .*write the client's secret there"):
            prepare(settings)


def test_single_sign_on_over_http_is_for_this_machine_only(tmp_path: Path) -> None:
    for host in ("127.0.0.1:9000", "localhost", "[::1]:9000"):
        load(written(tmp_path, f"{{oidc: {{issuer: 'http://{host}', client_id: x, default_role: viewer}}}}"))


async def test_the_line_that_is_printed_for_a_password_lets_it_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert run(["users", "hash"]) == exits.OK
    line = yaml.safe_load(capsys.readouterr().out)
    access = AccessSettings.model_validate({"users": [{"name": "ann", "role": "viewer", **line}]})
    passwords = Passwords(access.users)
    assert await passwords.right("ann", PASSWORD) and not await passwords.right("ann", PASSWORD + "x")
    passwords.close()


def test_a_short_password_is_refused_without_repeating_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hunter2\n"))
    assert run(["users", "hash"]) == exits.USAGE
    said = capsys.readouterr().err
    assert "12 to 1000 characters" in said and "hunter2" not in said


def test_a_new_token_and_its_line_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "token", "ci", "--json"]) == exits.OK
    made = json.loads(capsys.readouterr().out)
    assert is_personal(made["token"]) and made["token_hash"] == token_hash(made["token"])
    assert run(["users", "token", "ci"]) == exits.OK
    again = yaml.safe_load(capsys.readouterr().out)
    assert set(again) == {"token", "token_hash"} and again["token"] != made["token"]
    assert run(["users", "token", "a b"]) == exits.USAGE


def test_who_may_come_in_is_listed_without_their_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "list", "--config", str(written(tmp_path, "{}"))]) == exits.OK
    assert "prints a one-time admin token" in capsys.readouterr().out
    users = f"[{{name: ann, role: approver, password_hash: '{HASH}', token_hash: '{TOKEN}'}}]"
    oidc = f"{{{OIDC}, client_secret: very-secret, roles: {{sre: admin}}}}"
    file = str(written(tmp_path, f"{{users: {users}, oidc: {oidc}}}"))
    assert run(["users", "list", "--config", file]) == exits.OK
    told = capsys.readouterr().out
    assert re.search(r"ann +approver +password or token", told) and re.search(r"groups contains sre +admin", told)
    assert run(["users", "list", "--config", file, "--json"]) == exits.OK
    asked = capsys.readouterr().out
    found = json.loads(asked)
    assert found["users"] == [{"name": "ann", "role": "approver", "by": ["password", "token"]}]
    assert found["oidc"]["roles"] == {"sre": "admin"}
    for secret in ("very-secret", HASH, TOKEN):
        assert secret not in told and secret not in asked


def test_a_password_is_asked_for_where_nothing_is_piped_in() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "users", "hash"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert done.returncode == exits.USAGE and b"12 to 1000" in done.stderr
