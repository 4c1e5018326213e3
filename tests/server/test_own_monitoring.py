"""Self-Heal watched by a real Prometheus: its rules and its dashboard, on two servers with one store."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.alerting import DASHBOARD, OWN_RULES
from server.commands.rules import shipped
from server.own_alerts import DEAD_MANS_SWITCH
from tests.server.live import LiveServer
from tests.server.test_alerting import promtool
from tests.server.test_metrics_promises import told_of_everything
from tests.server.web import TOKENS, alert_body
from tests.tools.http_faults import closed_port
from tests.tools.real_daemon import running

ROOT = Path(__file__).parent.parent.parent
OPERATING = (ROOT / "docs" / "operating.md").read_text()
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
RULES = shipped((OWN_RULES,))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ASKED = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
METRIC = re.compile(r"\b(?:selfheal|process)_\w+")
VARIABLES = {"$job": ".+", "$__rate_interval": "5m", "$__range": "6h"}


@dataclass
class Watched:
    """Two servers on one store, and the Prometheus that scrapes both."""

    url: str
    page: str
    """What one of the servers told it."""

    def ask(self, path: str, **parameters: str) -> Any:
        return _ask(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")

    def value(self, expression: str) -> float:
        [found] = self.ask("query", query=_filled(expression))["result"]
        return float(found["value"][1])

    def stat(self, title: str) -> float:
        [expression] = [expression for name, expression in ASKED if name == title]
        return self.value(expression)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no `prometheus` on PATH: install the Debian package prometheus")
    folder = tmp_path_factory.mktemp("store")
    servers = [LiveServer(folder), LiveServer(folder)]
    with ExitStack() as stack:
        for server in servers:
            server.up()
            stack.callback(server.down)
        servers[0].do(told_of_everything(servers[0].services))
        for server in servers:
            _post(server, alert_body())
        page = _get(f"http://127.0.0.1:{servers[0].port}/metrics", TOKENS.operator).decode()
        home = Path(tempfile.mkdtemp(prefix="selfheal-prometheus-"))
        url = f"http://127.0.0.1:{closed_port()}"
        (home / "prometheus.yml").write_text(yaml.safe_dump(_config([server.port for server in servers])))
        command = [
            binary,
            f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/data",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        stack.enter_context(running("prometheus", command, home, lambda: _scraped(url), 40))
        yield Watched(url, page)


def _config(ports: list[int]) -> dict[str, Any]:
    """As the handbook has it, with a scrape each second."""
    [shown] = [
        text for text in re.findall(r"```yaml\n(.*?)```", OPERATING, re.S) if text.startswith("# prometheus.yml")
    ]
    config: dict[str, Any] = yaml.safe_load(shown)
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(OWN_RULES)]
    [job] = config["scrape_configs"]
    assert job.pop("authorization") == {"credentials_file": "selfheal-viewer.token"}
    job |= {
        "authorization": {"credentials": TOKENS.operator},
        "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
    }
    return config


def _scraped(url: str) -> bool:
    """Whether both servers were scraped and every rule was evaluated."""
    rules = [rule for group in _ask(f"{url}/api/v1/rules")["groups"] for rule in group["rules"]]
    up = _ask(f"{url}/api/v1/query?query=sum(up)")["result"]
    return bool(rules) and all(rule["health"] != "unknown" for rule in rules) and bool(up) and up[0]["value"][1] == "2"


def _ask(url: str) -> Any:
    return json.loads(_get(url))["data"]


def _get(url: str, token: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return bytes(answer.read())


def _post(server: LiveServer, body: Any) -> None:
    about = {"Authorization": f"Bearer {TOKENS.webhook}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{server.port}/webhooks/alertmanager"
    request = urllib.request.Request(url, json.dumps(body).encode(), about)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        assert answer.status == 202


def _filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_prometheus_scrapes_it_and_evaluates_all_its_rules(watched: Watched) -> None:
    targets = watched.ask("targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")] * 2
    rules = [rule for group in watched.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in RULES}
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    firing = {alert["labels"]["alertname"] for alert in watched.ask("alerts")["alerts"] if alert["state"] == "firing"}
    assert firing == {DEAD_MANS_SWITCH}


@pytest.mark.parametrize("title, expression", ASKED)
def test_every_panel_asks_what_prometheus_understands_and_selfheal_tells(
    watched: Watched, title: str, expression: str
) -> None:
    assert "$" not in _filled(expression) and 'job=~"$job"' in expression
    watched.ask("query", query=_filled(expression))
    for name in METRIC.findall(expression):
        assert re.search(rf"^{name}[ {{]", watched.page, re.M), name


def test_the_rules_name_only_what_is_told(watched: Watched) -> None:
    for rule in RULES:
        for name in METRIC.findall(rule["expr"]):
            assert re.search(rf"^{name}[ {{]", watched.page, re.M), f"{rule['alert']}: {name}"


def test_two_servers_on_one_store_are_not_counted_twice(watched: Watched) -> None:
    assert watched.stat("Servers that answer") == 2
    assert watched.stat("Escalated") == 1
    assert watched.stat("Being worked at") == 0
    assert watched.value('sum(max by (outcome) (selfheal_outcomes_total{job=~"$job"}))') == 1
    assert watched.value('sum by (decision) (selfheal_alerts_received_total{job=~"$job", decision="joined"})') == 2


def test_what_all_servers_tell_alike_is_never_summed_over_them() -> None:
    """A sum stands around a max by the labels there are, or over what each process has seen itself."""
    of_store = set(re.findall(r"^\| `(selfheal_\w+)`[^|]*\|[^|]*\| store", OPERATING, re.M))
    for about, expression in [*ASKED, *((rule["alert"], rule["expr"]) for rule in RULES)]:
        for part in re.findall(r"(\w+) (?:by|without|on) ?\([^)]*\) \((?:increase|rate)?\(?(selfheal_\w+)", expression):
            family = re.sub(r"_(bucket|sum|count)$", "", part[1])
            assert family not in of_store or part[0] == "max", (about, part)
        assert not re.search(rf"sum\((?:increase|rate)?\(?(?:{'|'.join(sorted(of_store))})", expression), about


def test_the_dashboard_asks_for_its_prometheus_and_tells_what_each_panel_shows() -> None:
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in PANELS:
        assert panel["title"] and panel["description"], panel["id"]
        for about in (panel, *panel["targets"]):
            assert about["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_every_metric_of_the_handbook_is_on_the_dashboard_or_in_a_rule() -> None:
    watched = " ".join([*(expression for _, expression in ASKED), *(rule["expr"] for rule in RULES)])
    for name in re.findall(r"^\| `(selfheal_\w+)`", OPERATING, re.M):
        assert name in watched, name


def test_every_rule_says_what_to_do_and_is_for_people_and_in_the_handbook() -> None:
    listed = re.findall(r"^\| `(SelfHeal\w+)` \| (\w+)", OPERATING, re.M)
    assert sorted(listed) == sorted((rule["alert"], rule["severity"]) for rule in RULES)
    for group in yaml.safe_load(OWN_RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"] and rule["annotations"]["todo"], rule["alert"]
            assert rule["labels"]["component"] == "self-heal" and "resource_id" not in rule["labels"]


def test_the_route_shown_brings_the_switch_to_us_and_to_whoever_calls_and_the_rest_to_people(tmp_path: Path) -> None:
    if (binary := shutil.which("amtool")) is None:
        pytest.skip("amtool is missing: it comes with Debian's package prometheus-alertmanager")
    [shown] = [text for text in re.findall(r"```yaml\n(.*?)```", OPERATING, re.S) if "alertmanager.yml" in text]
    (tmp_path / "alertmanager.yml").write_text(shown)

    def receivers(*labels: str) -> str:
        command = [binary, "config", "routes", "test", "--config.file", f"{tmp_path}/alertmanager.yml", *labels]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    own = "component=self-heal"
    assert receivers(own, f"alertname={DEAD_MANS_SWITCH}") == "selfheal,heartbeat"
    assert receivers(own, "alertname=SelfHealQueueOld") == "people"
    assert receivers("alertname=DiskFull", "resource_id=inst-abc123") == "selfheal"


def test_promtool_finds_nothing_wrong_with_the_page(watched: Watched, tmp_path: Path) -> None:
    promtool("check", "metrics", cwd=tmp_path, given=watched.page)
