"""The fleet's limits as an operator writes them, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.preflight import checked
from server.settings import load
from server.settings_errors import ConfigError
from tests.server.test_settings import problem_with, written

SSH = "ssh: {user: u, key_file: key, known_hosts: hosts}"
HOSTS = ", ".join(f"{{id: web-{n}, kind: Instance, address: 10.0.0.{n}, group: web, {SSH}}}" for n in range(1, 9))
DATABASE = (
    "{id: db-1, kind: Database, address: 10.0.0.1, group: web, host: web-1, transport: none, "
    "database: {engine: postgresql, cluster: orders, role: primary, port: 5432}}"
)


def test_a_group_s_machines_are_counted_from_what_is_declared_each_once(tmp_path: Path) -> None:
    limits = load(written(tmp_path, f"resources: [{HOSTS}, {DATABASE}]")).fleet_rules.limits
    assert limits.machines == {"web": 8} and limits.places("web") == 2
    assert (limits.cool_down_seconds, limits.group_rate("web")) == (900, None)


def test_groups_actions_and_cool_down_are_set_in_one_block(tmp_path: Path) -> None:
    fleet = "{max_disruptive: 3, actions: {soft_reboot: 6}, escalation_cool_down_seconds: 0, "
    fleet += "max_actions_per_hour: 40, groups: {web: {max_disruptive: 50%, max_actions_per_hour: 20}}}"
    limits = load(written(tmp_path, f"resources: [{HOSTS}]\nfleet: {fleet}")).fleet_rules.limits
    assert (limits.places("web"), limits.places("other"), limits.actions_per_hour) == (4, 3, {"soft_reboot": 6})
    assert (limits.group_rate("web"), limits.group_rate("other"), limits.cool_down_seconds) == (20, 40, 0)


def test_a_variable_may_set_a_number_or_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, places in (("2", 2), ("50%", 4)):
        monkeypatch.setenv("SELFHEAL_FLEET__MAX_DISRUPTIVE", given)
        assert load(written(tmp_path, f"resources: [{HOSTS}]")).fleet_rules.limits.places("web") == places


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        ("{max_disruptive: 0}", "fleet.max_disruptive: 0: use a number of machines from 1, or a share"),
        ("{max_disruptive: 250%}", "such as 25%"),
        ("{max_disruptive: half}", "such as 25%"),
        ("{max_disruptive: true}", "fleet.max_disruptive"),
        ("{max_disruptiv: 1}", "did you mean `max_disruptive`?"),
        ("{groups: {web: {max: 1}}}", "fleet.groups.web.max: unknown key"),
        ("{actions: {soft_reboot: -1}}", "fleet.actions.soft_reboot"),
        ("{escalation_cool_down_seconds: -1}", "fleet.escalation_cool_down_seconds"),
    ],
)
def test_a_limit_that_says_nothing_is_refused_with_the_remedy(tmp_path: Path, fleet: str, said: str) -> None:
    assert said in problem_with(tmp_path, f"resources: [{HOSTS}]\nfleet: {fleet}")


def test_a_limit_of_what_is_not_declared_stops_the_start(tmp_path: Path) -> None:
    fleet = "{groups: {webs: {max_disruptive: 1}}, actions: {soft_rebot: 1, soft_reboot: 2}}"
    with pytest.raises(ConfigError) as caught:
        checked(load(written(tmp_path, f"resources: [{HOSTS}]\nfleet: {fleet}")))
    assert "no group 'webs' is declared, did you mean 'web'?" in str(caught.value)
    assert "there is no action 'soft_rebot', did you mean 'soft_reboot'?" in str(caught.value)
    assert len(caught.value.problems) == 2
