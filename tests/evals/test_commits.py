"""No commit tunes signatures on test cases: by its files, and in real repositories."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from evals.commits import CannotLook, Commit, offending, touches_both

ROOT = Path(__file__).resolve().parents[2]
SIGNATURE = "agents/causes/disk.py"
TEST_CASE = "evals/cases/case-t/expected.yaml"
TRAIN_CASE = "evals/cases/case-a/expected.yaml"
LOCK = "evals/test.lock"


@pytest.mark.parametrize(
    ("files", "must_not_be"),
    [
        ((SIGNATURE, TEST_CASE), True),
        ((SIGNATURE, LOCK), True),
        (("agents/reasoning/runbook.py", TEST_CASE), True),
        (("agents/instance.py", TEST_CASE), True),
        (("agents/database.py", LOCK), True),
        ((SIGNATURE, TRAIN_CASE), False),
        ((SIGNATURE, "evals/baseline.json"), False),
        ((TEST_CASE, LOCK), False),
        (("agents/reasoning/llm.py", TEST_CASE), False),
        ((SIGNATURE,), False),
    ],
)
def test_a_commit_is_judged_by_its_files(files: tuple[str, ...], must_not_be: bool) -> None:
    why = touches_both(Commit("0123456789abcdef", "a change", files, frozenset({"case-t"})))
    assert (why is not None) == must_not_be
    if why:
        assert why.startswith("0123456789ab (a change)") and files[0] in why


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Repository:
    """A real one, with a first commit, and the test case `case-t` frozen in the second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("begin", {SIGNATURE: "0", TEST_CASE: "0", TRAIN_CASE: "0"})
        lock = {"mechanisms": ["killed"], "cases": {"case-t": {"expected.yaml": "0"}}}
        self.commit("freeze", {LOCK: json.dumps(lock)})

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(self.root), *who, *arguments], check=True, capture_output=True, timeout=30)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")

    def commit(self, subject: str, files: dict[str, str]) -> None:
        self.write(files)
        self.git("commit", "-q", "-m", subject)

    def offending(self, wanted: str = "HEAD") -> list[str]:
        return [why.partition("(")[2].partition(")")[0] for why in offending(self.root, wanted)]


@needs_git
def test_a_history_that_begins_with_both_and_then_keeps_them_apart_is_well(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.commit("tune", {SIGNATURE: "1", TRAIN_CASE: "1"})
    repository.commit("mend a test case", {TEST_CASE: "1"})
    assert repository.offending() == []


@needs_git
def test_the_commit_that_touches_both_is_named_wherever_it_stands(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.commit("tuned on it", {SIGNATURE: "1", TEST_CASE: "1"})
    repository.commit("later", {SIGNATURE: "2"})
    assert repository.offending() == ["tuned on it"]
    assert repository.offending("HEAD~1..HEAD") == []


@needs_git
def test_a_case_that_the_commit_itself_takes_out_of_the_split_was_in_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.commit("thaw", {SIGNATURE: "1", LOCK: '{"mechanisms": [], "cases": {}}'})
    assert repository.offending() == ["thaw"]


@needs_git
def test_a_merge_of_both_is_well_but_not_one_that_changes_both_itself(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.git("checkout", "-q", "-b", "cases")
    repository.commit("a test case", {TEST_CASE: "1"})
    repository.git("checkout", "-q", "main")
    repository.commit("a signature", {SIGNATURE: "1"})
    repository.git("merge", "-q", "--no-ff", "-m", "merged", "cases")
    assert repository.offending() == []

    repository.git("checkout", "-q", "-b", "more", "HEAD~1")
    repository.commit("another", {"README.md": "1"})
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "--no-commit", "more")
    repository.write({SIGNATURE: "evil", TEST_CASE: "evil"})
    repository.git("commit", "-q", "-m", "changed while merging")
    assert repository.offending() == ["changed while merging"]


@needs_git
def test_a_shallow_clone_is_not_blamed_for_what_it_does_not_have(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.commit("a test case", {TEST_CASE: "1"})
    shallow = tmp_path / "shallow"
    command: Sequence[str] = ["git", "clone", "-q", "--depth", "1", f"file://{repository.root}", str(shallow)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert offending(shallow) == ()


@needs_git
def test_where_there_is_no_history_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotLook, match="git"):
        offending(tmp_path)


@needs_git
def test_none_of_our_own_commits_touches_both() -> None:
    try:
        found = offending(ROOT)
    except CannotLook as why:
        pytest.skip(str(why))
    assert found == ()
