"""Why alerts ring for nobody, in words: silences that others have put, and alerts that inhibit them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from graph.records import Incident
from tools.clients.alertmanager import ActiveAlert, AlertmanagerClient, Silence
from tools.redaction import redact

OURS = "self-heal"
"""Who has put the silences that are put while repairing: these keep nobody from repairing."""
_SHOWN_CHARS = 120
_WHERE = ("resource_kind", "resource_id")


class AlertmanagerSuppressions:
    """Asks Alertmanager anew each time: silences come and go."""

    def __init__(self, client: AlertmanagerClient) -> None:
        self._client = client

    async def of(self, incident: Incident) -> Mapping[str, str]:
        """See `graph.ports.Suppressions`."""
        labels = incident.firing[0].labels if incident.firing else {}
        where = {name: labels[name] for name in _WHERE if labels.get(name)}
        found = [alert for alert in await self._client.alerts(**where) if alert.silenced_by or alert.inhibited_by]
        ours = {
            alert.fingerprint: match
            for alert in incident.firing
            if (match := next((item for item in found if item.is_of(alert)), None))
        }
        silences = await self._silences(ours.values())
        inhibiting = await self._inhibiting(ours.values())
        words = {fingerprint: _words(alert, silences, inhibiting) for fingerprint, alert in ours.items()}
        return {fingerprint: said for fingerprint, said in words.items() if said}

    async def _silences(self, alerts: Collection[ActiveAlert]) -> dict[str, Silence | None]:
        ids = sorted({silence_id for alert in alerts for silence_id in alert.silenced_by})
        return {silence_id: await self._client.silence(silence_id) for silence_id in ids}

    async def _inhibiting(self, alerts: Collection[ActiveAlert]) -> dict[str, str]:
        if not any(alert.inhibited_by for alert in alerts):
            return {}
        return {alert.fingerprint: alert.name for alert in await self._client.alerts()}


def _words(alert: ActiveAlert, silences: Mapping[str, Silence | None], inhibiting: Mapping[str, str]) -> str:
    """Why it rings for nobody; empty where that is only by silences of ours."""
    told = [said for silence_id in alert.silenced_by if (said := _silenced(silences.get(silence_id)))]
    told += [f"{alert.name} is inhibited by {_plain(inhibiting.get(name, name))}" for name in alert.inhibited_by]
    return "; ".join(dict.fromkeys(told))


def _silenced(silence: Silence | None) -> str:
    if silence is None:
        return "silenced by a silence that Alertmanager no longer tells of"
    if silence.created_by == OURS:
        return ""
    until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC"
    comment = f": {_plain(silence.comment)!r}" if silence.comment.strip() else ""
    return f"silenced by {_plain(silence.created_by) or 'somebody'} until {until}{comment}"


def _plain(text: str) -> str:
    """Of people's words one short line."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
