"""Retention as people ask for it: by HTTP, by the command line, and on the pages of what was compacted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server import exits
from server.cli import run
from server.client import ServerClient, ServerRefused
from server.services import Services
from server.store import Store
from tests.console.scenes import load_actions, make_console, mitigated, opened
from tests.server.live import LiveServer
from tests.server.people import APPROVER, USERS, VIEWER


class Later:
    """A clock that can be set to later."""

    days = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)


LATER = Later()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With an incident that is over and one that is not, and all that is read of them five days later."""
    folder = tmp_path_factory.mktemp("retention")
    services: Services = make_console(folder, access={"users": USERS}, retention={"evidence_days": 30})
    services.store = Store.open(services.settings.database_url, now=LATER.now)
    made = LiveServer(folder, services, load_actions)
    made.up()
    made.do(mitigated(services))
    made.do(opened(services, resource_id="unknown-1"))
    yield made
    made.down()
    LATER.days = 0.0


def called(server: LiveServer, *words: str) -> int:
    return run(["--config", str(server.config), "retention", *words])


def test_a_dry_run_says_what_would_be_done_and_a_run_does_it(
    server: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    LATER.days = 5
    assert called(server, "report") == exits.OK
    assert "due: 1 incidents compacted" in capsys.readouterr().out
    assert called(server, "run", "--dry-run") == exits.OK
    assert capsys.readouterr().out == "would be: 1 incidents compacted\n"
    assert called(server, "run", "--json", "--by", "ann") == exits.OK
    done = json.loads(capsys.readouterr().out)["done"]
    assert done["compacted"] == 1 and not done["more"]
    assert called(server, "run", "--dry-run") == exits.OK
    assert capsys.readouterr().out == "nothing is due\n"
    assert called(server, "report", "--json") == exits.OK
    found = json.loads(capsys.readouterr().out)
    assert found["compacted"]["incidents"] == 1 and 0 < found["compacted"]["bytes_most"] <= 8192
    assert found["terms"] == {"compact_days": 2.0, "evidence_days": 30.0, "incident_days": None}
    with client(server) as http:
        entry = http.get("/api/audit")["entries"][0]
        assert (entry["who"], entry["what"]) == ("ann", "retention_run")


def test_the_page_of_a_compacted_incident_tells_its_story_and_that_it_was_compacted(server: LiveServer) -> None:
    with client(server) as http:
        page = http._http.get("/incidents/1").text
        for told in (
            "web crashed (signal KILL, start limit hit) and is failed",
            "process_crashed",
            "systemctl restart web.service",
            "all 3 criteria pass, held for 30 s",
            "no kill by the kernel in the last hour",
            "worker 29 exited on signal 9",
            "Details were compacted on",
        ):
            assert told in page, told
        raw = http._http.get("/incidents/1/evidence/E2")
        assert raw.status_code == 200 and "worker 29 exited" in raw.text
        assert http._http.get("/incidents/1/plots").status_code == 200


def test_whole_answers_are_gone_when_their_time_is_over(server: LiveServer) -> None:
    LATER.days = 40
    with client(server) as http:
        done = http.post("/api/retention/run", {})["done"]
        assert done["evidence_expired"] == 1
        page = http._http.get("/incidents/1").text
        assert "expired on" in page and "The whole answer" not in page and "start limit hit" in page
        assert http._http.get("/incidents/1/evidence/E2").status_code == 404
        assert http.incident("1")["outcome"]["status"] == "mitigated"


@pytest.mark.parametrize("token", [VIEWER, APPROVER], ids=["viewer", "approver"])
def test_all_may_read_the_report_and_only_an_admin_clears_away(server: LiveServer, token: str) -> None:
    with ServerClient(f"http://127.0.0.1:{server.port}", token) as http:
        assert http.get("/api/retention")["closed"] == 1
        with pytest.raises(ServerRefused) as refused:
            http.post("/api/retention/run", {})
        assert refused.value.status == 403


def client(server: LiveServer) -> ServerClient:
    return ServerClient(f"http://127.0.0.1:{server.port}", (server.config.parent / "operator.token").read_text())


def test_terms_in_the_wrong_order_stop_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "selfheal.yaml"
    file.write_text("retention: {compact_days: 40}\n")
    assert run(["--config", str(file), "incidents", "list"]) == exits.USAGE
    assert "evidence_days (30) must not be less than compact_days (40)" in " ".join(capsys.readouterr().err.split())
