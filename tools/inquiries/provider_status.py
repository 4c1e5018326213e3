"""The provider asked again: what it says of the machine now, and the end of its console at more length."""

from __future__ import annotations

from pydantic import BaseModel

from graph.ports import Finding
from tools.evidence.provider import ProviderSource
from tools.inquiries.host_probe import asked_again
from tools.inquiries.inquiry import Asking, InquiryTool, Params


class ProviderStatusParams(Params):
    pass


def params(asking: Asking) -> type[BaseModel] | None:
    """Only where the resource has a provider, and one we know."""
    name = asking.resource.provider.name
    return ProviderStatusParams if name != "none" and name in asking.context.providers else None


async def gather(asking: Asking, given: ProviderStatusParams) -> Finding:
    """Facts provider.…. Raises ProviderError."""
    return await asked_again(ProviderSource(asking.context), asking)


PROVIDER_STATUS = InquiryTool(
    "provider_status", "State, checks, events and console at the provider, now.", 12, params, gather
)
