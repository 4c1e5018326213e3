"""The reasoner that asks a model, through any server that speaks OpenAI's chat completions.

It gives answers that hold or raises ReasonerFailed: whoever uses it puts `fallback.FallbackReasoner` around it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from agents.reasoning.answers import diagnosis_answer, plan_answer, schema_of, to_diagnosis, to_plan
from agents.reasoning.budget import Budget
from agents.reasoning.failures import ReasonerFailed
from agents.reasoning.lore import Lore, NoLore, learnt
from agents.reasoning.render import Message, load_prompt, lore_part, render_diagnosis, render_plan
from agents.reasoning.runbook import nothing_to_plan, suspects
from agents.reasoning.structured import Method, StructuredModel
from graph.ports import DiagnosisRequest, PlanRequest
from graph.records import Diagnosis, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "not-needed"
"""Servers of one's own seldom want a key, but the client insists on one."""

T = TypeVar("T")


class LlmSettings(BaseModel):
    """Which model, where, and how it is asked. Without `base_url` it is OpenAI's own server, which wants a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    base_url: str | None = None
    api_key: SecretStr | None = None
    structured_output: Literal["auto", "json_schema", "function_calling", "json"] = "auto"
    timeout_seconds: float = Field(default=30.0, gt=0)
    """For one call with its retries."""
    max_retries: int = Field(default=1, ge=0, le=5)
    """Of a call that met 429, 5xx or a broken connection, within the timeout."""
    temperature: float | None = 0.0
    """None: the server's default, for models that take no other."""
    max_output_tokens: int = Field(default=2_000, ge=64)

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        if self.base_url is None and self.api_key is None:
            raise ValueError(f"llm: model {self.model!r} at {OPENAI_URL} needs `api_key`, or give a `base_url`")
        return self


class LlmReasoner:
    """Diagnoses and plans by asking a model. Raises ReasonerFailed; connects at the first question only."""

    def __init__(self, settings: LlmSettings, budget: Budget | None = None, lore: Lore | None = None) -> None:
        self.name = f"llm:{settings.model}"
        self.settings = settings
        self.budget = budget or Budget()
        self._lore = lore or NoLore()
        self._model: StructuredModel | None = None
        self._building = asyncio.Lock()

    @property
    def method(self) -> Method | None:
        """The way of asking that is known to work with this server, or None."""
        return self._model.method if self._model else None

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        """A diagnosis that names a declared cause and cites existing evidence."""
        prompt = await asyncio.to_thread(load_prompt, "diagnose")
        answer = diagnosis_answer(request.kind)
        lore = lore_part(*await learnt(self._lore, request.incident, suspects(request)))
        diagnosis = await self._ask(
            request.incident.id,
            render_diagnosis(request, prompt, lore),
            schema_of(answer),
            lambda data: to_diagnosis(data, answer, request),
        )
        return diagnosis.model_copy(update={"author": self.name})

    async def plan(self, request: PlanRequest) -> Plan:
        """A plan of permitted actions with valid params. The model is not asked where there is nothing to plan."""
        if (nothing := nothing_to_plan(request)) is not None:
            return nothing
        if not request.actions:
            raise ReasonerFailed(f"kind {request.kind.name} permits no action")
        prompt = await asyncio.to_thread(load_prompt, "plan")
        answer = plan_answer(request.actions)
        lore = lore_part(*await learnt(self._lore, request.incident, (request.diagnosis.suspected_cause,)))
        plan = await self._ask(
            request.incident.id,
            render_plan(request, prompt, lore),
            schema_of(answer),
            lambda data: to_plan(data, answer, request),
        )
        return plan.model_copy(update={"author": self.name})

    async def _ask(
        self,
        incident_id: str,
        messages: list[Message],
        schema: dict[str, Any],
        accept: Callable[[dict[str, Any]], T],
    ) -> T:
        model = await self._built()
        return await model.ask(
            messages,
            schema,
            accept,
            reserve=lambda: self.budget.reserve(incident_id),
            spent=lambda usage: self.budget.record(incident_id, usage),
        )

    async def _built(self) -> StructuredModel:
        """The client, made once and in a thread: importing langchain-openai takes seconds, and blocks."""
        async with self._building:
            if self._model is None:
                self._model = await asyncio.to_thread(_build, self.settings)
        return self._model


def _build(settings: LlmSettings) -> StructuredModel:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(
        model=settings.model,
        base_url=settings.base_url or OPENAI_URL,
        api_key=settings.api_key or SecretStr(NO_KEY),
        timeout=settings.timeout_seconds,
        max_retries=settings.max_retries,
        temperature=settings.temperature,
        max_completion_tokens=settings.max_output_tokens,
        use_responses_api=False,
    )
    wanted: Method | None = None if settings.structured_output == "auto" else settings.structured_output
    return StructuredModel(chat, wanted, settings.timeout_seconds)
