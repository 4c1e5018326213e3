"""Where a request comes from and where it may be led: address and scheme, foreign pages, safe next pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from server.access.settings import AccessSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HOME = "/"


@dataclass(frozen=True)
class Origin:
    """The address a request came from, and whether its browser used https."""

    address: str
    https: bool


class Origins:
    """Reads them by the settings."""

    def __init__(self, settings: AccessSettings) -> None:
        self._proxies: Sequence[Network] = [
            ipaddress.ip_network(item, strict=False) for item in settings.trusted_proxies
        ]
        self._public = urlsplit(settings.public_url or "")

    def of(self, scope: Scope, headers: Headers) -> Origin:
        """Forwarded headers count where the peer is a trusted proxy, as far as trusted ones wrote them."""
        client = scope.get("client")
        address, https = (str(client[0]) if client else ""), scope.get("scheme") == "https"
        if not self._trusted(address):
            return Origin(address, https)
        if proto := headers.getlist("x-forwarded-proto"):
            https = proto[-1].rpartition(",")[2].strip().lower() == "https"
        for hop in reversed([hop.strip() for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]):
            if not _is_address(hop):
                break
            address = hop
            if not self._trusted(hop):
                break
        return Origin(address, https)

    def secure(self, origin: Origin) -> bool:
        """Whether a cookie may be kept to https."""
        return origin.https or self._public.scheme == "https"

    def base(self, scope: Scope, headers: Headers, origin: Origin) -> str:
        """The URL people reach the server at, without a slash behind it."""
        if self._public.netloc:
            return self._public.geturl()
        return f"{'https' if origin.https else 'http'}://{headers.get('host', 'localhost')}"

    def foreign(self, headers: Headers) -> bool:
        """Whether a page of somebody else's sends this. Programs that are no browser send neither header."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        if (sender := headers.get("origin")) is None:
            return False
        ours = {headers.get("host", "").lower(), self._public.netloc.lower()} - {""}
        try:
            return urlsplit(sender).netloc.lower() not in ours
        except ValueError:
            return True

    def _trusted(self, address: str) -> bool:
        if not self._proxies or not _is_address(address):
            return False
        found = ipaddress.ip_address(address)
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._proxies)


def safe_next(path: str | None) -> str:
    """The path to go on to after signing in, where it is one of ours; else the first page.

    Browsers take `//host`, `/\\host` and the same with tabs in between for other hosts.
    """
    if not path or len(path) > 2_000 or not path.startswith("/") or path.startswith("//"):
        return HOME
    if not path.isascii() or not path.isprintable() or "\\" in path or " " in path:
        return HOME
    try:
        parts = urlsplit(path)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return HOME
    return HOME if parts.path in ("/login", "/logout") or parts.path.startswith("/login/") else path


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
