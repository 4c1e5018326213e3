"""Read-only tools a reasoner may ask, behind `graph.ports.Inquiries`. A new one is one file here and one line in
INQUIRIES.

What a tool is asked is validated against what is possible on this very resource before anything is asked of anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from graph.ports import EvidenceSource, Finding, Inquiry, InquirySpec, InvalidInquiry
from graph.records import Incident
from tools.condensing.plain_text import one_line
from tools.evidence.context import EvidenceContext
from tools.inquiries.database_view import DATABASE_VIEW
from tools.inquiries.host_probe import HOST_PROBE
from tools.inquiries.inquiry import Asking, InquiryTool
from tools.inquiries.logs import LOGS
from tools.inquiries.objections import objection
from tools.inquiries.past_incidents import PAST_INCIDENTS
from tools.inquiries.prometheus_instant import PROMETHEUS_INSTANT
from tools.inquiries.prometheus_range import PROMETHEUS_RANGE
from tools.inquiries.provider_status import PROVIDER_STATUS

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

INQUIRIES: tuple[InquiryTool, ...] = (
    LOGS,
    HOST_PROBE,
    PROMETHEUS_RANGE,
    PROMETHEUS_INSTANT,
    DATABASE_VIEW,
    PROVIDER_STATUS,
    PAST_INCIDENTS,
)
_MAX_BYTES = 1_500


class InquiryTools:
    """Implements `graph.ports.Inquiries`. `sources` are the evidence sources of each kind of resource, by its name."""

    def __init__(
        self,
        context: EvidenceContext,
        sources: Mapping[str, Sequence[str]],
        tools: Sequence[InquiryTool] = INQUIRIES,
    ) -> None:
        self._context = context
        self._sources = {kind: tuple(names) for kind, names in sources.items()}
        self._tools = tuple(tools)

    def specs(self, incident: Incident) -> tuple[InquirySpec, ...]:
        """Those that can answer for this resource; none for one that is not declared."""
        asking = self._asking(incident, _MAX_BYTES)
        return tuple(InquirySpec(tool.name, tool.summary, params) for tool, params in self._offered(asking))

    def source(self, incident: Incident, inquiry: Inquiry, max_chars: int) -> EvidenceSource:
        """What gathers the answer, of at most `max_chars` bytes of UTF-8. Raises InvalidInquiry."""
        asking = self._asking(incident, max_chars)
        offered = {tool.name: (tool, params) for tool, params in self._offered(asking)}
        if inquiry.tool not in offered:
            known = ", ".join(offered) or "none"
            raise InvalidInquiry(f"tool: {one_line(inquiry.tool, 60)!r} can't be asked here; there are: {known}")
        tool, params = offered[inquiry.tool]
        try:
            return _Answer(tool, asking, params.model_validate(inquiry.params))
        except ValidationError as error:
            raise InvalidInquiry(f"{tool.name}: {objection(error, params)}") from None

    def langchain_tools(self, incident: Incident, max_chars: int = _MAX_BYTES) -> tuple[StructuredTool, ...]:
        """The same tools for LangChain, in the order of `specs`: content is the text, the artifact the whole Finding.
        Invalid arguments raise pydantic's ValidationError. Imports langchain_core."""
        asking = self._asking(incident, max_chars)
        return tuple(_langchain_tool(tool, params, asking) for tool, params in self._offered(asking))

    def _asking(self, incident: Incident, max_bytes: int) -> Asking:
        return Asking(self._context, incident, self._sources.get(incident.resource_kind, ()), max_bytes)

    def _offered(self, asking: Asking) -> Iterator[tuple[InquiryTool, type[BaseModel]]]:
        if asking.incident.resource is None:
            return
        for tool in self._tools:
            if (params := tool.params(asking)) is not None:
                yield tool, params


class _Answer:
    """One question that may be asked, as a source of evidence."""

    def __init__(self, tool: InquiryTool, asking: Asking, params: BaseModel) -> None:
        self.name = tool.name
        self.deadline_seconds = tool.deadline_seconds
        self._tool = tool
        self._asking = asking
        self._params = params

    async def gather(self, incident: Incident) -> Finding:
        """For the incident it was made for. Raises what the tool raises."""
        return await self._tool.gather(self._asking, self._params)


def _langchain_tool(tool: InquiryTool, params: type[BaseModel], asking: Asking) -> StructuredTool:
    from langchain_core.tools import StructuredTool

    async def ask(**given: Any) -> tuple[str, Finding]:
        found = await _Answer(tool, asking, params.model_validate(given)).gather(asking.incident)
        return found.text, found

    return StructuredTool.from_function(
        coroutine=ask,
        name=tool.name,
        description=tool.summary,
        args_schema=params,
        response_format="content_and_artifact",
    )


__all__ = ("INQUIRIES", "InquiryTool", "InquiryTools")
