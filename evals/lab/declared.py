"""How the lab's hosts are declared in selfheal.yaml: pure rendering, as an operator would write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.lab.cleaning import CLEANUP, DATA_MOUNT
from evals.lab.cloud import REGION
from evals.lab.cloud_network import FLOATING
from evals.lab.data_disk import MAX_GIB, STEP_GIB
from evals.lab.dnsd import NAME
from evals.lab.moto_network import INGRESS
from evals.lab.network import GATEWAY, SERVICE_LINK, service_address
from evals.lab.rootfs_files import USER
from evals.lab.sizes import CPUS
from evals.lab.stage import StageHost
from evals.lab.surroundings import current
from evals.lab.upstream import ADDRESS as UPSTREAM_ADDRESS

SERVICE_PORT = current().port


@dataclass(frozen=True)
class Place:
    """What a stage knows of a host: the folder with the healer's keys, and what its cloud calls it and its parts."""

    folder: Path
    cloud_url: str
    instance_id: str
    security_group: str
    volume_id: str | None = None


def app_host(host: StageHost, place: Place) -> dict[str, Any]:
    """An entry of `resources`: a host with the demo service, reached at two addresses."""
    entry = _host(host, place) | {
        "group": "web",
        "depends_on": [UPSTREAM_ADDRESS],
        "scaling": {"instance_types": list(CPUS)},
        "traffic": f'sum(rate({host.service}_requests_total{{resource_id="{host.resource_id}"}}[10s]))',
        "health": [_page(host.address), _page(service_address(host.address)), {"service": host.service}],
        "network": {
            "interface": SERVICE_LINK,
            "gateway": GATEWAY,
            "ports": [SERVICE_PORT],
            "nameservers": [GATEWAY],
            "resolve": [NAME],
        },
    }
    if place.volume_id:
        volume = {"mount": DATA_MOUNT, "volume_id": place.volume_id, "max_gib": MAX_GIB, "step_gib": STEP_GIB}
        entry["volumes"] = [volume]
    return entry


def database_host(host: StageHost, place: Place) -> dict[str, Any]:
    """An entry for the machine beneath a database: nothing is reached there but that, which has an entry of its own."""
    return _host(host, place) | {"group": "databases", "health": [{"service": host.service}]}


def led_elsewhere(entry: dict[str, Any], standby: StageHost, allocation_id: str | None) -> dict[str, Any]:
    """The entry where the stage has a standby: traffic that moves is judged where it went, so at one address only. The
    host whose traffic it is (`allocation_id`) is reached at the floating address."""
    own = service_address(entry["address"])
    health = [check for check in entry["health"] if check != _page(own)]
    if allocation_id is None:
        return entry | {"health": health}
    failover = {"to": standby.resource_id, "allocation_id": allocation_id}
    return entry | {"health": [_page(FLOATING), *health[1:]], "failover": failover}


def _host(host: StageHost, place: Place) -> dict[str, Any]:
    return {
        "id": host.resource_id,
        "kind": "Instance",
        "address": host.address,
        "ssh": {
            "user": USER,
            "port": 22,
            "key_file": str(place.folder / "id_ed25519"),
            "known_hosts": str(place.folder / "known_hosts"),
            "sudo": True,
        },
        "service_manager": {"name": "systemd"},
        "provider": {
            "name": "ec2",
            "region": REGION,
            "instance_id": place.instance_id,
            "endpoint_url": place.cloud_url,
        },
        "services": [host.service],
        "cleanup": CLEANUP,
        "security_groups": [{"id": place.security_group, "ingress": INGRESS}],
        **({"thresholds": dict(limits)} if (limits := current().thresholds) else {}),
    }


def _page(address: str) -> dict[str, str]:
    return {"http": f"http://{address}:{SERVICE_PORT}/healthz"}
