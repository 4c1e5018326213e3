"""Stores that keep themselves and can be told to keep less: systemd's journal, the package manager's cache."""

from __future__ import annotations

from graph.kind import ActionSpec
from graph.records import Resource
from tools.actions.action import NotAllowed
from tools.actions.freeing import DEADLINE_SECONDS, Freeing, Measured
from tools.actions.on_provider import NoParams
from tools.services.units import sudo

JOURNAL = "/var/log/journal"
PACKAGE_CACHES = ("/var/cache/apt", "/var/cache/dnf", "/var/cache/yum", "/var/cache/zypp")
_ACTIVE_KIB = 8 * 1024
"""journald sets space aside for the journals it writes to: less than this beyond the limit is not there to be freed."""


def used_by(word: str, *folders: str) -> str:
    """Shell that tells `WORD 0 KIB` of what these folders take together; 0 where there are none."""
    found = f"du -skxc {' '.join(folders)} 2>/dev/null | tail -n 1"
    return f"{found} | awk -v word={word} '{{ kib = $1 }} END {{ printf \"%s 0 %d\\n\", word, kib }}'"


class VacuumJournal(Freeing[NoParams]):
    """Removes the oldest archived journals, then archives the active ones and looks again."""

    spec = ActionSpec(
        name="vacuum_journal",
        summary="have journald remove its oldest archived journals beyond what the resource says to keep",
        risk="low",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = NoParams

    def command(self, resource: Resource, params: NoParams) -> str:
        keep = f"--vacuum-size={resource.cleanup.journal_keep_mib}M"
        # Archiving the active journal begins a new one, for which a full disk has room only after the first vacuum.
        journalctl = f"{sudo(resource)}journalctl"
        # Again where it failed: journald removes files itself meanwhile, and journalctl minds one that is gone.
        again = f"{journalctl} --rotate {keep}"
        return f"{journalctl} {keep}; {again} || {{ sleep 2; {again}; }}"

    def measure(self, resource: Resource, params: NoParams) -> str:
        keep = resource.cleanup.journal_keep_mib * 1024
        beyond = f"awk '{{ kib = $3 - {keep} }} END {{ printf \"journal 0 %d\\n\", (kib > 0 ? kib : 0) }}'"
        return f"{used_by('journal', JOURNAL)} | {beyond}"

    def enough(self, found: Measured) -> str | None:
        return None if found.kib > _ACTIVE_KIB else f"only {found.kib} KiB of the journal are beyond what is to be kept"


class CleanPackageCache(Freeing[NoParams]):
    """Downloaded packages, which can be downloaded again."""

    spec = ActionSpec(
        name="clean_package_cache",
        summary="have the package manager (apt, dnf, yum, zypper) empty its download cache",
        risk="low",
        params=NoParams,
        deadline_seconds=DEADLINE_SECONDS,
    )
    params = NoParams

    def admit(self, resource: Resource, params: NoParams) -> NoParams:
        """Unless the resource says not to."""
        if not resource.cleanup.package_cache:
            raise NotAllowed("action", f"{resource.key} declares `cleanup.package_cache: false`")
        return params

    def command(self, resource: Resource, params: NoParams) -> str:
        tries = (("apt-get", "clean"), ("dnf", "clean all"), ("yum", "clean all"), ("zypper", "clean --all"))
        branches = "; elif ".join(
            f"command -v {manager} >/dev/null; then {sudo(resource)}{manager} {verb}" for manager, verb in tries
        )
        return f"if {branches}; else echo 'no package manager is known here'; exit 3; fi"

    def measure(self, resource: Resource, params: NoParams) -> str:
        return used_by("package_cache", *PACKAGE_CACHES)

    def enough(self, found: Measured) -> str | None:
        return None if found.kib >= 1024 else "the package cache is empty"
