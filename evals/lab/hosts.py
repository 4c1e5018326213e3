"""The lab setting: real systemd hosts in containers with disks, networks, power and a cloud of their own.

Needs root on Linux; `detect.lab_refusal` says whether this machine will do. See `Stage` for what each method promises.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.lab import neighbours, pairs
from evals.lab.cloud import REGION, Cloud
from evals.lab.cloud_network import CloudNetwork, Guarded
from evals.lab.data_disk import MAX_GIB, SIZE_GIB, DataDisk
from evals.lab.declared import SERVICE_PORT, Place, app_host, database_host, led_elsewhere
from evals.lab.disk import Identity, service_config
from evals.lab.dnsd import NameServer
from evals.lab.host_keys import make_key, write_known_hosts
from evals.lab.lxcfs import start_lxcfs, stop_lxcfs
from evals.lab.machine import Machine
from evals.lab.monitoring import MonitoredHost, Monitoring, has_binary
from evals.lab.moto_books import CREDENTIALS, MotoBooks
from evals.lab.moto_network import OPEN_PORTS, NetworkBooks, enter_network_books
from evals.lab.network import (
    create_network,
    enter_network,
    from_network,
    host_address,
    in_network,
    leave_network,
    service_address,
)
from evals.lab.power import Power, ssh_greets
from evals.lab.probing import ask, wait_until
from evals.lab.processes import ProcessGroup
from evals.lab.rootfs import APP, DATABASE, base_image
from evals.lab.stage import LabError, Role, SettingName, StageHost, StageOptions
from evals.lab.surroundings import current
from evals.lab.sweep import HOSTS_FOLDER, Claim
from evals.lab.upstream import Upstream

FIRST_ID = "inst-abc123"
MEMORY_MIB = 256
BOOT_WAIT = 30.0
"""Seconds for a host to answer SSH and HTTP after its power went on."""


class LabStage:
    """`options.hosts` hosts, `machines[i]` being the hardware of `hosts[i]`."""

    name: SettingName = "lab"

    def __init__(self, options: StageOptions) -> None:
        roles = _roles(options)
        if not 1 <= len(roles) <= 40:
            raise LabError(f"the lab can have 1 to 40 hosts; {len(roles)} were asked for")
        pairs.check_roles(roles)
        self.options = options
        self.work = options.work.resolve()
        self.hosts: Sequence[StageHost] = tuple(
            StageHost(
                f"lab-{n}", FIRST_ID if n == 1 else f"inst-lab{n}", host_address(n),
                service=pairs.unit_of(role), role=role,
            )
            for n, role in enumerate(roles, 1)
        )  # fmt: skip
        self.machines: tuple[Machine, ...] = ()
        self.instance_ids: Mapping[str, str] = {}
        self.volume_ids: dict[str, str] = {}
        """Of data disks, by resource id."""
        self.powers: dict[str, Power] = {}
        self.prometheus_url = ""
        self.alertmanager_url = ""
        self._folder = self.work / HOSTS_FOLDER
        # lxcfs and moto have nothing to lose by a kill
        self._processes = ProcessGroup(self._folder, patience=0.5)
        self._monitoring: Monitoring | None = None
        self._cloud: Cloud | None = None
        self._claim = Claim()
        self.upstream = Upstream()
        self.names = NameServer()
        self.sent_by_faults: list[str] = []
        """What faults themselves sent to hosts over SSH, as a user would: not the healer's."""
        self._books: MotoBooks | None = None
        self.network_books = NetworkBooks({})

    def up(self) -> None:
        """Bring everything up, or nothing: what was made is removed again when a part fails."""
        if os.geteuid() != 0:
            raise LabError("the lab's hosts need root: run it with sudo, or take the local setting")
        if self._claim.held:
            raise LabError("this stage is up already")
        flavours = {DATABASE if pairs.is_database(host.role) else APP for host in self.hosts}
        bases = {flavour.prefix: base_image(self.options.say, flavour) for flavour in flavours}
        self._claim.take(self.work)
        try:
            self._up(bases)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stop and remove everything, also what an earlier run left that was killed. Idempotent."""
        leave_network()
        self.upstream.down()
        self.names.down()
        if self._cloud is not None:
            self._cloud.down()
            self._cloud = None
        if not self._claim.held:
            return
        for power in self.powers.values():
            with contextlib.suppress(LabError):  # an order that failed: the host is removed anyway
                power.settle()
        if self._monitoring is not None:
            self._monitoring.down()
        for machine in self.machines:
            with contextlib.suppress(LabError):  # told by the sweep, when it can't either
                machine.cut_power()
        stop_lxcfs(self._folder)
        self._processes.stop()
        self._claim.give_up()
        self.machines, self.powers, self.instance_ids = (), {}, {}
        self.prometheus_url = self.alertmanager_url = ""

    def resources(self) -> list[dict[str, Any]]:
        instances = [self._resource(host) for host in self.hosts]
        return [*instances, *pairs.resources(self.hosts, instances[0]["ssh"], self.work)]

    def environment(self) -> Mapping[str, str]:
        """Credentials for the lab's cloud, and proxies kept out of the lab's network."""
        past_proxies = ["127.0.0.1", "localhost", *(host.address for host in self.hosts)]
        known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        bypass = ",".join([*filter(None, known.split(",")), *past_proxies])
        return {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "NO_PROXY": bypass, "no_proxy": bypass}

    def enter(self) -> None:
        enter_network()

    def leave(self) -> None:
        leave_network()

    def run(self, host: StageHost, command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run `command` in sh as root on the host, from outside; also on one whose network or sshd is gone.

        Raises LabError when the host is off, or `timeout` seconds were not enough (as on a hung host).
        """
        return self.machine(host).run(command, timeout)

    def commands(self, host: StageHost) -> list[str]:
        """Every command that came to the host over SSH, in order, byte for byte. Raises LabError when it is not up."""
        return self.machine(host).asked.read()

    def healthy(self, host: StageHost) -> bool:
        if pairs.is_database(host.role):
            with contextlib.suppress(LabError):
                return self.run(host, f"systemctl is-active --quiet {host.service}").returncode == 0
            return False
        return self.serves(host.address)

    def machine(self, host: StageHost) -> Machine:
        """The hardware of a host: freeze, plug, power. Raises LabError when the stage is not up."""
        if not self.machines:
            raise LabError("the stage is not up")
        return self.machines[self.hosts.index(host)]

    @property
    def monitoring(self) -> Monitoring:
        """What watches the stage. Raises LabError when the stage is not up."""
        if self._monitoring is None:
            raise LabError("the stage is not up")
        return self._monitoring

    @property
    def cloud(self) -> Cloud:
        """The stage's cloud. Raises LabError when the stage is not up."""
        if self._cloud is None:
            raise LabError("the stage is not up")
        return self._cloud

    @property
    def standby(self) -> StageHost | None:
        """Who takes over from the first host, where the stage has such a one."""
        return next((host for host in self.hosts if host.role == "standby"), None)

    def lead_back(self) -> None:
        """Have the floating address lead to the first host again, as the cloud's own. Raises LabError."""
        if self._books is None or self.network_books.allocation_id is None:
            raise LabError("the stage has no floating address")
        holder = self.instance_ids[self.hosts[0].resource_id]
        with in_network():
            self._books.client(REGION).associate_address(
                AllocationId=self.network_books.allocation_id, InstanceId=holder, AllowReassociation=True
            )
            self.cloud.network.lead(holder)

    def serves(self, address: str) -> bool:
        """Whether the service really answers at that address of the stage's network."""
        try:
            return from_network(lambda: ask(f"http://{address}:{SERVICE_PORT}/healthz", timeout=2)[0] == 200)
        except (OSError, LabError):
            return False

    def power(self, host: StageHost) -> Power:
        """The power supply of a host, as the cloud uses it. Raises LabError when the stage is not up."""
        if host.resource_id not in self.powers:
            raise LabError("the stage is not up")
        return self.powers[host.resource_id]

    def book_type(self, host: StageHost, instance_type: str) -> None:
        """Make the cloud believe that the host is of that type, with the CPUs it has now. Raises LabError."""
        if self._books is None:
            raise LabError("the stage is not up")
        self._books.set_type(self.instance_ids[host.resource_id], instance_type, REGION)

    def recover(self, host: StageHost) -> None:
        """Put a host back: power on, thawed, plugged in, its service configured and answering. Raises LabError."""
        machine = self.machine(host)
        with contextlib.suppress(LabError):  # whatever came of the last order, the host is looked at next
            self.power(host).settle()
        machine.thaw()
        machine.boot()
        self.wait_ready(host, service=False)
        machine.plug(up=True)
        if pairs.is_database(host.role):
            if not self.healthy(host):
                self.run(host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}", 60)
            pairs.recover(self, host)
            return
        elif not self.healthy(host):
            machine.disk.write("etc/shopd.json", service_config(SERVICE_PORT))
            self.run(host, f"systemctl reset-failed {host.service}; systemctl restart {host.service}")
        self.wait_ready(host)

    def wait_ready(self, host: StageHost, timeout: float = BOOT_WAIT, service: bool = True) -> None:
        """Return when the host's sshd greets and, with `service`, its service answers. Raises LabError."""
        machine = self.machine(host)

        def missing() -> str | None:
            if not machine.powered:
                tail = machine.console(2000).decode(errors="replace")
                raise LabError(f"{host.name} went off instead of coming up; its console says:\n{tail}")
            if not ssh_greets(host.address):
                return f"no sshd greets at {host.address}"
            return "its service does not answer" if service and not self.healthy(host) else None

        with in_network():
            wait_until(missing, timeout, f"{host.name} is ready", every=0.03)

    def _up(self, bases: Mapping[str, Path]) -> None:
        create_network()
        lxcfs = start_lxcfs(self._folder, self._processes)
        books = self._books = MotoBooks(self._processes)
        books.start()
        key = make_key(self.work / "id_ed25519", "selfheal's key for the lab")
        self.machines = tuple(
            Machine(n, self._folder / f"host-{n}", self._processes, lxcfs) for n in range(1, len(self.hosts) + 1)
        )
        around = current()
        for host, machine in zip(self.hosts, self.machines, strict=True):
            base = bases[(DATABASE if pairs.is_database(host.role) else APP).prefix]
            machine.asked.create()
            machine.cgroups.create(MEMORY_MIB)
            host_key = make_key(machine.folder / "host_ed25519", machine.name)
            authorized = key.with_suffix(".pub").read_text()
            machine.disk.create(
                base,
                Identity(
                    machine.name, machine.address, host_key, authorized, SERVICE_PORT, around.service, around.describes
                ),
            )
            pairs.furnish(machine.disk, host.role)
            neighbours.furnish(machine.disk, around.neighbours)
            if machine is self.machines[0] and host.role == "app" and has_binary("mkfs.xfs"):
                machine.data = DataDisk(machine.folder)
                machine.data.create()
            machine.boot()
        write_known_hosts(
            self.work / "known_hosts", {m.address: m.folder / "host_ed25519" for m in self.machines}
        )  # fmt: skip
        self._monitoring = Monitoring(
            self.options,
            [_monitored(host) for host in self.hosts],
            jobs=pairs.scrapes(self.hosts),
            probed=self._probed(),
            alert_for=current().alert_for,
        )
        with in_network():
            self.upstream.up()
            self.names.up()
            self._monitoring.up()
            self.prometheus_url = self._monitoring.prometheus_url
            self.alertmanager_url = self._monitoring.alertmanager_url
            self._open_cloud(books)
            for host in self.hosts:
                self.wait_ready(host, service=not pairs.is_database(host.role))
            pairs.set_up(self)
            self._monitoring.wait_healthy()

    def _open_cloud(self, books: MotoBooks) -> None:
        self.instance_ids = books.enter(self.hosts, REGION)
        self.powers = {h.resource_id: Power(m) for h, m in zip(self.hosts, self.machines, strict=True)}
        standby = self.standby
        holder = self.instance_ids[self.hosts[0].resource_id] if standby else None
        self.network_books = enter_network_books(books.client(REGION), self.instance_ids, holder)
        network = CloudNetwork(
            {
                self.network_books.groups[h.resource_id]: Guarded(m.cable, frozenset(OPEN_PORTS))
                for h, m in zip(self.hosts, self.machines, strict=True)
            },
            {self.instance_ids[h.resource_id]: h.address for h in self.hosts},
        )
        network.lead(holder)
        self._cloud = Cloud(books.address, {self.instance_ids[r]: power for r, power in self.powers.items()}, network)
        self._open_volumes(books, self._cloud)
        self._cloud.up()

    def _probed(self) -> dict[str, str]:
        """What clients ask of each app host."""
        apps = [host for host in self.hosts if not pairs.is_database(host.role)]
        return {host.resource_id: f"http://{service_address(host.address)}:{SERVICE_PORT}/healthz" for host in apps}

    def _open_volumes(self, books: MotoBooks, cloud: Cloud) -> None:
        self.volume_ids = {}
        for host, machine in zip(self.hosts, self.machines, strict=True):
            if machine.data is not None:
                volume_id = books.add_volume(self.instance_ids[host.resource_id], SIZE_GIB, REGION)
                self.volume_ids[host.resource_id] = volume_id
                cloud.volumes[volume_id] = machine.data.grow

    def grow_to_limit(self, host: StageHost) -> None:
        """Give the host's data disk all that its resource allows it, outside of any heal. Raises LabError."""
        data = self.machine(host).data
        if self._books is None or data is None:
            raise LabError(f"{host.name} has no data disk: this needs mkfs.xfs (package xfsprogs)")
        data.grow(MAX_GIB)
        data.fill_disk()
        self._books.set_volume(self.volume_ids[host.resource_id], MAX_GIB, REGION)

    def _resource(self, host: StageHost) -> dict[str, Any]:
        if self._cloud is None:
            raise LabError("the stage is not up")
        place = Place(
            folder=self.work,
            cloud_url=self._cloud.url,
            instance_id=self.instance_ids[host.resource_id],
            security_group=self.network_books.groups[host.resource_id],
            volume_id=self.volume_ids.get(host.resource_id),
        )
        entry = database_host(host, place) if pairs.is_database(host.role) else app_host(host, place)
        if (standby := self.standby) is None:
            return entry
        return led_elsewhere(entry, standby, self.network_books.allocation_id if host == self.hosts[0] else None)


def _roles(options: StageOptions) -> tuple[Role, ...]:
    if options.roles:
        return options.roles
    last: Role = "standby" if options.standby and options.hosts > 1 else "app"
    first: tuple[Role, ...] = ("app",)
    return (*(first * (options.hosts - 1)), last) if options.hosts > 0 else ()


def _monitored(host: StageHost) -> MonitoredHost:
    service = "" if pairs.is_database(host.role) else f"{host.address}:{SERVICE_PORT}"
    return MonitoredHost(host.resource_id, f"{host.address}:9100", service, host.service)
