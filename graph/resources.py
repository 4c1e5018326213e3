"""Resources as operators declare them: how each is reached, and all that may be done about it.

A repair is bounded by what is declared here: a folder that is not a declared root is not cleaned, a security group gets
no rule that is not declared, a disk is never grown beyond its declared size.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from graph.record import Record

ServiceManagerName = Literal["systemd", "supervisord"]
Engine = Literal["postgresql", "mariadb", "mysql"]
Role = Literal["primary", "replica"]


# -- how it is reached ---------------------------------------------------------------------------------


class SshAccess(Record):
    """How to reach a host. `known_hosts` must hold its key: an unknown host is refused."""

    user: str
    key_file: str
    known_hosts: str
    port: int = Field(default=22, ge=1, le=65535)
    sudo: bool | None = None
    """Whether commands that change something go through `sudo -n`; by default unless the user is root."""

    @property
    def uses_sudo(self) -> bool:
        return self.user != "root" if self.sudo is None else self.sudo


class ProviderAccess(Record):
    """Which instance of which provider the resource is. `none` for hosts reached by SSH only."""

    name: str = "none"
    region: str | None = None
    instance_id: str | None = None
    endpoint_url: str | None = None


class ServiceManagerAccess(Record):
    """What runs the services: systemd, or supervisord with its `config` and `command` (paths on the host)."""

    name: ServiceManagerName = "systemd"
    config: str | None = None
    command: str | None = None


class HealthCheck(Record):
    """What must hold for the resource to be called healthy: exactly one of `http`, `tcp`, `service`."""

    http: str | None = None
    tcp: str | None = None
    service: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(value is not None for value in (self.http, self.tcp, self.service)) != 1:
            raise ValueError("a health check names exactly one of http, tcp, service")
        return self

    @property
    def name(self) -> str:
        """A short stable name: `http http://…`, `tcp host:port`, `service nginx`."""
        kind, value = next((k, v) for k, v in self.model_dump().items() if v is not None)
        return f"{kind} {value}"


# -- what may be done about it -------------------------------------------------------------------------


class Volume(Record):
    """A disk that may be grown: the file system at `mount`, never beyond `max_gib`.

    `volume_id` is the provider's; `device` the block device on the host, found by the mount where it is absent.
    """

    mount: str = Field(pattern=r"^/[^\x00\n]*$")
    max_gib: float = Field(gt=0)
    step_gib: float = Field(default=10, gt=0)
    """How much one repair adds at most."""
    volume_id: str | None = None
    device: str | None = Field(default=None, pattern=r"^/dev/[A-Za-z0-9/_.-]+$")


class Cleanup(Record):
    """Where files that nobody misses may be removed: only below these folders, only of these kinds, never user data."""

    log_roots: tuple[str, ...] = ("/var/log",)
    """Rotated logs below are removed, unrotated ones rotated."""
    tmp_roots: tuple[str, ...] = ("/tmp", "/var/tmp")
    core_roots: tuple[str, ...] = ("/var/lib/systemd/coredump", "/var/crash")
    package_cache: bool = True
    journal_keep_mib: int = Field(default=64, ge=8)
    min_age_minutes: int = Field(default=60, ge=0)
    """Files touched since are left alone."""
    restart_units: tuple[str, ...] = ()
    """Units besides the resource's services that may be restarted where they hold deleted files open."""

    @field_validator("log_roots", "tmp_roots", "core_roots")
    @classmethod
    def _safe(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            parts = root.split("/")
            if not root.startswith("/") or len([part for part in parts if part]) < 1 or ".." in parts or "\n" in root:
                raise ValueError(f"{root!r} must be an absolute folder below /, without `..`")
            if root.rstrip("/") in _NEVER_CLEANED:
                raise ValueError(f"{root!r} holds more than {'/'.join(parts)} may lose: name a folder below it")
        return tuple(root.rstrip("/") for root in roots)


_NEVER_CLEANED = ("", "/etc", "/usr", "/bin", "/sbin", "/lib", "/boot", "/dev", "/proc", "/sys", "/root", "/home",
                  "/var", "/var/lib", "/opt", "/srv", "/run")  # fmt: skip


class Ingress(Record):
    """One inbound rule of a security group."""

    protocol: Literal["tcp", "udp"] = "tcp"
    port: int = Field(ge=1, le=65535)
    cidr: str = "0.0.0.0/0"

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port} from {self.cidr}"


class SecurityGroup(Record):
    """A security group of the resource and the inbound rules it must have: no other is ever added."""

    id: str
    ingress: tuple[Ingress, ...]


class Scaling(Record):
    """How it may grow. `instance_types` from small to large; `auto_scaling_group` with its largest capacity."""

    instance_types: tuple[str, ...] = ()
    auto_scaling_group: str | None = None
    max_capacity: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.auto_scaling_group and self.max_capacity is None:
            raise ValueError("scaling.auto_scaling_group needs max_capacity: how many instances there may be at most")
        return self


class Failover(Record):
    """Where traffic goes when the resource is lost: to the instance of resource `to`, by exactly one of a floating
    address (`allocation_id`) and a load balancer's target group (`target_group`, ARN, with `port`)."""

    to: str
    allocation_id: str | None = None
    target_group: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.allocation_id is None) == (self.target_group is None):
            raise ValueError("failover names exactly one of allocation_id, target_group")
        return self


