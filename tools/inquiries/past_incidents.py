"""What happened to this resource before, and how it ended."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from graph.ports import Finding
from tools.condensing.plain_text import one_line, within
from tools.evidence.context import whole
from tools.inquiries.inquiry import Asking, InquiryTool, Params

_LINE_BYTES = 300


class PastIncidentsParams(Params):
    limit: Annotated[int, Field(ge=1, le=10)] = 5


def params(asking: Asking) -> type[BaseModel] | None:
    """Wherever there are records to look into."""
    return PastIncidentsParams if asking.resource.key and asking.context.history is not None else None


async def gather(asking: Asking, given: PastIncidentsParams) -> Finding:
    """No facts: what was is no observation of now."""
    history, key = asking.context.history, asking.resource.key
    asked = f"the last {given.limit} closed incidents of {key}"
    told = await history.recent(key, given.limit) if history is not None else ()
    if not told:
        return Finding(asked, within(f"no closed incident of {key} is on record", asking.max_bytes), status="no_data")
    lines = [one_line(sentence, _LINE_BYTES) for sentence in told[: given.limit]]
    return Finding(asked, within("\n".join(lines), asking.max_bytes), raw=whole("\n".join(told)))


PAST_INCIDENTS = InquiryTool("past_incidents", "Earlier incidents of this resource and their ends.", 5, params, gather)
