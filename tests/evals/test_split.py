"""The test split: chosen by nobody, by what was done to the world, and frozen."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from evals.case import Case
from evals.split import InvalidLock, choose, freeze, lock_of, lock_path, problems, split_of, write_lock
from tests.evals.made_cases import crashed, healthy


def many(root: Path) -> tuple[Case, ...]:
    """Six ways to crash and three ways to be well, two cases of each."""
    root.mkdir(exist_ok=True)
    cases = [crashed(root, f"case-c{way}{twin}", mechanism=f"way_{way}") for way in range(6) for twin in "ab"]
    return (
        *cases,
        *(healthy(root, f"case-h{way}{twin}", mechanism=f"well_{way}") for way in range(3) for twin in "ab"),
    )


def frozen(root: Path) -> tuple[Case, ...]:
    cases = many(root)
    write_lock(freeze(cases), lock_path(root))
    return cases


def test_a_third_of_the_cases_is_chosen_whole_mechanisms_at_a_time_and_of_each_sort_its_share(tmp_path: Path) -> None:
    cases = many(tmp_path)
    chosen = choose(cases)
    assert Counter(mechanism.partition("_")[0] for mechanism in chosen) == {"way": 2, "well": 1}
    assert sum(case.expected.mechanism in chosen for case in cases) == 6


def test_the_choice_does_not_hang_on_the_order_of_the_cases(tmp_path: Path) -> None:
    cases = many(tmp_path)
    assert choose(cases) == choose(cases[::-1])


def test_twins_of_a_mechanism_are_on_the_same_side(tmp_path: Path) -> None:
    sides: dict[str, set[str]] = {}
    for case in frozen(tmp_path / "cases"):
        sides.setdefault(case.expected.mechanism, set()).add(split_of(case))
    assert all(len(found) == 1 for found in sides.values())
    assert {side for found in sides.values() for side in found} == {"train", "test"}


def test_without_a_lock_all_is_for_training(tmp_path: Path) -> None:
    assert split_of(crashed(tmp_path)) == "train"


def test_what_was_frozen_holds_until_it_is_touched(tmp_path: Path) -> None:
    cases = frozen(tmp_path / "cases")
    assert problems(lock_of(tmp_path / "cases"), cases) == ()


def a_test_case(cases: tuple[Case, ...]) -> Case:
    return next(case for case in cases if split_of(case) == "test")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("expected.yaml", "mended: true\n", "expected.yaml was changed"),
        ("recorded/more.txt", "another look", "recorded/more.txt is new"),
        ("alert.json", None, "alert.json is missing"),
    ],
)
def test_a_changed_test_case_is_named(tmp_path: Path, file: str, content: str | None, said: str) -> None:
    cases = frozen(tmp_path / "cases")
    changed = a_test_case(cases)
    path = changed.folder / file
    path.write_text(content) if content is not None else path.unlink()
    assert problems(lock_of(tmp_path / "cases"), cases) == (f"{changed.id}: {said}",)


def test_a_missing_and_a_new_test_case_are_named(tmp_path: Path) -> None:
    cases = frozen(tmp_path / "cases")
    lost = a_test_case(cases)
    new = crashed(tmp_path / "cases", "case-new", mechanism=lost.expected.mechanism)
    found = problems(lock_of(tmp_path / "cases"), [*(case for case in cases if case is not lost), new])
    assert [said.split(":")[0] for said in found] == sorted([lost.id, "case-new"])


def test_a_training_case_may_change(tmp_path: Path) -> None:
    cases = frozen(tmp_path / "cases")
    trained = next(case for case in cases if split_of(case) == "train")
    (trained.folder / "case.yaml").write_text("id: another\n")
    assert problems(lock_of(tmp_path / "cases"), cases) == ()


def test_the_lock_is_sorted_and_says_what_is_no_lock(tmp_path: Path) -> None:
    frozen(tmp_path / "cases")
    path = lock_path(tmp_path / "cases")
    content = json.loads(path.read_text())
    assert content["mechanisms"] == sorted(content["mechanisms"]) and list(content["cases"]) == sorted(content["cases"])
    path.write_text("[]")
    with pytest.raises(InvalidLock, match=r"test\.lock"):
        lock_of(tmp_path / "cases")
