"""The forms of an incident's page: the decision about the plan that waits, and the other verbs."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from graph.records import AfterRejection
from server.access.actor import Actor, Approver
from server.console.forms import read_form
from server.console.incident_page import incident_page, problem_of
from server.console.page_route import back_to
from server.errors import ApiError
from server.services import Services
from server.verbs import Verbs

BUTTONS: dict[str, tuple[Literal["approve", "reject"], AfterRejection, str]] = {
    "approve": ("approve", "close", "approved: it runs as soon as nothing holds it"),
    "reject": ("reject", "close", "rejected"),
    "replan": ("reject", "replan", "rejected, another plan is made"),
}
"""What each button of the decision stands for: the decision, what follows, and what is said then."""


def deciding_pages(router: APIRouter, services: Services, verbs: Verbs) -> None:
    """Add where the forms go."""

    @router.post("/incidents/{number}/decision")
    async def decide(request: Request, number: str, actor: Approver) -> Response:
        form = await read_form(request)
        wanted = form.get("decision", "")
        if wanted not in BUTTONS:
            raise ApiError(422, f"decision: {wanted!r:.40} is none", remedy="use the buttons of the page")
        decision, then, said = BUTTONS[wanted]
        fingerprint, comment = form.get("plan_fingerprint", ""), form.get("comment", "")
        try:
            await verbs.decide(number, actor.who(), decision, fingerprint, None, comment, then)
        except ApiError as error:
            return await _again(request, number, error, form)
        return back_to(f"/incidents/{number}", said)

    @router.post("/incidents/{number}/{verb}")
    async def ask(request: Request, number: str, verb: str, actor: Approver) -> Response:
        form = await read_form(request)
        try:
            told = await _asked(verbs, number, verb, actor, form)
        except ApiError as error:
            if error.status_code == 404:
                raise
            return await _again(request, number, error, form)
        return back_to(f"/incidents/{number}", str(told["said"]))

    async def _again(request: Request, number: str, error: ApiError, typed: dict[str, str]) -> Response:
        """The page as it is now, with what went wrong and what was typed."""
        record = await verbs.record_of(number)
        return incident_page(services, request, record, error.status_code, problem_of(error), typed)


async def _asked(verbs: Verbs, number: str, verb: str, actor: Actor, form: dict[str, str]) -> dict[str, Any]:
    who, comment = actor.who(), form.get("comment", "")
    match verb:
        case "cancel":
            return await verbs.cancel(number, who)
        case "release":
            return await verbs.release(number, who, comment)
        case "retry":
            return await verbs.retry(number, who)
        case "close":
            return await verbs.close(number, who, comment)
        case "take-over":
            return await verbs.take_over(number, who, _minutes(form), comment)
        case "acknowledge":
            return await verbs.acknowledge(number, who, comment)
        case "confirm":
            right = {"yes": True, "no": False}.get(form.get("right", ""))
            return await verbs.confirm(number, who, form.get("cause", ""), right, comment)
    raise ApiError(404, f"there is no {verb:.40}", remedy="use the buttons of the page")


def _minutes(form: dict[str, str]) -> float:
    try:
        return float(form.get("minutes") or 60)
    except ValueError:
        raise ApiError(422, f"minutes: {form['minutes']!r:.40} is no number", "minutes", "give a number") from None
