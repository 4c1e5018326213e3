"""The reasoner that asks a model, through any server that speaks OpenAI's chat completions.

It gives answers that hold or raises ReasonerFailed: whoever uses it puts `fallback.FallbackReasoner` around it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from agents.reasoning.account import IncidentAccount, Price
from agents.reasoning.answers import asking_answer, asks_in, diagnosis_answer, schema_of, to_asks, to_diagnosis, tool_of
from agents.reasoning.budget import Budget
from agents.reasoning.failures import ReasonerFailed
from agents.reasoning.ledger import Purpose
from agents.reasoning.lore import Lore, NoLore, learnt
from agents.reasoning.plan_answers import plan_answer, to_plan
from agents.reasoning.render import Prompt, load_prompt, lore_part, render_diagnosis, render_plan
from agents.reasoning.replies import Method
from agents.reasoning.runbook import nothing_to_diagnose, nothing_to_plan, suspects
from agents.reasoning.structured import Question, StructuredModel
from graph.ports import Asks, DiagnosisRequest, PlanRequest
from graph.records import Diagnosis, Plan

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "not-needed"
"""Servers of one's own seldom want a key, but the client insists on one."""

MAX_REMEMBERED = 1_000

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
    price: Price | None = None

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
        self._began: OrderedDict[str, int] = OrderedDict()
        """Tokens an incident had spent when its diagnosis began."""

    @property
    def method(self) -> Method | None:
        """The way of asking that is known to work with this server, or None."""
        return self._model.method if self._model else None

    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis | Asks:
        """A diagnosis that names a declared cause and is proven by the evidence it cites; or what to look at first."""
        if (unplaced := nothing_to_diagnose(request)) is not None:
            return unplaced
        prompt = await asyncio.to_thread(load_prompt, "diagnose")
        request = await self._within_tokens(request)
        answer = diagnosis_answer(request.kind)
        lore = lore_part(*await learnt(self._lore, request.incident, suspects(request)))

        def accept(data: dict[str, Any]) -> Diagnosis | Asks:
            if request.tools and (asked := asks_in(data)):
                return to_asks(asked, request)
            return to_diagnosis(data, answer, request)

        question = Question(
            render_diagnosis(request, prompt, lore),
            schema_of(answer),
            accept,
            tools=[tool_of(tool) for tool in request.tools],
            accept_asks=lambda asked: to_asks(asked, request),
            asking_schema=schema_of(asking_answer(answer, request.tools)) if request.tools else None,
        )
        found = await self._ask(question, self._account(request.incident.id, "diagnose", len(request.attempts), prompt))
        return found if isinstance(found, Asks) else found.model_copy(update={"author": self.name})

    async def plan(self, request: PlanRequest) -> Plan:
        """A plan of permitted actions with valid params. The model is not asked where there is nothing to plan."""
        if (nothing := nothing_to_plan(request)) is not None:
            return nothing
        if not request.actions:
            raise ReasonerFailed(f"kind {request.kind.name} permits no action")
        prompt = await asyncio.to_thread(load_prompt, "plan")
        answer = plan_answer(request)
        lore = lore_part(*await learnt(self._lore, request.incident, (request.diagnosis.suspected_cause,)))
        question = Question(
            render_plan(request, prompt, lore), schema_of(answer), lambda data: to_plan(data, answer, request)
        )
        account = self._account(request.incident.id, "plan", len(request.attempts), prompt)
        return (await self._ask(question, account)).model_copy(update={"author": self.name})

    async def _within_tokens(self, request: DiagnosisRequest) -> DiagnosisRequest:
        """The request with what is left of its tokens; without tools where nothing is."""
        if not request.tools:
            return request
        incident_id = request.incident.id
        spent = (await self.budget.ledger.spent(incident_id)).tokens
        if not request.inquiries:
            self._began[incident_id] = spent
            while len(self._began) > MAX_REMEMBERED:
                self._began.popitem(last=False)
        # after a restart all that was spent on the incident counts: rather too little is left than too much
        left = max(0, request.left.tokens - (spent - self._began.get(incident_id, 0)))
        tools = request.tools if left and request.left.calls else ()
        return replace(request, tools=tools, left=replace(request.left, tokens=left))

    def _account(self, incident_id: str, purpose: Purpose, attempts: int, prompt: Prompt) -> IncidentAccount:
        named = f"{prompt.name}@{prompt.version}"
        price = self.settings.price
        return IncidentAccount(self.budget, incident_id, purpose, attempts + 1, self.settings.model, named, price)

    async def _ask(self, question: Question[T], account: IncidentAccount) -> T:
        return await (await self._built()).ask(question, account)

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
