"""The client's secret at the provider, from the settings or a file of its own."""

from __future__ import annotations

from server.access.settings import OidcSettings
from server.settings_errors import ConfigError


def secret_of(settings: OidcSettings) -> str | None:
    """The client's secret, or None of a public client. Raises ConfigError where its file can't be read."""
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    if (file := settings.client_secret_file) is None:
        return None
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"access.oidc.client_secret_file: can't be read: {error}: write the client's secret there"
        raise ConfigError(str(file), [problem]) from error
    if not secret:
        raise ConfigError(str(file), ["access.oidc.client_secret_file: is empty: write the client's secret there"])
    return secret
