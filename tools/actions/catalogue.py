"""The catalogue behind the nodes' port: a plan's step comes in as a name and params, and is run only if declared.

A reasoner's rendering, risk and undo are not believed: they are written anew here, and what was approved is compared
with what would run in the moment before it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from graph.doing import for_purpose
from graph.kind import ActionSpec, ResourceKind
from graph.ports import ActionOutput, InvalidStep, PermanentError, Probe
from graph.records import PlanStep, Resource
from tools.actions import CATALOG
from tools.actions.action import Action, ActionContext, NotAllowed
from tools.clients.databases.database import DatabaseError
from tools.clients.host import HostUnreachable
from tools.clients.providers.provider import ProviderError


class Catalogue:
    """Implements `graph.ports.Actions` with the actions of CATALOG."""

    def __init__(self, context: ActionContext, catalog: Sequence[type[Action[Any]]] = CATALOG) -> None:
        self._actions: dict[str, Action[Any]] = {action.spec.name: action(context) for action in catalog}

    def spec(self, name: str) -> ActionSpec:
        """The declared action of that name. Raises PermanentError for one that is not catalogued."""
        return self._action(name).spec

    def specs(self, kind: ResourceKind) -> tuple[ActionSpec, ...]:
        """The actions the kind permits, in its order. Raises PermanentError where it names one that does not exist."""
        return tuple(self.spec(name) for name in kind.actions)

    async def complete(self, resource: Resource, kind: ResourceKind, step: PlanStep) -> PlanStep:
        """The step with canonical params, exact rendering, risk and undo. Raises InvalidStep."""
        if step.action not in kind.actions:
            allowed = ", ".join(kind.actions)
            raise InvalidStep(step, "action", f"not an action of {kind.name}; allowed: {allowed}")
        try:
            action = self._action(step.action)
        except PermanentError as error:
            raise InvalidStep(step, "action", str(error)) from error
        params = _admitted(action, resource, step)
        undo = action.undo(resource, params)
        return step.model_copy(
            update={
                "params": params.model_dump(mode="json"),
                "rendered": action.render(resource, params),
                "risk": action.risk(resource, params),
                "judged_by": action.spec.judged_by,
                "undo": await self.complete(resource, kind, undo) if undo else None,
            }
        )

    def touches(self, resource: Resource, step: PlanStep) -> tuple[str, ...]:
        """What the step needs the lease of, each once."""
        action = self._action(step.action)
        return tuple(dict.fromkeys(action.touches(resource, _admitted(action, resource, step))))

    async def precondition(self, resource: Resource, step: PlanStep) -> str | None:
        """Why the step must not run now, judged on fresh data, or None."""
        action = self._action(step.action)
        try:
            params = _admitted(action, resource, step)
            if changed := _changed(action, resource, params, step):
                return changed
            with for_purpose("precondition"):
                async with asyncio.timeout(action.spec.deadline_seconds):
                    return await action.precondition(resource, params)
        except (InvalidStep, HostUnreachable, ProviderError, DatabaseError, PermanentError) as error:
            return f"cannot be checked before running: {error}"
        except TimeoutError:
            return f"cannot be checked before running: no answer within {action.spec.deadline_seconds:g} s"

    async def baseline(self, resource: Resource, step: PlanStep) -> dict[str, Any]:
        """What a later probe compares with. JSON."""
        action = self._action(step.action)
        with for_purpose("baseline"):
            return await action.baseline(resource, _admitted(action, resource, step))

    async def run(self, resource: Resource, step: PlanStep, key: str, first_started_at: datetime) -> ActionOutput:
        """The side effect. What may have begun and is not known to have ended is `unknown`, never `failed`."""
        action = self._action(step.action)
        params = _admitted(action, resource, step)
        if changed := _changed(action, resource, params, step):
            return ActionOutput("failed", changed)
        try:
            async with asyncio.timeout(action.spec.deadline_seconds):
                return await action.run(resource, params, key, first_started_at)
        except (HostUnreachable, ProviderError, DatabaseError) as error:
            if error.sent:
                return ActionOutput("unknown", f"it may have begun: {error}")
            return ActionOutput("failed", f"it was not begun: {error}")
        except TimeoutError:
            return ActionOutput("unknown", f"no answer within its deadline of {action.spec.deadline_seconds:g} s")

    async def probe(self, resource: Resource, step: PlanStep, key: str, baseline: Mapping[str, Any]) -> Probe:
        """Whether a run of this key took effect, as far as the world tells."""
        action = self._action(step.action)
        try:
            params = _admitted(action, resource, step)
            with for_purpose("probe"):
                async with asyncio.timeout(action.spec.deadline_seconds):
                    return await action.probe(resource, params, key, baseline)
        except (InvalidStep, HostUnreachable, ProviderError, DatabaseError, PermanentError) as error:
            return Probe("unknown", f"cannot be found out: {error}")
        except TimeoutError:
            return Probe("unknown", "cannot be found out: no answer in time")

    def _action(self, name: str) -> Action[Any]:
        action = self._actions.get(name)
        if action is None:
            raise PermanentError(f"no action {name!r} in the catalogue; there are: {', '.join(self._actions)}")
        return action


def _admitted(action: Action[Any], resource: Resource, step: PlanStep) -> Any:
    """The step's params, validated and in canonical form. Raises InvalidStep."""
    try:
        return action.admit(resource, action.params.model_validate(step.params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        field = f"params.{name}" if name else "params"
        raise InvalidStep(step, field, f"{first['msg']}; allowed: {_allowed(action)}") from error
    except NotAllowed as error:
        field = "action" if error.field_name == "action" else f"params.{error.field_name}"
        raise InvalidStep(step, field, str(error)) from error


def _allowed(action: Action[Any]) -> str:
    """The action's params in words: `seconds (integer, 1 to 900, …)`."""
    described = []
    for name, schema in action.params.model_json_schema().get("properties", {}).items():
        words = [str(schema.get("type", ""))] if "enum" not in schema else [" or ".join(schema["enum"])]
        if "minimum" in schema:
            words.append(f"{schema['minimum']} to {schema.get('maximum', '…')}")
        if "description" in schema:
            words.append(schema["description"])
        described.append(f"{name} ({', '.join(words)})")
    return "; ".join(described) or "no params"


def _changed(action: Action[Any], resource: Resource, params: Any, step: PlanStep) -> str | None:
    """Why what would run is not what was planned (and approved), or None."""
    rendered = action.render(resource, params)
    if rendered == step.rendered:
        return None
    return (
        f"the resource has changed since the plan was made: planned was {step.rendered!r}, now it would be {rendered!r}"
    )
