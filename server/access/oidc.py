"""Single sign-on by an OpenID provider: Authlib leads there and back (state, nonce, PKCE) and verifies
the ID token.

What Authlib leaves to its caller is asked for here: that the provider found is the one declared, that the token was
made for us, and that it is signed by a key of the provider's, never by a secret or by nothing.

Authlib is loaded only where a provider is declared: a start would take a tenth longer for it.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from server.access.oidc_secret import secret_of
from server.access.settings import OidcSettings

log = logging.getLogger("selfheal.access")

COOKIE = "selfheal_oidc"
ON_THE_WAY_SECONDS = 600
TIMEOUT_SECONDS = 10.0
LEEWAY_SECONDS = 60
SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)


class ProviderAway(Exception):
    """The provider can't be asked, or answers what can't be used."""


class NotProven(Exception):
    """What came back from the provider proves nobody's identity."""


class Provider:
    """One OpenID provider. Nothing is asked of it before somebody signs in."""

    def __init__(self, settings: OidcSettings) -> None:
        from authlib.integrations.starlette_client import OAuth

        self._issuer = settings.issuer
        self._client_id = settings.client_id
        # A key for this process alone: who is on the way during a restart begins anew.
        self._signer = URLSafeTimedSerializer(secrets.token_urlsafe(32), salt=COOKIE)
        # PKCE is asked for whatever the provider says it supports.
        client = {"scope": " ".join(settings.scopes), "code_challenge_method": "S256", "timeout": TIMEOUT_SECONDS}
        self._app: Any = OAuth().register(
            "provider",
            client_id=settings.client_id,
            client_secret=secret_of(settings),
            server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs=client,
        )

    async def leave(self, request: Request, callback: str, next_path: str, secure: bool) -> Response:
        """Lead the browser to the provider. Raises ProviderAway."""
        request.scope["session"] = {}
        try:
            await self._found()
            response: Response = await self._app.authorize_redirect(request, callback)
        except ProviderAway:
            raise
        except Exception as error:  # whatever the library and a stranger's server may come up with
            raise _away(error) from error
        kept = self._signer.dumps({"session": request.session, "next": next_path})
        text = kept if isinstance(kept, str) else kept.decode()
        # Lax, as the way back is a navigation from the provider's page.
        response.set_cookie(
            COOKIE, text, ON_THE_WAY_SECONDS, path="/login/oidc", httponly=True, samesite="lax", secure=secure
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    async def back(self, request: Request) -> tuple[dict[str, Any], str]:
        """The claims of a verified ID token, and where to go on. Raises NotProven, ProviderAway."""
        from authlib.integrations.base_client import OAuthError
        from joserfc.errors import JoseError

        try:
            kept = self._signer.loads(request.cookies.get(COOKIE, ""), max_age=ON_THE_WAY_SECONDS)
        except BadSignature:
            raise NotProven("this browser did not begin to sign in, or too long ago") from None
        request.scope["session"] = kept["session"]
        wanted = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "values": [self._client_id]},
        }
        try:
            await self._found()
            token = await self._app.authorize_access_token(request, claims_options=wanted, leeway=LEEWAY_SECONDS)
        except (OAuthError, JoseError) as error:
            raise NotProven(f"{type(error).__name__}: {error}"[:300]) from error
        except ProviderAway:
            raise
        except Exception as error:  # as above
            raise _away(error) from error
        if not token.get("userinfo"):
            raise NotProven("the provider sent no ID token")
        return dict(token["userinfo"]), str(kept["next"])

    async def _found(self) -> None:
        metadata = await self._app.load_server_metadata()
        if metadata.get("issuer") != self._issuer:
            self._app.server_metadata.clear()
            said = f"it calls itself {metadata.get('issuer')!r:.200}, not {self._issuer}: correct access.oidc.issuer"
            log.error("the OpenID provider is not the one declared: %s", said)
            raise ProviderAway(said)
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in SIGNATURES] or [
            "RS256"
        ]


def _away(error: Exception) -> ProviderAway:
    log.warning("the OpenID provider can't be asked: %s: %s", type(error).__name__, error)
    return ProviderAway(f"{type(error).__name__}"[:100])
