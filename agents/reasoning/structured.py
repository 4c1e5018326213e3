"""Structured answers from servers that differ in what they can do, over langchain-openai.

`json_schema`, `function_calling` and plain JSON in text are tried in this order, and what worked is remembered.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from agents.reasoning.answers import InvalidAnswer
from agents.reasoning.failures import MethodUnsupported, ReasonerFailed, Unanswered
from agents.reasoning.ledger import Status, Usage, estimated
from agents.reasoning.render import Message, fenced
from agents.reasoning.replies import REASON_CHARS, Method, Reply, read, usage_in
from agents.reasoning.text import clip, shorten
from graph.spans import span

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

METHODS: tuple[Method, ...] = ("json_schema", "function_calling", "json")
UNSUPPORTED = (400, 422, 501)
"""HTTP statuses by which servers refuse a response format or tools."""

T = TypeVar("T")


@dataclass(frozen=True)
class Question(Generic[T]):
    """What a model is asked: messages, the schema of the answer, and what takes the answer (or raises InvalidAnswer).

    `tools` are in the wire format, and `accept_asks` takes (name, arguments) of those the model calls. Where tools of
    its own can't be offered, `asking_schema` has them in the answer, and `accept` reads them there.
    """

    messages: Sequence[Message]
    schema: dict[str, Any]
    accept: Callable[[dict[str, Any]], T]
    tools: Sequence[dict[str, Any]] = ()
    accept_asks: Callable[[Sequence[tuple[str, Any]]], T] | None = None
    asking_schema: dict[str, Any] | None = None

    def schema_for(self, method: Method) -> dict[str, Any]:
        return self.schema if method == "function_calling" or not self.asking_schema else self.asking_schema

    def wire(self, method: Method) -> str:
        """What goes along with the messages: the schema of the answer, and the tools. Where JSON in text is asked for,
        it stands in the messages."""
        if method == "json":
            return ""
        tools = self.tools if method == "function_calling" else ()
        return json.dumps([self.schema_for(method), *tools], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Tried(Generic[T]):
    """One reply, and what was accepted of it; `problem` says why nothing was."""

    reply: Reply
    accepted: T | None
    problem: str = ""


@dataclass(frozen=True)
class Called:
    """One call as it went, for the account."""

    method: Method
    messages: Sequence[Message]
    schema: str
    """What went along: the schema of the answer and the tools, as JSON."""
    answer: str
    status: Status
    problem: str
    usage: Usage
    seconds: float


class Account(Protocol):
    """On whose account a question goes: asked before each call, and told of each."""

    async def check(self) -> None:
        """Raises ReasonerFailed where another call must not be made."""

    def under_way(self) -> AbstractContextManager[None]: ...

    async def called(self, call: Called) -> None:
        """Never raises: what a call came to must not be lost to its record."""


class StructuredModel:
    """One chat model asked for JSON objects. `wanted` None: find out what the server supports."""

    def __init__(self, chat: ChatOpenAI, wanted: Method | None, timeout_seconds: float) -> None:
        self._chat = chat
        self._wanted = wanted
        self._timeout = timeout_seconds
        self._works: Method | None = wanted

    @property
    def method(self) -> Method | None:
        """What is known to work, or None before the first good answer."""
        return self._works

    async def ask(self, question: Question[T], account: Account) -> T:
        """The first answer that is accepted, after one repair attempt at most. Raises ReasonerFailed."""
        methods = METHODS[METHODS.index(self._works) :] if self._works else METHODS
        if self._wanted:
            methods = (self._wanted,)
        for method in methods:
            last = method == methods[-1]
            try:
                tried = await self._try(method, question.messages, question, account)
                if tried.reply.prose and not last:
                    continue
                if tried.problem:
                    tried = await self._repaired(method, question, account, tried)
            except MethodUnsupported as refused:
                if last:
                    raise ReasonerFailed(str(refused)) from refused
                continue
            self._works = method
            return cast(T, tried.accepted)
        raise AssertionError("the last method returns or raises")

    async def _repaired(self, method: Method, question: Question[T], account: Account, first: Tried[T]) -> Tried[T]:
        """One more call, which is told what was wrong. Raises ReasonerFailed where it is no better."""
        reasons = fenced([first.problem])
        more = [
            ("ai", shorten(first.reply.text, 2_000) or "(empty)"),
            ("human", f"That answer is invalid:\n{reasons}\nAnswer again, correctly and completely."),
        ]
        second = await self._try(method, [*question.messages, *more], question, account)
        if second.problem:
            raise ReasonerFailed(clip(f"invalid answer, also after one repair: {second.problem}", REASON_CHARS))
        return second

    async def _try(
        self, method: Method, messages: Sequence[Message], question: Question[T], account: Account
    ) -> Tried[T]:
        """One call and whether its answer is accepted, on the account whatever comes of it. Raises ReasonerFailed,
        MethodUnsupported."""
        await account.check()
        if method == "json":
            messages = _asking_for_json(messages, question.schema_for(method))
        began = time.monotonic()
        shape = question.wire(method)

        async def called(status: Status, problem: str, answer: str = "", usage: Usage | None = None) -> None:
            took = time.monotonic() - began
            await account.called(Called(method, messages, shape, answer, status, problem, usage or Usage(), took))

        try:
            with account.under_way(), span("selfheal.model", method=method):
                reply, usage = await self._call(method, messages, question)
        except (ReasonerFailed, MethodUnsupported) as error:
            # what was not answered in time may have been worked on all the same
            worked_on = estimated(_asked(messages, shape), "") if isinstance(error, Unanswered) else None
            await called("failed", str(error), usage=worked_on)
            raise
        except asyncio.CancelledError:
            worked_on = estimated(_asked(messages, shape), "")
            await asyncio.shield(called("failed", "cancelled before it was answered", usage=worked_on))
            raise
        try:
            accepted = _accept(reply, question)
        except InvalidAnswer as error:
            await called("invalid", str(error), reply.text, usage)
            return Tried(reply, None, str(error))
        await called("answered", "", reply.text, usage)
        return Tried(reply, accepted)

    async def _call(self, method: Method, messages: Sequence[Message], question: Question[T]) -> tuple[Reply, Usage]:
        """One call, its retries included, within the timeout. Raises ReasonerFailed, MethodUnsupported."""
        schema = question.schema_for(method)
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._sent(method, messages, question)
        except Exception as error:  # whatever the client, its parser or the server come up with: one reason to tell
            raise self._told(error, method) from error
        names = [tool["function"]["name"] for tool in question.tools]
        return read(message, method, schema, names), usage_in(message, _asked(messages, question.wire(method)))

    async def _sent(self, method: Method, messages: Sequence[Message], question: Question[T]) -> Any:
        """The model's message. A server that can call functions gets the tools as such, beside that of the answer."""
        schema = question.schema_for(method)
        if method == "json":
            return await self._chat.ainvoke(list(messages))
        if method == "json_schema":
            # Past the client's own parameter, with which it parses the answer too; that is read here.
            return await self._chat.ainvoke(list(messages), extra_body={"response_format": _response_format(schema)})
        offered: dict[str, Any] = {"tool_choice": "any"}
        if not question.tools:
            offered = {"tool_choice": schema["title"], "parallel_tool_calls": False}
        return await self._chat.bind_tools([schema, *question.tools], strict=False, **offered).ainvoke(list(messages))

    def _told(self, error: Exception, method: Method) -> ReasonerFailed | MethodUnsupported:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        if isinstance(error, TimeoutError | APITimeoutError):
            return Unanswered(f"timed out after {self._timeout:g} s")
        if isinstance(error, APIStatusError):
            told = clip(f"HTTP {error.status_code}: {_detail(error)}", REASON_CHARS)
            return MethodUnsupported(told) if error.status_code in UNSUPPORTED else ReasonerFailed(told)
        if isinstance(error, APIConnectionError):
            return ReasonerFailed(clip(f"no connection: {error.__cause__ or error}", REASON_CHARS))
        return ReasonerFailed(clip(f"unreadable answer to {method}: {type(error).__name__}: {error}", REASON_CHARS))


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as servers want it that answer by one."""
    shape = {key: value for key, value in schema.items() if key != "title"}
    return {"type": "json_schema", "json_schema": {"name": schema["title"], "schema": shape, "strict": False}}


def _asked(messages: Sequence[Message], shape: str) -> str:
    return "".join(text for _, text in messages) + shape


def _accept(reply: Reply, question: Question[T]) -> T:
    if reply.asks and question.accept_asks is not None:
        return question.accept_asks(reply.asks)
    if reply.data is None:
        raise InvalidAnswer(reply.problem)
    return question.accept(reply.data)


def _asking_for_json(messages: Sequence[Message], schema: dict[str, Any]) -> list[Message]:
    """With the schema at the end of the system prompt, so that the prefix stays the same for every incident."""
    (role, system), *rest = messages
    shape = json.dumps(schema, separators=(",", ":"))
    return [
        (role, f"{system}\n\nAnswer with one JSON object only, no other text, by this JSON schema:\n{shape}"),
        *rest,
    ]


def _detail(error: Any) -> str:
    """The server's own words, out of `{"error": {"message": …}}` where it has that shape."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict):
            inner = inner.get("message") or inner.get("detail") or inner
        return str(inner)
    return str(body or error)
