"""The list of faults is complete and speaks the words of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.lab import faults as package
from evals.lab.faults import NAMES, fault, faults
from evals.lab.stage import LabError

ON_DISK = sorted(path.stem for path in Path(package.__file__).parent.glob("*.py") if path.stem in NAMES)


@pytest.mark.parametrize("name", ON_DISK)
def test_each_file_holds_the_fault_of_its_name(name: str) -> None:
    assert fault(name).name == name


def test_the_faults_of_both_settings_are_all_the_faults_there_are() -> None:
    assert {found.name for found in (*faults("lab"), *faults("local"))} == set(ON_DISK)


def test_the_local_setting_has_only_faults_that_need_no_host_of_their_own() -> None:
    assert [found.name for found in faults("local")] == ["service_killed", "service_stopped", "bad_config"]


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    with pytest.raises(LabError, match="no fault is named 'earthquake'; there are service_killed, "):
        fault("earthquake")
