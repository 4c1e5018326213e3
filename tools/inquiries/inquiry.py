"""What a read-only tool is: what it may be asked on this resource, and how it is answered.

Params are typed and bounded, and nothing of them gets into a shell line: what is chosen from a list goes by the list,
and text is sent to Prometheus as a query or compared here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model

from graph.ports import Finding
from graph.records import Incident, Resource
from tools.evidence.context import EvidenceContext, resource_of


class Params(BaseModel):
    """Arguments of one question."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Asking:
    """What a tool has to go by. `sources` are the names of the evidence sources of the resource's kind; the answer's
    text has at most `max_bytes` of UTF-8."""

    context: EvidenceContext
    incident: Incident
    sources: tuple[str, ...] = ()
    max_bytes: int = 1_500

    @property
    def resource(self) -> Resource:
        """Raises PermanentError where the incident has none."""
        return resource_of(self.incident)


@dataclass(frozen=True)
class InquiryTool:
    """One read-only tool. `params` gives what may be asked here, None where the tool has nothing to say of this
    resource; `gather` takes an instance of it, and may raise anything. It changes nothing, anywhere."""

    name: str
    summary: str
    """A model reads it at every turn: one short line."""
    deadline_seconds: float
    params: Callable[[Asking], type[BaseModel] | None]
    gather: Callable[[Asking, Any], Awaitable[Finding]]


def one_of(names: tuple[str, ...]) -> Any:
    """The type of a param that is one of these; there must be at least one."""
    return Literal[names]


def narrowed(base: type[Params], **types: Any) -> type[Params]:
    """`base` with these required params narrowed to what is possible. The same class where the same is asked for again:
    to make one takes milliseconds."""
    return _narrowed(base, tuple(types.items()))


@lru_cache(128)
def _narrowed(base: type[Params], types: tuple[tuple[str, Any], ...]) -> type[Params]:
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in types}
    return create_model(base.__name__, __base__=base, **fields)
