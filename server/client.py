"""The command line's way to a running server: HTTP, as it must never open the store of a live one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import httpx  # loaded by who asks a server: `serve` would open its port a tenth of a second later

TIMEOUT_SECONDS = 15.0


class ServerUnreachable(Exception):
    """No Self-Heal server answers there; the message names the remedy."""


class ServerRefused(Exception):
    """The server said no: status and its JSON, which names field and remedy."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = dict(body)
        remedy = f" ({body['remedy']})" if body.get("remedy") else ""
        super().__init__(f"{body.get('error') or f'the server answered {status}'}{remedy}")


class ServerClient:
    """One server, with the operator's token; without one only `alive` can be asked. A context."""

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._error = httpx.HTTPError
        # No proxies: the token must go nowhere but to the server named.
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> ServerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def alive(self) -> bool:
        """Whether a Self-Heal server answers there."""
        try:
            answer = self._http.get("/healthz", timeout=2.0)
            return answer.status_code == 200 and answer.json().get("service") == "self-heal"
        except (self._error, ValueError, AttributeError):
            return False

    def post_alerts(self, body: bytes) -> dict[str, Any]:
        """The webhook's answer to an alert body."""
        return self._call("POST", "/webhooks/alertmanager", content=body)

    def incidents(self, **query: str | int | None) -> dict[str, Any]:
        """A page of incidents: `{"incidents": […], "next_cursor"}`."""
        wanted = {key: value for key, value in query.items() if value is not None}
        return self._call("GET", "/api/incidents", params=wanted)

    def incident(self, reference: str) -> dict[str, Any]:
        """The whole record, by number or id."""
        return self._call("GET", f"/api/incidents/{quote(reference, safe='')}")

    def events(self, reference: str, seen: str, wait_seconds: float) -> dict[str, Any]:
        """The timeline once it is another than the one `seen` stands for, or after the wait."""
        query = {"seen": seen, "wait": wait_seconds}
        path = f"/api/incidents/{quote(reference, safe='')}/events"
        return self._call("GET", path, params=query, timeout=wait_seconds + TIMEOUT_SECONDS)

    def records(self, reference: str) -> dict[str, Any]:
        """What each step of a heal wrote: `{"entries": […]}`."""
        return self._call("GET", f"/api/incidents/{quote(reference, safe='')}/records")

    def evidence(self, reference: str, evidence_id: str) -> str | None:
        """The whole answer behind a piece of evidence, or None where none is kept. `E1.shown` is what a reasoner could
        read of E1."""
        path = f"/api/incidents/{quote(reference, safe='')}/evidence/{quote(evidence_id, safe='')}"
        try:
            return str(self._call("GET", path)["raw"])
        except ServerRefused as refused:
            if refused.status == 404:
                return None
            raise

    def model_calls(self, reference: str) -> dict[str, Any]:
        """What models were asked for an incident: `{"calls": […]}`."""
        return self._call("GET", f"/api/incidents/{quote(reference, safe='')}/model-calls")

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """What is read at a path of the API."""
        return self._call("GET", path, params={key: value for key, value in query.items() if value is not None})

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What is asked at a path of the API."""
        return self._call("POST", path, json=dict(body))

    def decide(self, reference: str, decision: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", f"/api/incidents/{quote(reference, safe='')}/decision", json=dict(decision))

    def preview(self, reference: str, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What an edit of the waiting plan would run, exactly."""
        path = f"/api/incidents/{quote(reference, safe='')}/preview"
        return self._call("POST", path, json={"steps": [dict(step) for step in steps]})

    def ask(self, reference: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`cancel`, `release`, `take-over`, `retry`, `close` or `confirm` an incident."""
        return self._call("POST", f"/api/incidents/{quote(reference, safe='')}/{verb}", json=dict(body))

    def switch(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`pause` or `resume` all repairs."""
        return self._call("POST", f"/api/{verb}", json=dict(body))

    def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **more)
        except self._error as error:
            said = str(error) or type(error).__name__
            remedy = "start it with `selfheal serve`, or name another with --server"
            raise ServerUnreachable(f"no server answers at {self.url} ({said}): {remedy}") from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            remedy = "something else than Self-Heal listens there; check `listen` and --server"
            raise ServerUnreachable(f"{self.url}{path} answered {answer.status_code} without JSON: {remedy}")
        if answer.is_success:
            return body
        raise ServerRefused(answer.status_code, body)
