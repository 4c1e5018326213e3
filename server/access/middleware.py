"""Closed by default: who asks is found out, and what they may, before anything else looks at a request."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.actor import Actor
from server.access.directory import Directory
from server.access.forms import fields_of, is_form, read_ahead
from server.access.origins import Origins, safe_next
from server.access.rules import LOGIN, LOGOUT, SAFE_METHODS, WEBHOOKS, is_open, knows, refusal
from server.access.secrets import csrf_token, digest, same
from server.access.settings import AccessSettings
from server.auth import Tokens, presented_token
from server.console.page_route import error_page
from server.errors import ApiError, unavailable
from server.store import StoreError
from server.store.signing_in import Session, SigningIn

COOKIE = "selfheal_session"
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf_token"
SEEN_SECONDS = 60.0
"""A session's last use is written down no more often."""


class RequireActor:
    """ASGI middleware: lets a request on only with an actor who may make it, else answers 401, 403 or leads to /login.

    Sets `request.state.actor` and `request.state.origin`; for sessions `csrf_token` and `session` too.
    """

    def __init__(
        self, app: ASGIApp, settings: AccessSettings, tokens: Tokens, store: SigningIn, max_bytes: int
    ) -> None:
        self.app = app
        self._origins = Origins(settings)
        self._directory = Directory(settings, tokens)
        self._store = store
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # No websockets are served; a handshake must not slip past the check.
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            receive = await self._let_in(scope, receive)
        except ApiError as error:
            await _refused(scope, error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        """Raises ApiError for whom is not; returns the `receive` to go on with."""
        headers, path, method = Headers(scope=scope), str(scope["path"]), str(scope["method"])
        state = scope.setdefault("state", {})
        state["origin"] = origin = self._origins.of(scope, headers)
        if method not in SAFE_METHODS and self._origins.foreign(headers):
            remedy = "send it from a page of this server; behind a proxy set access.public_url"
            raise ApiError(403, "a page of another site sent this", "Origin", remedy)
        if is_open(path, method):
            return receive
        token = presented_token(headers.raw)
        actor = self._directory.by_token(token, origin.address) if token is not None else None
        session_id = None if "authorization" in headers else session_cookie(headers)
        if session_id is not None and (session := await self._session(session_id)) is not None:
            role = self._directory.role_of(session, self._store.now)
            actor = Actor(session.name, role, session.via, origin.address) if role else None
            state["session"], state["csrf_token"] = session, csrf_token(session_id)
        if actor is None or not knows(actor, path):
            raise _unknown(path, headers, token is not None, session_id is not None)
        if said := refusal(actor, path, method):
            raise ApiError(403, said, remedy="ask an admin for the role")
        if session_id is not None and method not in SAFE_METHODS:
            receive = await self._with_csrf(headers, receive, state["csrf_token"])
        if session_id is not None:
            await self._seen(state["session"])
        state["actor"] = actor
        return receive

    async def _with_csrf(self, headers: Headers, receive: Receive, wanted: str) -> Receive:
        given = headers.get(CSRF_HEADER)
        if given is None and is_form(headers):
            body, receive = await read_ahead(receive, self._max_bytes)
            given = fields_of(body).get(CSRF_FIELD)
        if given is None or not same(given, wanted):
            remedy = f"reload the page; programs send the session's token as {CSRF_HEADER}, or use a token of their own"
            raise ApiError(403, "the form is from another session, or from no page of ours", CSRF_FIELD, remedy)
        return receive

    async def _session(self, session_id: str) -> Session | None:
        try:
            return await self._store.session(digest(session_id))
        except Exception as error:  # no answer of the store lets anybody in
            raise unavailable("the store is not usable now: nobody's session can be looked up") from error

    async def _seen(self, session: Session) -> None:
        if self._store.now - session.last_seen_at > timedelta(seconds=SEEN_SECONDS):
            with suppress(StoreError):  # Reading must go on where nothing can be written.
                await self._store.seen(session.digest)


def session_cookie(headers: Headers) -> str | None:
    """The id of the session a browser sent."""
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return found if 20 <= len(found) <= 100 and found.isascii() else None


def _unknown(path: str, headers: Headers, sent: bool, signed_in: bool) -> ApiError:
    which = "webhook's or the operator's" if path.startswith(WEBHOOKS) else "operator's or your own"
    problem = "the token sent does not open this path" if sent else "no token was sent"
    if signed_in and not sent:
        problem = "the session is over"
    remedy = f"send the {which} token as `Authorization: Bearer …`, or as the password of basic authentication"
    error = ApiError(401, problem, "Authorization", remedy)
    error.headers = {"WWW-Authenticate": "Bearer"}
    return error


def _refused(scope: Scope, error: ApiError) -> Response:
    """A browser gets words; where nobody is signed in, the way to the login and back. A program gets JSON."""
    headers = Headers(scope=scope)
    page = "text/html" in headers.get("accept", "") and "authorization" not in headers
    if error.status_code != 401:
        programs = str(scope["path"]).startswith(("/api/", WEBHOOKS))
        return error_page(Request(scope), error.status_code, error.body) if page and not programs else error.response()
    if page:
        here = str(scope["path"]) + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        back = safe_next(quote(here, safe="/?&=%+:,;@!$'()*~-._")) if scope["method"] in SAFE_METHODS else "/"
        to = LOGIN if back == "/" or scope["path"] == LOGOUT else f"{LOGIN}?next={quote(back, safe='/')}"
        return RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})
    response = error.response()
    told = MutableHeaders(raw=response.raw_headers)
    if "hx-request" in headers:
        told["HX-Redirect"] = LOGIN
    # A browser that is told of basic authentication asks by a box of its own, and sends what it got ever after.
    if "sec-fetch-mode" not in headers and "cookie" not in headers:
        told.append("WWW-Authenticate", 'Basic realm="Self-Heal", charset="UTF-8"')
    return response
