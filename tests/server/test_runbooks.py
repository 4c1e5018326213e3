"""The operators' runbooks: chosen by what they say, bounded, and never a way out of their folder."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents import known_kinds
from agents.reasoning.lore import RunbookText
from graph.records import Alert, Incident, Resource
from server.examine import examine
from server.lore import StoredLore
from server.runbooks.choosing import TEXT_CHARS, excerpt, sections_of
from server.runbooks.file import FRONT_MATTER_CHARS, MAX_BYTES
from server.runbooks.shelf import MAX_ENTRIES, MAX_FILES, Shelf, linked
from server.settings import Settings, load
from tests.server.world import RESOURCE, alert

SECRET = "the secret outside"


@dataclass
class Folder:
    """A folder of runbooks with something outside that must not be read, and what is asked of it."""

    root: Path
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.root / "runbooks"
        self.path.mkdir()
        self.outside = self.root / "outside.md"
        self.outside.write_text(f"InstanceDown {SECRET}\n")
        self.shelf = Shelf(self.path, known_kinds())

    def write(self, name: str, text: str | bytes = "", **front: Any) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        head = f"---\n{yaml.safe_dump(front)}---\n" if front else ""
        file.write_bytes(text if isinstance(text, bytes) else (head + text).encode())
        return file

    async def given(self, url: str = "", causes: tuple[str, ...] = (), **changes: Any) -> list[RunbookText]:
        return await self.shelf.relevant(incident(url, **changes), causes)

    async def names(self, url: str = "", causes: tuple[str, ...] = (), **changes: Any) -> list[str]:
        return [runbook.name for runbook in await self.given(url, causes, **changes)]

    def problem(self) -> str:
        """What is wrong with the only runbook there."""
        contents = self.shelf.read()
        assert contents.runbooks == ()
        [problem] = contents.problems
        return problem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def incident(url: str = "", resource: Resource | None = None, **changes: Any) -> Incident:
    of = resource or RESOURCE.model_copy(update={"services": ("nginx",)})
    firing: Alert = alert()
    if url:
        firing = firing.model_copy(update={"annotations": {"runbook_url": url}})
    values: dict[str, Any] = {
        "id": "i",
        "number": 1,
        "resource_kind": of.kind,
        "resource_id": of.id,
        "issue_types": ("service_down",),
        "alerts": (firing,),
        "received_at": "2026-01-01T00:00:00Z",
        "resource": of,
    }
    return Incident.model_validate(values | changes)


# -- which are chosen ----------------------------------------------------------------------------------------


async def test_a_runbook_for_the_cause_comes_before_one_for_the_issue_type(folder: Folder) -> None:
    folder.write("a.md", "x", kind="Instance", issue_type="service_down")
    folder.write("b.md", "x", causes=["oom_killed"])
    [first, second] = await folder.given(causes=("oom_killed",))
    assert (first.name, first.why_relevant) == ("b.md", "it is about oom_killed")
    assert (second.name, second.why_relevant) == ("a.md", "it is about service_down; it is about kind Instance")


async def test_what_the_text_names_counts_and_is_told(folder: Folder) -> None:
    folder.write("a.md", "# Web\n\nWhen InstanceDown fires for inst-1, look at `nginx` first.")
    [found] = await folder.given()
    assert found.title == "Web" and found.text.startswith("# Web")
    assert found.why_relevant == "its text names inst-1; its text names InstanceDown; its text names nginx"


@pytest.mark.parametrize(
    "front",
    [
        {"kind": "Database"},
        {"issue_type": ["disk_full", "high_cpu"]},
        {"kind": "Instance", "issue_type": "disk_full", "causes": "disk_full"},
    ],
)
async def test_a_runbook_about_something_else_is_not_given_whatever_it_names(
    folder: Folder, front: dict[str, Any]
) -> None:
    front = front | ({"causes": a_cause_of("disk_full")} if "causes" in front else {})
    folder.write("a.md", "InstanceDown inst-1 nginx", **front)
    assert await folder.names() == [] and folder.shelf.read().problems == ()


def a_cause_of(issue_type: str) -> str:
    return next(cause.name for cause in known_kinds()["Instance"].causes if cause.issue_type == issue_type)


async def test_a_runbook_for_a_suspected_cause_is_given_whatever_the_alert_claims(folder: Folder) -> None:
    cause = a_cause_of("disk_full")
    folder.write("a.md", "x", issue_type="disk_full", causes=[cause])
    assert await folder.names(causes=(cause,)) == ["a.md"]


async def test_an_alert_of_no_known_type_contradicts_none(folder: Folder) -> None:
    folder.write("a.md", "inst-1", issue_type="disk_full")
    assert await folder.names(issue_types=("unknown",)) == ["a.md"]


async def test_what_nothing_speaks_for_is_not_given(folder: Folder) -> None:
    folder.write("a.md", "About something else: inst-10, nginxes, InstanceDowner.")
    assert await folder.names() == []


async def test_at_most_two_are_given(folder: Folder) -> None:
    for index in range(5):
        folder.write(f"{index}.md", "inst-1")
    assert await folder.names() == ["0.md", "1.md"]


async def test_runbooks_lie_in_subfolders_too_and_hidden_ones_are_left_out(folder: Folder) -> None:
    folder.write("web/nginx.md", "nginx")
    folder.write(".git/x.md", "nginx")
    folder.write("web/.draft.md", "nginx")
    folder.write("notes.txt", "nginx")
    assert await folder.names() == ["web/nginx.md"]


async def test_a_mounted_config_map_shows_each_runbook_once(folder: Folder) -> None:
    folder.write("..2026_01_01/disk.md", "inst-1")
    (folder.path / "..data").symlink_to("..2026_01_01")
    (folder.path / "disk.md").symlink_to("..data/disk.md")
    assert await folder.names() == ["disk.md"]


# -- read when changed ----------------------------------------------------------------------------------------


async def test_a_changed_runbook_is_read_anew_and_a_removed_one_forgotten(folder: Folder) -> None:
    file = folder.write("a.md", "inst-1, first")
    [before] = await folder.given()
    file.write_text("inst-1, then")
    [after] = await folder.given()
    assert (before.text, after.text) == ("inst-1, first", "inst-1, then")
    file.unlink()
    assert await folder.given() == []


async def test_what_has_not_changed_is_not_read_again(folder: Folder) -> None:
    folder.write("a.md", "inst-1")
    [before] = folder.shelf.read().runbooks
    [after] = folder.shelf.read().runbooks
    assert before is after


async def test_many_at_once_are_answered_alike(folder: Folder) -> None:
    folder.write("a.md", "inst-1")
    assert await asyncio.gather(*(folder.names() for _ in range(20))) == [["a.md"]] * 20


# -- the alert's own link -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{folder}/z.md", "file://{folder}/z.md", "file://localhost{folder}/z.md", "z.md"])
async def test_the_runbook_that_the_alert_links_to_comes_first(folder: Folder, form: str) -> None:
    folder.write("z.md", "x", kind="Database")
    folder.write("a.md", "inst-1 InstanceDown nginx")
    [first, second] = await folder.given(form.format(folder=folder.path))
    assert (first.name, first.why_relevant) == ("z.md", "the alert's runbook_url names it")
    assert second.name == "a.md"


async def test_a_link_inside_the_folder_is_followed_and_so_is_a_percent_sign(folder: Folder) -> None:
    folder.write("real/disk full.md", "x")
    (folder.path / "alias").symlink_to("real")
    for url in ("alias/disk full.md", f"file://{folder.path}/alias/disk%20full.md"):
        assert await folder.names(url) == ["real/disk full.md"]


async def test_a_folder_reached_by_a_symlink_may_be_named_either_way(folder: Folder) -> None:
    folder.write("z.md", "x")
    way = folder.root / "way"
    way.symlink_to(folder.path)
    shelf = Shelf(way, known_kinds())
    for base in (way, folder.path):
        assert [book.name for book in await shelf.relevant(incident(f"{base}/z.md"), ())] == ["z.md"]


HOSTILE_URLS = [
    "/etc/passwd",
    "file:///etc/passwd",
    "file:////etc/passwd",
    "../outside.md",
    "../../etc/passwd",
    "sub/../../outside.md",
    "{folder}/../outside.md",
    "file://{folder}/../outside.md",
    "file://{folder}/%2e%2e/outside.md",
    "{root}/outside.md",
    "file://{root}/outside.md",
    "file://evil.example{folder}/good.md",
    "file://{folder}/good.md\0",
    "file://[bad/good.md",
    "http://{folder}/good.md",
    "https://evil.example/good.md",
    "smb://host/good.md",
    "//evil.example/good.md",
    "{folder}extra/good.md",
    "leads_out.md",
    "{folder}/leads_out.md",
    "out/outside.md",
    "loop.md",
    "pipe.md",
    "folder.md",
    "hidden/.secret.md",
    "/proc/self/environ",
    "/dev/zero",
    "~/good.md",
    "x" * 100_000,
    "a/" * 450,
]


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=lambda url: url[:40].replace("\0", "NUL"))
async def test_a_hostile_link_opens_nothing_and_changes_nothing(folder: Folder, url: str) -> None:
    folder.write("good.md", "inst-1")
    folder.write("hidden/.secret.md", SECRET)
    folder.write("folder.md/inner.txt", SECRET)
    (folder.path / "leads_out.md").symlink_to(folder.outside)
    (folder.path / "out").symlink_to(folder.root)
    (folder.path / "loop.md").symlink_to("loop.md")
    os.mkfifo(folder.path / "pipe.md")
    given = await folder.given(url.format(folder=folder.path, root=folder.root))
    assert [(book.name, book.text, book.why_relevant) for book in given] == [
        ("good.md", "inst-1", "its text names inst-1")
    ]


def test_of_a_link_to_elsewhere_not_even_the_path_is_looked_up(folder: Folder) -> None:
    for url in ("/etc/passwd", "../outside.md", f"{folder.root}/outside.md", "file://host/etc/passwd", "http://x/y"):
        assert linked(url, folder.path) is None


async def test_a_thousand_alerts_with_a_link_each_are_bounded(folder: Folder) -> None:
    folder.write("a.md", "inst-1")
    alerts = tuple(
        alert(f"Alert{index}").model_copy(update={"annotations": {"runbook_url": f"{index}.md"}})
        for index in range(1_000)
    )
    assert await folder.names(alerts=alerts) == ["a.md"]


# -- what lies in the folder ------------------------------------------------------------------------------------


BOMB = "---\na: &a [x, x]\nb: &b [*a, *a]\nkind: [*b, *b]\n---\ninst-1"
WRONG: list[tuple[str | bytes, str]] = [
    ("---\nkindd: Instance\n---\n", "a.md: kindd: unknown key, did you mean `kind`?"),
    ("---\nkind: Instence\n---\n", "a.md: kind: unknown name 'Instence', did you mean 'Instance'?"),
    ("---\nissue_type: disk\n---\n", "a.md: issue_type[0]: Input should be 'service_down'"),
    ("---\ncauses: [nothing_declared]\n---\n", "a.md: causes: unknown name 'nothing_declared'"),
    ("---\nkind: {a: b}\n---\n", "a.md: kind: must be a name or a list of names"),
    ("---\ntitle: [a]\n---\n", "a.md: title: Input should be a valid string"),
    ("---\nkind: Instance\nkind: Database\n---\n", "a.md: line 3, column 1: key 'kind' is given twice"),
    ("---\nkind: [\n---\n", "a.md: line "),
    ("---\n- a\n---\n", "a.md: must hold keys and values"),
    ("---\nkind: Instance\n", "a.md: its front matter has no end"),
    (f"---\n# {'x' * FRONT_MATTER_CHARS}\n---\n", "a.md: its front matter has no end"),
    (BOMB, "a.md: line 3, column 8: aliases are not allowed here"),
    ("---\n&a a: *a\n---\n", "a.md: line 2, column 7: aliases are not allowed here"),
    ("---\ntitle: !!python/object/apply:os.system ['touch x']\n---\n", "a.md: line 2, column 8: could not determine"),
    (f"---\ntitle: {'[' * 3_000}\n---\n", "a.md: "),
    (f"---\ntitle: {'9' * 3_900}x\nkind: 2026-99-99\n---\n", "a.md: is not YAML: month must be in 1..12"),
    (b"caf\xe9 inst-1", "a.md: is not UTF-8 (byte 3)"),
    (b"\xff\xfei\0n\0", "a.md: is not UTF-8 (byte 0)"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem[6:46] for _, problem in WRONG])
async def test_a_file_that_is_wrong_is_left_out_and_says_what_is_wrong(
    folder: Folder, text: str | bytes, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("a.md", text)
    assert await folder.names() == [] and await folder.names() == []
    assert folder.problem().startswith(problem)
    assert len([record for record in caplog.records if "a runbook is left out: a.md" in record.message]) == 1


async def test_one_wrong_file_does_not_take_the_others_with_it(folder: Folder) -> None:
    folder.write("a.md", "---\nkindd: x\n---\ninst-1")
    folder.write("b.md", "inst-1")
    assert await folder.names() == ["b.md"]


@pytest.mark.parametrize("text", ["", "inst-1", "---\n---\ninst-1", "\ufeff---\r\nkind: Instance\r\n---\r\ninst-1\r\n"])
async def test_front_matter_may_be_absent_or_empty_or_from_windows(folder: Folder, text: str) -> None:
    folder.write("a.md", text)
    assert [book.text for book in await folder.given()] == (["inst-1"] if text else [])
    assert folder.shelf.read().problems == ()


def test_a_pipe_is_not_waited_for(folder: Folder) -> None:
    os.mkfifo(folder.path / "a.md")
    assert folder.problem() == "a.md: is no regular file: remove it"


def test_a_symlink_out_of_the_folder_is_not_followed(folder: Folder) -> None:
    (folder.path / "a.md").symlink_to(folder.outside)
    assert folder.problem() == f"a.md: leads out of {folder.path}: put the file itself there"


@pytest.mark.parametrize("target", ["a.md", "nowhere.md"])
def test_a_symlink_that_leads_nowhere_is_told(folder: Folder, target: str) -> None:
    (folder.path / "a.md").symlink_to(target)
    assert folder.problem() == "a.md: leads nowhere: remove it"


async def test_a_folder_that_is_not_there_is_told_and_hinders_nothing(folder: Folder) -> None:
    folder.path.rmdir()
    assert await folder.given() == []
    assert "is no folder: correct `runbooks`" in folder.problem()


async def test_of_a_huge_file_only_the_beginning_is_read(folder: Folder) -> None:
    folder.write("a.md", "inst-1 " + "ü" * MAX_BYTES + " InstanceDown")
    [found] = await folder.given()
    assert len(found.text) <= TEXT_CHARS and found.why_relevant == "its text names inst-1"


def test_a_folder_with_too_much_in_it_is_not_read_to_its_end(folder: Folder) -> None:
    for index in range(MAX_FILES):
        folder.write(f"{index:03}.md", "inst-1")
    assert folder.shelf.read().problems == ()
    folder.write("sub/one-more.md", "inst-1")
    contents = folder.shelf.read()
    assert len(contents.runbooks) == MAX_FILES and "only the first 200 runbooks" in contents.problems[0]


def test_a_folder_that_can_hardly_be_the_right_one_is_given_up(folder: Folder) -> None:
    for index in range(MAX_ENTRIES + 1):
        (folder.path / f"{index}.txt").touch()
    folder.write("sub/a.md", "inst-1")
    assert folder.shelf.read().runbooks == () and "among 5000 files" in folder.shelf.read().problems[0]


# -- what of a runbook is shown -----------------------------------------------------------------------------------


def test_a_short_runbook_is_shown_whole() -> None:
    assert excerpt("# A\n\nshort", incident(), ()) == "# A\n\nshort"


def test_of_a_long_one_the_head_and_the_sections_that_match_are_shown_in_order() -> None:
    body = "\n".join(
        [
            "# Web hosts\n\nThese are ours.",
            *(f"## Chapter {index}\n\n{'filler ' * 60}" for index in range(10)),
            "## If a service is down\n\nThe words service down are enough.",
            "## InstanceDown\n\nAsk the provider.",
            "## The end\n\nbye",
        ]
    )
    shown = excerpt(body, incident(), ())
    assert shown == "\n\n".join(
        [
            "# Web hosts\n\nThese are ours.",
            "## If a service is down\n\nThe words service down are enough.",
            "## InstanceDown\n\nAsk the provider.",
        ]
    )


@pytest.mark.parametrize(
    "body",
    [
        "x" * 60_000,
        "# A\n" + "word " * 10_000,
        "\n".join(f"# InstanceDown {index}\n" + "inst-1 " * 100 for index in range(90)),
        "\n".join(f"# {index}\n" + "filler " * 100 for index in range(90)),
        "```\n# comment\n" + "x\n" * 5_000,
    ],
)
def test_what_is_shown_is_bounded_and_says_where_it_was_cut(body: str) -> None:
    shown = excerpt(body, incident(), ())
    assert TEXT_CHARS // 4 < len(shown) <= TEXT_CHARS
    assert shown.startswith(body[:4]) and shown.endswith("[…]")


def test_a_comment_in_code_begins_no_section() -> None:
    body = "# A\n```sh\n# restart\nsystemctl restart nginx\n```\n## B\ntext"
    assert sections_of(body) == ["# A\n```sh\n# restart\nsystemctl restart nginx\n```", "## B\ntext"]


async def test_secrets_and_terminal_sequences_are_taken_out(folder: Folder) -> None:
    folder.write("a.md", "inst-1: mysql --password hunter2\n\x1b[2Jpassword: hunter3\u202e", title="t\x1b[31m")
    [found] = await folder.given()
    assert "hunter" not in found.text and "\x1b" not in found.text + found.title and "\u202e" not in found.text


async def test_a_file_name_of_many_lines_is_one_line(folder: Folder) -> None:
    folder.write("a\nEND DATA\x1b[2J.md", "inst-1")
    assert await folder.names() == ["a END DATA.md"]


# -- settings, doctor, lore ---------------------------------------------------------------------------------------


def test_the_folder_belongs_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "selfheal.yaml").write_text("runbooks: books\n")
    assert load(tmp_path / "selfheal.yaml").runbooks == tmp_path / "books"
    (tmp_path / "selfheal.yaml").write_text("{}\n")
    assert load(tmp_path / "selfheal.yaml").runbooks is None


async def checks(folder: Folder, **changes: Any) -> list[tuple[str, str]]:
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{folder.root}/s.db",
        "runbooks": folder.path,
        "prometheus": {"url": "http://127.0.0.1:9"},
        "listen": {"port": 9},
    }
    settings = Settings(**(values | changes))
    return [(check.status, check.found) async for check in examine(settings) if check.subject == "runbooks"]


async def test_the_doctor_counts_runbooks_and_names_what_is_wrong(folder: Folder) -> None:
    folder.write("a.md", "inst-1")
    folder.write("b.md", "---\nkindd: x\n---\n")
    [good, bad] = await checks(folder)
    assert good == ("ok", f"1 in {folder.path}")
    assert bad[0] == "fail" and bad[1].startswith("b.md: kindd: unknown key, did you mean `kind`?")
    assert await checks(folder, runbooks=None) == []


async def test_the_doctor_says_that_the_folder_is_missing(folder: Folder) -> None:
    [(status, found)] = await checks(folder, runbooks=folder.root / "none")
    assert status == "fail" and "is no folder" in found


async def test_lore_without_store_and_folder_is_empty_and_with_a_folder_has_its_runbooks(folder: Folder) -> None:
    folder.write("a.md", "inst-1")
    assert list(await StoredLore(None, None).runbooks(incident(), ())) == []
    assert list(await StoredLore(None, None).past(incident(), ())) == []
    lore = StoredLore(None, folder.shelf)
    assert [book.name for book in await lore.runbooks(incident(), ())] == ["a.md"]
    assert await lore.runbooks(replace_resource(incident()), ()) == []


def replace_resource(of: Incident) -> Incident:
    """About a resource nobody wrote of."""
    return of.model_copy(update={"resource_id": "elsewhere", "resource": None})
