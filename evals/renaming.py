"""One case's identities made neutral, in all its files alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from evals.case import Case, Context, Expected, Recorded
from evals.leaks import gives_away, known_causes, without_names
from evals.neutral import Names, names_in_facts, names_in_labels, names_in_text
from graph.alerts import Alert, AlertGroup
from graph.facts import fact_key, parse_key
from graph.records import Attempt, Resource
from graph.rules.classify import issue_type_of

_OF_THE_PAST = ("changes", "past_incidents")
KEY_FILE, KNOWN_HOSTS, PASSWORD_FILE = "/etc/selfheal/key", "/etc/selfheal/known_hosts", "/etc/selfheal/password"


def neutral(case: Case) -> Case:
    """The case with neutral names, secrets taken out once more."""
    names = Names()
    _meet(names, case)
    context = case.context
    resource = _resource(names, context.resource) if context.resource else None
    return replace(
        case,
        alerts=AlertGroup(alerts=tuple(_alert(names, alert, case.expected) for alert in case.alerts.alerts)),
        context=Context(
            resource=resource,
            inventory=tuple(_resource(names, each) for each in context.inventory),
            received_at=context.received_at,
            attempt=context.attempt,
            attempts=tuple(Attempt.model_validate(names.tree(_json(each))) for each in context.attempts),
        ),
        calls=tuple(_call(names, call) for call in case.calls),
        expected=_expected(names, case.expected),
    )


def _json(record: Attempt | Recorded | Resource | Expected) -> dict[str, object]:
    return record.model_dump(mode="json")


# -- who is met -----------------------------------------------------------------------------------------


def _meet(names: Names, case: Case) -> None:
    """What is declared first, then what telemetry names, each in a fixed order."""
    context = case.context
    for resource in ((context.resource,) if context.resource else ()) + context.inventory:
        _meet_resource(names, resource)
    for alert in case.alerts.alerts:
        names.host(alert.labels.get("resource_id"))
        names_in_labels(names, alert.labels)
        # its name is its claim and stays, unless it says what only a diagnosis may say
        if gives_away(alert.name, case.expected):
            names.call(alert.name, issue_type_of(alert).title().replace("_", "") + "Alert")
    for call in case.calls:
        names_in_facts(names, sorted(call.facts))
    for call in case.calls:
        for text in (call.text, call.raw):
            names_in_text(names, text)


def _meet_resource(names: Names, resource: Resource) -> None:
    database = resource.database
    names.give("db" if database else "host", resource.id)
    names.host(resource.address)
    names.host(resource.host)
    names.give("group", resource.group)
    names.give("zone", resource.zone)
    for service in (*resource.services, *(check.service for check in resource.health), resource.network.service):
        names.service(service)
    for unit in resource.cleanup.restart_units:
        names.service(unit)
    if resource.ssh is not None:
        names.user(resource.ssh.user)
        names.call(resource.ssh.key_file, KEY_FILE)
        names.call(resource.ssh.known_hosts, KNOWN_HOSTS)
    names.give("instance", resource.provider.instance_id)
    for volume in resource.volumes:
        names.give("volume", volume.volume_id)
        names.folders(volume.mount)
    for group in resource.security_groups:
        names.give("sg", group.id)
    names.give("asg", resource.scaling.auto_scaling_group)
    if resource.failover:
        names.host(resource.failover.to)
        _meet_arn(names, resource.failover.target_group)
    for path in (*resource.cleanup.log_roots, *resource.cleanup.tmp_roots, *resource.cleanup.core_roots):
        names.folders(path)
    for reached in (*resource.depends_on, *(check.tcp for check in resource.health), *resource.network.resolve):
        names.host(_host_in(reached))
    if database is not None:
        names.give("cluster", database.cluster)
        names.give("db", database.name if database.name != "postgres" else None, "_")
        names.service(database.service)
        names.give("slot", database.replication.slot, "_")
        for user in (database.user, database.replication.user, database.os_user):
            names.user(user)
        for peer in database.peers:
            names.give("db", peer)
        names.folders(database.data_dir)
        for secret in (database.password_file, database.replication.password_file):
            if secret:
                names.call(secret, PASSWORD_FILE)


def _meet_arn(names: Names, arn: str | None) -> None:
    if arn and "/" in arn:
        names.give("targets", arn.split("/")[1])


def _host_in(reached: str | None) -> str:
    """The host of `host:port`, the id of `Kind/id`."""
    tail = (reached or "").rpartition("/")[2]
    head, colon, port = tail.rpartition(":")
    return head if colon and port.isdigit() else tail


# -- what is made of it ---------------------------------------------------------------------------------


def _resource(names: Names, resource: Resource) -> Resource:
    return Resource.model_validate(names.tree(_json(resource)))


def _call(names: Names, call: Recorded) -> Recorded:
    """What tells of earlier incidents names no cause: it may be the same again."""
    made = Recorded.model_validate(names.tree(_json(call)))
    if call.tool not in _OF_THE_PAST and call.params.get("probe") not in _OF_THE_PAST:
        return made
    causes = known_causes()
    told = {"text": without_names(made.text, causes), "raw": without_names(made.raw, causes)}
    return made.model_copy(update=told)


def _alert(names: Names, alert: Alert, expected: Expected) -> Alert:
    """Its fingerprint is made anew, as it is one of the labels."""
    labels = names.tree(alert.labels)
    if gives_away(alert.name, expected):
        labels["issue_type"] = issue_type_of(alert)
    return Alert(
        status=alert.status,
        labels=labels,
        annotations=names.tree(alert.annotations),
        startsAt=alert.starts_at,
        endsAt=alert.ends_at,
        generatorURL=_url(names, alert.generator_url),
    )


def _url(names: Names, url: str) -> str:
    parts = urlsplit(url)
    if not parts.query:
        return names.text(url)
    query = urlencode([(key, names.text(value)) for key, value in parse_qsl(parts.query, keep_blank_values=True)])
    bare = names.text(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))
    return f"{bare}?{query}"


def _expected(names: Names, expected: Expected) -> Expected:
    value = names.tree(_json(expected))
    value["required_facts"] = [_key(names, key) for key in expected.required_facts]
    return Expected.model_validate(value)


def _key(names: Names, key: str) -> str:
    name, labels = parse_key(key)
    return fact_key(name, **names.tree(labels))


def related(resource: Resource | None, declared: Iterable[Resource]) -> tuple[Resource, ...]:
    """What else the agent knows that matters to this resource: its cluster, what it runs on, depends on, fails over to,
    and what runs on the same machine."""
    if resource is None:
        return ()
    keys = {*resource.peer_keys, *resource.depends_on, f"Instance/{resource.host}"}
    if resource.failover:
        keys.add(f"{resource.kind}/{resource.failover.to}")
    return tuple(
        each
        for each in declared
        if each.key != resource.key
        and (each.key in keys or each.host_key == resource.host_key or each.address == resource.address)
    )
