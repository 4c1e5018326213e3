"""The targets of notices as they are configured, ready to be sent to. Kept apart, as apprise is slow to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from graph.rules.notifying import Link, Listener
from server.auth import read_token
from server.notify_settings import WEBHOOK, NotifySettings, Target
from server.settings_errors import ConfigError
from server.store.deliveries import Telling
from tools.notify import HttpNotifier, Notifier
from tools.redaction import redact


@dataclass(frozen=True)
class Directory:
    """Who can be told, by name, and how it is decided who is."""

    telling: Telling = field(default_factory=Telling)
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)

    async def close(self) -> None:
        for notifier in self.notifiers.values():
            await notifier.close()


def make_directory(notify: NotifySettings | None) -> Directory:
    """Every target, ready. Raises ConfigError for all that can't be, without showing a URL."""
    if notify is None:
        return Directory()
    notifiers: dict[str, Notifier] = {}
    problems: list[str] = []
    if notify.url is not None:
        token = read_token(notify.token_file) if notify.token_file else None
        notifiers[WEBHOOK] = HttpNotifier(notify.url, redact, token, notify.timeout_seconds)
    for index, target in enumerate(notify.targets):
        try:
            notifiers[target.name] = open_target(target)
        except ConfigError as error:
            problems += [f"targets[{index}] ({target.name}): {problem}" for problem in error.problems]
    if problems:
        raise ConfigError("notify", problems)
    return Directory(telling_of(notify), notifiers)


def open_target(target: Target) -> Notifier:
    """One target. Raises ConfigError where apprise can't make anything of its URL."""
    from tools.notify_apprise import AppriseNotifier, UnknownService

    url = target.url.get_secret_value() if target.url is not None else _read(target.url_file)
    try:
        return AppriseNotifier(target.name, url.strip(), target.timeout_seconds)
    except UnknownService as error:
        raise ConfigError("notify", [str(error)]) from None


def telling_of(notify: NotifySettings) -> Telling:
    """Who listens to what, in the terms of the rules."""
    webhook = [Listener(WEBHOOK, frozenset(notify.events))] if notify.url is not None else []
    targets = [
        Listener(
            target.name,
            frozenset(target.events),
            None if target.kinds is None else frozenset(target.kinds),
            None if target.groups is None else frozenset(target.groups),
        )
        for target in notify.targets
    ]
    return Telling(
        listeners=(*webhook, *targets),
        chain=tuple(Link(link.after_minutes, link.to) for link in notify.chain),
        fold=timedelta(minutes=notify.fold_minutes),
        max_per_hour=notify.max_per_hour,
        digest_after=timedelta(minutes=notify.digest_minutes),
        unlimited=frozenset({WEBHOOK}),
    )


def _read(file: Path | None) -> str:
    assert file is not None, "a target has a url or a url_file"
    try:
        url = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError("notify", [f"url_file {file} can't be read: {said}"]) from None
    if not url:
        raise ConfigError("notify", [f"url_file {file} is empty: write the apprise URL into it"])
    return url
