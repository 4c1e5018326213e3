"""The pages of coming and going: /login, /logout, and the way to a provider and back."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from server.access.forms import fields_of, is_form
from server.access.middleware import COOKIE, session_cookie
from server.access.oidc import COOKIE as ON_THE_WAY
from server.access.oidc import NotProven, Provider, ProviderAway
from server.access.origins import Origin, Origins, safe_next
from server.access.rules import LOGIN, LOGOUT, OIDC_CALLBACK, OIDC_START
from server.access.secrets import digest
from server.access.settings import AccessSettings
from server.access.sign_in import From, Refused, SignIn
from server.console.rendering import render
from server.errors import ApiError
from server.store.signing_in import Session, SigningIn
from server.store.who import Who


class Doors:
    """The routes' parts, and what their pages have in common."""

    def __init__(self, settings: AccessSettings, sign_in: SignIn, store: SigningIn) -> None:
        self.settings = settings
        self.sign_in = sign_in
        self.store = store
        self.origins = Origins(settings)
        self.provider = Provider(settings.oidc) if settings.oidc else None

    def came(self, request: Request) -> From:
        session_id = session_cookie(request.headers)
        return From(_origin(request).address, digest(session_id) if session_id else None)

    def page(self, request: Request, next_path: str, refused: Refused | None = None, token: str = "") -> HTMLResponse:
        """The login page, with why it was of no use where it was."""
        page = render(
            request,
            "login.html",
            refused.status if refused else 200,
            error=refused.said if refused else "",
            next=next_path,
            oidc=self.provider is not None,
            one_time=not self.settings.configured,
            token=token,
        )
        if refused and refused.retry_after_seconds is not None:
            page.headers["Retry-After"] = str(refused.retry_after_seconds)
        return page

    def on(self, request: Request, session_id: str, next_path: str) -> Response:
        """Signed in: on to the page that was wanted."""
        response = RedirectResponse(next_path, 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE,
            session_id,
            max_age=int(self.settings.session_hours * 3600),
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.origins.secure(_origin(request)),
        )
        return response


def login_routes(doors: Doors) -> APIRouter:
    """Signing in by name and password, or by the one-time token; and out."""
    router = APIRouter(tags=["access"])

    @router.get(LOGIN, summary="The page to sign in at", response_class=HTMLResponse)
    async def login(request: Request) -> Response:
        asked = request.query_params
        return doors.page(request, safe_next(asked.get("next")), token=asked.get("token", "")[:200])

    @router.post(LOGIN, summary="Sign in, by the page's form", response_class=HTMLResponse)
    async def sign_in(request: Request) -> Response:
        if not is_form(request.headers):
            raise ApiError(415, "only the form of the page signs in", "body", "programs send a token instead")
        form = fields_of(await request.body())
        next_path, came = safe_next(form.get("next")), doors.came(request)
        try:
            if token := form.get("token", "").strip():
                session_id = await doors.sign_in.by_one_time_token(token, came)
            else:
                session_id = await doors.sign_in.by_password(
                    form.get("name", "").strip(), form.get("password", ""), came
                )
        except Refused as refused:
            return doors.page(request, next_path, refused)
        return doors.on(request, session_id, next_path)

    @router.post(LOGOUT, summary="Sign out", status_code=303, response_class=RedirectResponse)
    async def logout(request: Request) -> Response:
        session = getattr(request.state, "session", None)
        if isinstance(session, Session):
            await doors.store.close_session(session.digest, Who(session.name, session.via, _origin(request).address))
        response = RedirectResponse(LOGIN, 303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return response

    _single_sign_on(router, doors)
    return router


def _single_sign_on(router: APIRouter, doors: Doors) -> None:
    away = Refused(503, "the sign-on service does not answer as it should: try again, or sign in with a name")

    def provider() -> Provider:
        if doors.provider is None:
            raise ApiError(404, "no single sign-on is set up here", remedy="declare access.oidc")
        return doors.provider

    @router.get(OIDC_START, summary="To the OpenID provider")
    async def leave(request: Request) -> Response:
        there, next_path, origin = provider(), safe_next(request.query_params.get("next")), _origin(request)
        callback = doors.origins.base(request.scope, request.headers, origin) + OIDC_CALLBACK
        try:
            return await there.leave(request, callback, next_path, doors.origins.secure(origin))
        except ProviderAway:
            return doors.page(request, next_path, away)

    @router.get(OIDC_CALLBACK, summary="Back from the OpenID provider")
    async def back(request: Request) -> Response:
        there, came = provider(), doors.came(request)
        try:
            response = await _arrived(request, there, came)
        except Refused as refused:
            response = doors.page(request, "/", refused)
        response.delete_cookie(ON_THE_WAY, path=OIDC_START, httponly=True, samesite="lax")
        return response

    async def _arrived(request: Request, there: Provider, came: From) -> Response:
        attempt = await doors.sign_in.provider_attempt(came)
        try:
            claims, next_path = await there.back(request)
        except ProviderAway as error:
            await doors.sign_in.forgive(attempt)
            raise away from error
        except NotProven as error:
            await doors.sign_in.provider_failed(str(error), came, attempt)
            raise Refused(401, "the sign-on service did not prove who you are: try again") from error
        session_id = await doors.sign_in.by_provider(claims, came)
        await doors.sign_in.forgive(attempt)
        return doors.on(request, session_id, safe_next(next_path))


def _origin(request: Request) -> Origin:
    origin = request.state.origin
    assert isinstance(origin, Origin), "the middleware sets it"
    return origin


def sign_in_link(base: str, token: str) -> str:
    """Where the holder of a one-time token signs in."""
    return f"{base}{LOGIN}?token={quote(token, safe='')}"
