"""Where requests come from, which pages may send them, and where nobody is led."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from server.access.origins import Origin, Origins, safe_next
from server.access.settings import AccessSettings


def origin(headers: dict[str, str], client: str = "10.0.0.1", scheme: str = "http", **access: Any) -> Origin:
    scope = {"type": "http", "client": (client, 1), "scheme": scheme}
    return Origins(AccessSettings.model_validate(access)).of(scope, Headers(headers))


FORWARDED = {"x-forwarded-for": "198.51.100.7, 203.0.113.9", "x-forwarded-proto": "https"}


def test_forwarded_headers_of_whom_nobody_trusts_are_not_believed() -> None:
    assert origin(FORWARDED) == Origin("10.0.0.1", False)
    assert origin(FORWARDED, trusted_proxies=["10.0.0.2"]) == Origin("10.0.0.1", False)
    assert origin({}, scheme="https") == Origin("10.0.0.1", True)


def test_a_trusted_proxy_is_believed_as_far_as_trusted_ones_wrote() -> None:
    assert origin(FORWARDED, trusted_proxies=["10.0.0.0/24"]) == Origin("203.0.113.9", True)
    both = ["10.0.0.1", "203.0.113.9"]
    assert origin(FORWARDED, trusted_proxies=both) == Origin("198.51.100.7", True)
    assert origin(FORWARDED, client="::ffff:10.0.0.1", trusted_proxies=["10.0.0.1"]).address == "203.0.113.9"
    assert origin({"x-forwarded-for": "evil, <script>"}, trusted_proxies=["10.0.0.1"]) == Origin("10.0.0.1", False)
    assert origin({"x-forwarded-proto": "https, http"}, trusted_proxies=["10.0.0.1"]).https is False


def test_our_own_pages_may_send_also_behind_a_proxy_and_programs_too() -> None:
    ours = Origins(AccessSettings(public_url="https://heal.example.com"))
    own: tuple[dict[str, str], ...] = (
        {},
        {"origin": "http://10.0.0.1:8780"},
        {"origin": "https://heal.example.com"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://name-the-proxy-took-away"},
    )
    for headers in own:
        assert not ours.foreign(Headers({"host": "10.0.0.1:8780", **headers})), headers
    for value in ("http://10.0.0.1", "http://10.0.0.1:8781", "null", "", "http://[", "https://heal.example.com.evil"):
        assert ours.foreign(Headers({"host": "10.0.0.1:8780", "origin": value})), value


@pytest.mark.parametrize(
    "path", ["/", "/incidents", "/incidents/1?tab=plan&x=%2F%2F", "/a-b_c~d.e/*", "/?next=http://x"]
)
def test_a_path_of_ours_is_gone_on_to(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "incidents",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/\u2044evil.example",
        "/" + "x" * 3_000,
        "/login",
        "/login?next=/login",
        "/logout",
        "/login/oidc",
        "http:/evil.example",
        "/ /evil.example",
    ],
)
def test_anywhere_else_is_not(path: str | None) -> None:
    assert safe_next(path) == "/"
