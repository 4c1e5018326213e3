"""Whether the lab can run is found out by trying, in one line, and leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from evals.lab.cgroups import leftover_labels, mounted_trees
from evals.lab.detect import kernel_refusal, lab_refusal

V1 = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
"""
V2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def test_a_refusal_is_one_line_with_a_reason() -> None:
    for refusal in (kernel_refusal(), lab_refusal()):
        assert refusal is None or (len(refusal) > 20 and "\n" not in refusal)


def test_what_the_kernel_refuses_the_lab_refuses_for_the_same_reason() -> None:
    refusal = kernel_refusal()
    assert refusal is None or lab_refusal() == refusal


def test_trying_leaves_no_mounts_cgroups_or_folders() -> None:
    before = _mounts(), leftover_labels(), os.readlink("/proc/self/ns/net")
    folders = set(Path(tempfile.gettempdir()).glob("selfheal-lab-*"))
    lab_refusal()
    assert (_mounts(), leftover_labels(), os.readlink("/proc/self/ns/net")) == before
    assert set(Path(tempfile.gettempdir()).glob("selfheal-lab-*")) == folders


def test_both_layouts_of_cgroups_are_read() -> None:
    assert [(str(t.path), t.version, t.controllers) for t in mounted_trees(V1)] == [
        ("/sys/fs/cgroup/unified", 2, ()),
        ("/sys/fs/cgroup/systemd", 1, ()),
        ("/sys/fs/cgroup/cpu,cpuacct", 1, ("cpu", "cpuacct")),
    ]
    assert [(str(t.path), t.version) for t in mounted_trees(V2)] == [("/sys/fs/cgroup", 2)]
