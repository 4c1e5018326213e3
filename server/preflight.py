"""What must be right before anything starts: names in the configuration that stand for things in the code.

Cheap and without any I/O to the world; whether the world is as the configuration says is `selfheal doctor`'s to find.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents import known_kinds
from graph.kind import ResourceKind
from graph.records import Policy
from server.access.oidc_secret import secret_of
from server.auth import Tokens, load_tokens
from server.notify_targets import make_directory
from server.policies import load_policies
from server.scoping import unknown_scope
from server.services import Services
from server.settings import Settings
from server.settings_errors import ConfigError, known_instead
from server.store import Store
from tools.clients.providers import PROVIDERS


def prepare(settings: Settings) -> Services:
    """Open the store and make the light parts. Raises ConfigError, StoreError; the caller closes the store."""
    kinds, policies = checked(settings)
    make_directory(settings.notify)  # An unusable target stops the start, rather than be missed in the night.
    if settings.access.oidc is not None:
        secret_of(settings.access.oidc)
    tokens: Tokens = load_tokens(settings.webhook.token_file, settings.operator.token_file)
    return Services(settings, Store.open(settings.database_url, rules=settings.fleet_rules), tokens, kinds, policies)


def checked(settings: Settings) -> tuple[Mapping[str, ResourceKind], tuple[Policy, ...]]:
    """The known kinds and the policies. Raises ConfigError for every unknown name."""
    kinds = known_kinds()
    problems = [*_unknown_kinds(settings, kinds), *_unknown_providers(settings)]
    if problems:
        raise ConfigError("resources", problems)
    if problems := _unknown_scopes(settings, kinds):
        raise ConfigError("freeze_windows", problems)
    if problems := _unknown_kinds_of_targets(settings, kinds):
        raise ConfigError("notify", problems)
    actions = {action for kind in kinds.values() for action in kind.actions}
    if problems := settings.fleet.unknown(settings.resources, actions):
        raise ConfigError("fleet", problems)
    return kinds, load_policies(settings.policies, kinds, actions)


def _unknown_kinds(settings: Settings, kinds: Mapping[str, ResourceKind]) -> list[str]:
    known = ", ".join(sorted(kinds))
    return [
        f"resources[{index}].kind: unknown kind {resource.kind!r}: known are {known}"
        for index, resource in enumerate(settings.resources)
        if resource.kind not in kinds
    ]


def _unknown_kinds_of_targets(settings: Settings, kinds: Mapping[str, ResourceKind]) -> list[str]:
    return [
        f"targets[{index}].kinds: unknown kind {kind!r}{known_instead(kind, kinds)}"
        for index, target in enumerate(settings.notify.targets if settings.notify else ())
        for kind in target.kinds or ()
        if kind not in kinds
    ]


def _unknown_scopes(settings: Settings, kinds: Mapping[str, ResourceKind]) -> list[str]:
    return [
        f"freeze_windows[{index}].scope: {problem}"
        for index, window in enumerate(settings.freeze_windows)
        if (problem := unknown_scope(window.scope, kinds, settings.resources))
    ]


def _unknown_providers(settings: Settings) -> list[str]:
    known = [name for name, _ in PROVIDERS]
    return [
        f"resources[{index}].provider.name: unknown provider {resource.provider.name!r}: known are {', '.join(known)}"
        for index, resource in enumerate(settings.resources)
        if resource.provider.name not in known
    ]
