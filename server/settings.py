"""One settings model, from selfheal.yaml and `SELFHEAL_…` variables: the only reader of both.

A wrong key must stop the start rather than be ignored, because a misspelt safety setting is a missing one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from graph.ports import HealSettings, InquiryLimits
from graph.records import Resource
from graph.rules.freezing import FreezeWindow
from server.access.settings import AccessSettings
from server.alertmanager_settings import AlertmanagerSettings
from server.fleet_settings import FleetSettings
from server.inventory import misfits
from server.model_settings import Investigate
from server.model_settings import LlmSettings as LlmSettings
from server.notify_settings import NotifySettings
from server.retention_settings import RetentionSettings
from server.section import Section, http_url
from server.settings_errors import ConfigError, problems_of
from server.store.fleet import FleetRules
from server.store.postgres import is_postgres, plain_url
from server.storm_settings import FlappingSettings, StormSettings
from server.yaml_file import read_yaml

CONFIG_VARIABLE = "SELFHEAL_CONFIG"
DEFAULT_CONFIG = "selfheal.yaml"
PREFIX = "SELFHEAL_"
MEBIBYTE = 1024 * 1024
TOKEN_VARIABLE = "SELFHEAL_TOKEN"
OWN_VARIABLES = frozenset({CONFIG_VARIABLE, TOKEN_VARIABLE, "SELFHEAL_SERVER", "SELFHEAL_STUDIO_EXECUTE"})
"""Variables of ours that are no settings."""


class Listen(Section):
    """Where `serve` listens. Loopback unless told otherwise: a reverse proxy should bring TLS."""

    host: str = "127.0.0.1"
    port: int = Field(default=8780, ge=0, le=65535)


class PrometheusSettings(Section):
    url: str = "http://127.0.0.1:9090"
    timeout_seconds: float = Field(default=5.0, gt=0, le=300)

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return http_url(url).rstrip("/")


class TokenFile(Section):
    """A file with one token, made on first start (mode 0600) where it is absent."""

    token_file: Path


class Healing(Section):
    """How heals behave. All times in seconds."""

    soak_seconds: float = Field(default=30.0, ge=0, le=86_400)
    verify_timeout_seconds: float = Field(default=180.0, gt=0, le=86_400)
    verify_interval_seconds: float = Field(default=2.0, ge=0.1, le=600)
    looks: int = Field(default=2, ge=1, le=10)
    look_again_seconds: float = Field(default=5.0, ge=0, le=600)
    approval_timeout_seconds: float = Field(default=3600.0, gt=0, le=30 * 86_400)
    max_actions_per_hour: int = Field(default=12, ge=0, le=10_000)
    demotes: bool = True
    """Whether a repair that was rolled back or found wrong makes its kind and issue type ask from then on."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _time_to_soak(self) -> Self:
        if self.verify_timeout_seconds <= self.soak_seconds:
            raise ValueError(
                f"verify_timeout_seconds ({self.verify_timeout_seconds:g}) must exceed soak_seconds "
                f"({self.soak_seconds:g}), or no repair could ever be seen to hold: raise the first or lower the second"
            )
        return self


class Limits(Section):
    max_body_bytes: int = Field(default=MEBIBYTE, ge=1024, le=64 * MEBIBYTE)
    max_queued: int = Field(default=10_000, ge=1)
    """Open, unstarted incidents beyond which the webhook answers 503, for Alertmanager to retry."""


