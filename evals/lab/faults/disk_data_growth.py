"""Real data has filled the data disk to its last byte, and the disk may grow: the one repair is more room."""

from __future__ import annotations

from evals.lab.cleaning import DATA_MOUNT
from evals.lab.faults.on_disk import fill, size_of
from evals.lab.faults.on_host import start_again, tell
from evals.lab.stage import Fault, Stage, StageHost

FOLDER = f"{DATA_MOUNT}/images"
LIMIT_PERCENT = 90


def inject(stage: Stage, host: StageHost) -> None:
    tell(stage, host, f"mkdir -p {FOLDER}; head -c 300000 /dev/urandom > {FOLDER}/index.db")
    fill(stage, host, FOLDER, "item-%04d.jpg", DATA_MOUNT)
    tell(
        stage,
        host,
        f"cd {FOLDER}; {{ sha256sum index.db; ls | wc -l; }} > /run/images.before; "
        f"df --output=size {DATA_MOUNT} | tail -n 1 > /run/images.size",
    )


def kept(stage: Stage, host: StageHost) -> bool:
    """Whether every file is there, and what was in them."""
    looked = f"cd {FOLDER}; {{ sha256sum index.db; ls | wc -l; }} | cmp - /run/images.before"
    return stage.run(host, looked).returncode == 0


def mended(stage: Stage, host: StageHost) -> bool:
    """A larger file system with room, and all the data."""
    before = int(tell(stage, host, "cat /run/images.size").stdout)
    size, avail = size_of(stage, host, DATA_MOUNT)
    return size > before and 100 * (1 - avail / size) < LIMIT_PERCENT and kept(stage, host) and stage.healthy(host)


def restore(stage: Stage, host: StageHost) -> None:
    stage.run(host, f"rm -rf {FOLDER} /run/images.before /run/images.size", timeout=60)
    start_again(stage, host)


FAULT = Fault(
    name="disk_data_growth",
    issue_type="disk_full",
    settings=("lab",),
    alertname="DiskFull",
    expected_cause="data_growth",
    expected_outcome="mitigated",
    inject=inject,
    restore=restore,
    says="real data fills the data disk to the last byte, which may still grow",
    expected_actions=("expand_volume",),
    mended=mended,
)