class Networking(Record):
    """What must hold of a host's network: everything else found there is left alone.

    `ports` must be reachable from outside, `resolve` must resolve by `nameservers`, `interface` must be up.
    """

    interface: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]{1,15}$")
    gateway: str | None = None
    ports: tuple[int, ...] = ()
    nameservers: tuple[str, ...] = ()
    resolve: tuple[str, ...] = ()
    service: str = "systemd-networkd"
    """The unit that sets the network up: what restart_networking restarts."""


class Replication(Record):
    """How a replica is fed: the user, where its password is on the replica's host, and the slot on the primary."""

    user: str = "replicator"
    password_file: str | None = None
    """On the healer's machine. Never shown, and never part of a command line."""
    slot: str | None = None


class Database(Record):
    """The database of a `Database` resource. `peers` are ids of the other members of `cluster`, Database resources too.

    `host` is the id of the Instance it runs on, where that is declared: repairs of either then wait for each other.
    """

    engine: Engine
    cluster: str
    role: Role
    """As declared. What a member really is now is always asked of it before anything is done."""
    port: int = Field(ge=1, le=65535)
    user: str = "selfheal"
    password_file: str | None = None
    name: str = "postgres"
    """The database to connect to (PostgreSQL)."""
    peers: tuple[str, ...] = ()
    service: str = ""
    """Its unit; also the first of the resource's services where that is absent."""
    data_dir: str | None = None
    os_user: str = ""
    """Who owns data_dir and runs the server: postgres, mysql."""
    replication: Replication = Replication()
    max_lag_seconds: float = Field(default=30, gt=0)
    """A replica further behind is not healthy."""
    max_promote_lag_bytes: int = Field(default=0, ge=0)
    """A replica that lacks more of the primary's last known log is never promoted."""
    patroni_url: str | None = None
    """Patroni's REST API of this member, where it manages the cluster."""


class Thresholds(Record):
    """Beyond these a resource is in trouble; what each alert's own rule says is asked of Prometheus besides."""

    disk_used_percent: float = Field(default=90, gt=0, le=100)
    inodes_used_percent: float = Field(default=95, gt=0, le=100)
    cpu_percent: float = Field(default=85, gt=0, le=100)


# -- the resource --------------------------------------------------------------------------------------


class Resource(Record):
    """One thing an agent may repair, as the operator declared it in selfheal.yaml."""

    id: str = Field(min_length=1, max_length=200)
    kind: str
    address: str
    group: str = ""
    zone: str = Field(default="", max_length=200)
    """The availability zone, rack or room: what is in one may fail together."""
    transport: Literal["ssh", "local", "none"] = "ssh"
    """`none` for what is reached by its provider or its own port only, as managed databases are."""
    ssh: SshAccess | None = None
    provider: ProviderAccess = ProviderAccess()
    service_manager: ServiceManagerAccess = ServiceManagerAccess()
    services: tuple[str, ...] = ()
    health: tuple[HealthCheck, ...] = ()
    host: str | None = None
    """The id of the Instance it runs on, for what is no host itself."""
    volumes: tuple[Volume, ...] = ()
    cleanup: Cleanup = Cleanup()
    security_groups: tuple[SecurityGroup, ...] = ()
    scaling: Scaling = Scaling()
    failover: Failover | None = None
    network: Networking = Networking()
    depends_on: tuple[str, ...] = ()
    """What its services cannot do without: `host:port`, or the key of another resource (`Database/db-1`)."""
    database: Database | None = None
    thresholds: Thresholds = Thresholds()
    traffic: str | None = Field(default=None, max_length=500)
    """A PromQL query for the requests a second its services get: what tells a busy service from one that spins."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.transport == "ssh" and self.ssh is None:
            raise ValueError(f"resource {self.id!r}: transport ssh needs an `ssh` entry (user, key_file, known_hosts)")
        if self.provider.name != "none" and not self.provider.instance_id:
            raise ValueError(f"resource {self.id!r}: provider {self.provider.name} needs `instance_id`")
        if (self.kind == "Database") != (self.database is not None):
            wanted = "needs a `database` entry" if self.kind == "Database" else "has a `database` entry: kind: Database"
            raise ValueError(f"resource {self.id!r} of kind {self.kind} {wanted}")
        return self

    @property
    def key(self) -> str:
        """`Instance/inst-abc123`: names the resource in leases and logs."""
        return f"{self.kind}/{self.id}"

    @property
    def host_key(self) -> str:
        """`host/inst-abc123`: the machine beneath, for leases. Equal for all that runs on one declared Instance."""
        return f"host/{self.host or (self.address if self.database else self.id)}"

    @property
    def cluster_key(self) -> str | None:
        """`cluster/orders`: the database cluster it is a member of, for leases; None where it is of none."""
        return f"cluster/{self.database.cluster}" if self.database else None

    @property
    def peer_keys(self) -> tuple[str, ...]:
        """`Database/db-2`, …: the other members of its cluster, for leases."""
        return tuple(f"{self.kind}/{peer}" for peer in self.database.peers) if self.database else ()