class Settings(BaseSettings):
    """Everything an operator may set. Paths are absolute once loaded."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", env_parse_none_str="null"
    )

    database_url: str = "sqlite:///selfheal.db"
    listen: Listen = Listen()
    prometheus: PrometheusSettings = PrometheusSettings()
    alertmanager: AlertmanagerSettings | None = None
    llm: LlmSettings | None = None
    webhook: TokenFile = TokenFile(token_file=Path("webhook.token"))
    operator: TokenFile = TokenFile(token_file=Path("operator.token"))
    access: AccessSettings = AccessSettings()
    resources: tuple[Resource, ...] = ()
    policies: Path | tuple[Any, ...] = ()
    """The policies themselves, or the path of a JSON file with them; read by `server.policies`."""
    runbooks: Path | None = None
    """A folder of the operators' own runbooks; read by `server.runbooks`."""
    notify: NotifySettings | None = None
    healing: Healing = Healing()
    freeze_windows: tuple[FreezeWindow, ...] = ()
    fleet: FleetSettings = FleetSettings()
    storms: StormSettings = StormSettings()
    flapping: FlappingSettings = FlappingSettings()
    limits: Limits = Limits()
    retention: RetentionSettings = RetentionSettings()
    worker_concurrency: int = Field(default=32, ge=1, le=256)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over the file, whose content comes as init arguments."""
        return env_settings, init_settings

    @field_validator("policies", mode="before")
    @classmethod
    def _path_or_list(cls, given: Any) -> Any:
        if given is None:
            return ()
        if isinstance(given, dict):
            given = given.get("policies", [given])
        if isinstance(given, str | Path):
            return Path(given)
        if isinstance(given, list | tuple):
            return tuple(given)
        raise ValueError("must be a list of policies, or the path of a JSON file with one")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if is_postgres(url):
            return plain_url(url)
        if not url.startswith("sqlite:///") or url.removeprefix("sqlite:///") in ("", ":memory:"):
            raise ValueError("must name a file, e.g. sqlite:///selfheal.db, or postgresql://user@host/database")
        return url

    @field_validator("freeze_windows")
    @classmethod
    def _unique_windows(cls, windows: tuple[FreezeWindow, ...]) -> tuple[FreezeWindow, ...]:
        names = [window.name for window in windows]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two windows are named {twice!r}: give each a name of its own")
        return windows

    @field_validator("resources")
    @classmethod
    def _unique_resources(cls, resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
        seen: dict[str, int] = {}
        for index, resource in enumerate(resources):
            if resource.key in seen:
                raise ValueError(
                    f"resources[{index}] declares {resource.key} again, after resources[{seen[resource.key]}]: "
                    "remove one of them, or give it another id"
                )
            seen[resource.key] = index
        if found := misfits(resources):
            raise ValueError("; ".join(found))
        return resources

    @property
    def database_file(self) -> Path | None:
        """The file of SQLite's database; None for PostgreSQL's, which several processes may share."""
        if is_postgres(self.database_url):
            return None
        return Path(self.database_url.removeprefix("sqlite:///"))

    def beside(self, name: str) -> Path:
        """A file beside SQLite's, e.g. `selfheal-checkpoints.db`: one file for all would slow accepting down."""
        file = self.database_file
        assert file is not None, "PostgreSQL has no file to be beside of"
        return file.with_name(f"{file.stem}-{name}.db")

    @property
    def heal_settings(self) -> HealSettings:
        investigate = self.llm.investigate if self.llm else Investigate(calls=0)
        healing = self.healing.model_dump(exclude={"demotes"})
        return HealSettings(**healing, inquiries=InquiryLimits(**investigate.model_dump()))

    @property
    def fleet_rules(self) -> FleetRules:
        healing, limits = self.healing, self.fleet.limits(self.resources)
        storms, damping = self.storms.rules(self.resources), self.flapping.damping
        return FleetRules(self.freeze_windows, healing.max_actions_per_hour, healing.demotes, limits, storms, damping)

    @property
    def public_url(self) -> str:
        """Where people reach this server, without a slash at its end."""
        base = self.notify.link_base if self.notify else None
        return (base or self.access.public_url or self.server_url).rstrip("/")

    @property
    def server_url(self) -> str:
        """Where the CLI of this machine reaches `serve`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.listen.host, self.listen.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.listen.port}"

    def incident_link(self, number: int) -> str:
        """Where people find an incident."""
        return f"{self.public_url}/incidents/{number}"


def load(path: str | Path | None = None) -> Settings:
    """Read the settings; `path` wins over SELFHEAL_CONFIG, which wins over ./selfheal.yaml.

    Raises ConfigError, which names the key and the remedy for every problem there is.
    """
    file = Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG).expanduser().absolute()
    content = read_yaml(file)
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise ConfigError(str(file), problems_of(error, Settings)) from error
    except SettingsError as error:
        raise ConfigError("environment", [f"{error}: give the value as JSON"]) from error
    return _resolved(settings, file.parent)


def personal_token() -> str | None:
    """A token of one's own for the command line, instead of the operator's file; None where there is none."""
    return os.environ.get(TOKEN_VARIABLE) or None


def unknown_variables() -> list[str]:
    """`SELFHEAL_…` variables that set nothing. Only told, not refused: Kubernetes makes such for a service so named."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX) and name not in OWN_VARIABLES and name.upper().split("__")[0] not in known
    )


def _resolved(settings: Settings, folder: Path) -> Settings:
    """Relative paths belong to the file that names them, not to wherever the process was started."""

    def absolute(path: str | Path) -> Path:
        return (folder / Path(path).expanduser()).absolute()

    def at(section: TokenFile) -> TokenFile:
        return section.model_copy(update={"token_file": absolute(section.token_file)})

    changes: dict[str, Any] = {
        "database_url": _absolute(settings.database_url, absolute),
        "webhook": at(settings.webhook),
        "operator": at(settings.operator),
        "access": settings.access.located(absolute),
        "resources": tuple(_reached(resource, absolute) for resource in settings.resources),
    }
    if isinstance(settings.policies, Path):
        changes["policies"] = absolute(settings.policies)
    if settings.alertmanager is not None:
        changes["alertmanager"] = settings.alertmanager.beside(absolute)
    if settings.runbooks is not None:
        changes["runbooks"] = absolute(settings.runbooks)
    if settings.notify:
        changes["notify"] = settings.notify.located(absolute)
    if settings.llm and settings.llm.api_key is None and (key := os.environ.get("OPENAI_API_KEY")):
        changes["llm"] = settings.llm.model_copy(update={"api_key": SecretStr(key)})
    return settings.model_copy(update=changes)


def _reached(resource: Resource, absolute: Callable[[str], Path]) -> Resource:
    changes: dict[str, Any] = {}
    if resource.ssh is not None:
        paths = {name: str(absolute(getattr(resource.ssh, name))) for name in ("key_file", "known_hosts")}
        changes["ssh"] = resource.ssh.model_copy(update=paths)
    if (database := resource.database) is not None:
        replication = database.replication
        if replication.password_file:
            at = {"password_file": str(absolute(replication.password_file))}
            database = database.model_copy(update={"replication": replication.model_copy(update=at)})
        if database.password_file:
            database = database.model_copy(update={"password_file": str(absolute(database.password_file))})
        changes["database"] = database
    return resource.model_copy(update=changes)


def _absolute(url: str, absolute: Callable[[str], Path]) -> str:
    return url if is_postgres(url) else f"sqlite:///{absolute(url.removeprefix('sqlite:///'))}"
