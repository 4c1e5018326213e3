"""Structured answers from servers that differ in what they can do, over langchain-openai.

`json_schema`, `function_calling` and plain JSON in text are tried in this order, and what worked is remembered.
Langchain's parsed value is never used: for `json_schema` it completes cut-off JSON, so a plan could lose its last
steps unseen. The raw message is read strictly instead.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from agents.reasoning.answers import InvalidAnswer
from agents.reasoning.budget import Usage, usage_of
from agents.reasoning.failures import MethodUnsupported, ReasonerFailed
from agents.reasoning.render import Message, fenced
from agents.reasoning.text import clip, shorten

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

Method = Literal["json_schema", "function_calling", "json"]
METHODS: tuple[Method, ...] = ("json_schema", "function_calling", "json")
UNSUPPORTED = (400, 422, 501)
"""HTTP statuses by which servers refuse a response format or tools."""
REASON_CHARS = 160
ASK = "ask"
"""The key under which an answer holds questions to tools: with it, nothing else need be there."""
CUT_OFF = "the answer was cut off at the limit of output tokens: be much shorter"

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What came back. `data` is None where it holds no complete JSON object, and `problem` says why.

    `asks` are calls of read-only tools, as (name, arguments).
    """

    data: dict[str, Any] | None
    text: str
    problem: str = ""
    prose: bool = False
    """Not even an attempt at JSON: asking the same way again is pointless."""
    asks: Sequence[tuple[str, Any]] = ()


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

    async def ask(self, question: Question[T], reserve: Callable[[], None], spent: Callable[[Usage], None]) -> T:
        """The first answer that is accepted, after one repair attempt at most.

        `reserve` is called before each call and may raise; `spent` after each. Raises ReasonerFailed.
        """
        methods = METHODS[METHODS.index(self._works) :] if self._works else METHODS
        if self._wanted:
            methods = (self._wanted,)

        async def call(method: Method, conversation: Sequence[Message]) -> Reply:
            reserve()
            return await self._call(method, conversation, question, spent)

        for method in methods:
            last = method == methods[-1]
            try:
                reply = await call(method, question.messages)
                if reply.prose and not last:
                    continue
                answer = await _accepted(reply, question, lambda more, m=method: call(m, [*question.messages, *more]))
            except MethodUnsupported as refused:
                if last:
                    raise ReasonerFailed(str(refused)) from refused
                continue
            self._works = method
            return answer
        raise AssertionError("the last method returns or raises")

    async def _call(
        self, method: Method, messages: Sequence[Message], question: Question[T], spent: Callable[[Usage], None]
    ) -> Reply:
        """One call, its retries included, within the timeout. Raises ReasonerFailed, MethodUnsupported."""
        schema = question.schema_for(method)
        if method == "json":
            messages = _asking_for_json(messages, schema)
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._sent(method, messages, question)
        except Exception as error:  # whatever the client, its parser or the server come up with: one reason to tell
            if (incomplete := _incomplete(error)) is not None:
                reply, usage = incomplete
                spent(usage)
                return reply
            raise self._told(error, method) from error
        spent(_usage(message, messages, schema, question.tools if method == "function_calling" else ()))
        return read(message, method, schema, [tool["function"]["name"] for tool in question.tools])

    async def _sent(self, method: Method, messages: Sequence[Message], question: Question[T]) -> Any:
        """The model's message. A server that can call functions gets the tools as such, beside that of the answer."""
        schema = question.schema_for(method)
        if method == "json":
            return await self._chat.ainvoke(list(messages))
        if method == "function_calling" and question.tools:
            bound = self._chat.bind_tools([schema, *question.tools], tool_choice="any", strict=False)
            return await bound.ainvoke(list(messages))
        runnable = self._chat.with_structured_output(schema, method=method, include_raw=True, strict=False)
        answered: Any = await runnable.ainvoke(list(messages))
        return answered["raw"]

    def _told(self, error: Exception, method: Method) -> ReasonerFailed | MethodUnsupported:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        if isinstance(error, TimeoutError | APITimeoutError):
            return ReasonerFailed(f"timed out after {self._timeout:g} s")
        if isinstance(error, APIStatusError):
            told = clip(f"HTTP {error.status_code}: {_detail(error)}", REASON_CHARS)
            return MethodUnsupported(told) if error.status_code in UNSUPPORTED else ReasonerFailed(told)
        if isinstance(error, APIConnectionError):
            return ReasonerFailed(clip(f"no connection: {error.__cause__ or error}", REASON_CHARS))
        return ReasonerFailed(clip(f"unreadable answer to {method}: {type(error).__name__}: {error}", REASON_CHARS))


# -- reading a reply ------------------------------------------------------------------------------------


def read(message: AIMessage, method: Method, schema: dict[str, Any], tools: Sequence[str] = ()) -> Reply:
    """The JSON object in a message: the arguments of the schema's tool, else calls of other tools, else one in its
    text."""
    tool_name = schema["title"] if method == "function_calling" else None
    text = _text_of(message)
    if refusal := message.additional_kwargs.get("refusal"):
        return Reply(None, text, clip(f"the model refused: {refusal}", REASON_CHARS))
    if message.response_metadata.get("finish_reason") == "length":
        return Reply(None, text, CUT_OFF)
    for call in message.tool_calls:
        if call["name"] == tool_name:
            return Reply(call["args"], json.dumps(call["args"]))
    if message.invalid_tool_calls:
        broken = message.invalid_tool_calls[0].get("args") or ""
        return Reply(None, broken, "the arguments of the tool call are not valid JSON")
    if asks := [(call["name"], call["args"]) for call in message.tool_calls if call["name"] in tools]:
        return Reply(None, json.dumps(asks), asks=asks)
    if message.tool_calls:
        other = clip(message.tool_calls[0]["name"], 60)
        there = ", ".join(map(repr, filter(None, (tool_name, *tools))))
        return Reply(None, text, f"the tool {other!r} was called; there is only {there}")
    required = schema.get("required", [])
    if (data := last_object(text, required)) is not None:
        return Reply(data, text)
    if ASK in schema.get("properties", {}) and (data := last_object(text, [ASK])) is not None:
        return Reply(data, text)
    if "{" in text:
        return Reply(None, text, f"the answer holds no complete JSON object with {', '.join(required)}")
    return Reply(None, text, "the answer is prose; one JSON object is wanted", prose=True)


def _incomplete(error: Exception) -> tuple[Reply, Usage] | None:
    """For `json_schema` the client raises where the server says that it stopped early: an invalid answer like any."""
    from openai import ContentFilterFinishReasonError, LengthFinishReasonError

    if isinstance(error, ContentFilterFinishReasonError):
        return Reply(None, "", "the server's content filter withheld the answer"), Usage(unreported_calls=1)
    if not isinstance(error, LengthFinishReasonError):
        return None
    used = error.completion.usage
    text = error.completion.choices[0].message.content or ""
    reported = (used.prompt_tokens, used.completion_tokens) if used else None
    return Reply(None, text, CUT_OFF), usage_of(reported, "", text)


def last_object(text: str, required: Sequence[str] = ()) -> dict[str, Any] | None:
    """The last complete JSON object that has these keys, or None: models think first and answer then.

    The keys keep a part of a cut-off answer from passing for the whole.
    """
    text = _THOUGHTS.sub("", text)
    decoder = json.JSONDecoder()
    found: dict[str, Any] | None = None
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError):
            end = position + 1
        else:
            found = value if all(key in value for key in required) else found
        position = text.find("{", end)
    return found


async def _accepted(reply: Reply, question: Question[T], again: Any) -> T:
    """The accepted reply, else that of one more call which is told what was wrong."""
    try:
        return _accept(reply, question)
    except InvalidAnswer as first:
        reply = await again(
            [
                ("ai", shorten(reply.text, 2_000) or "(empty)"),
                ("human", f"That answer is invalid:\n{fenced([str(first)])}\nAnswer again, correctly and completely."),
            ]
        )
    try:
        return _accept(reply, question)
    except InvalidAnswer as second:
        raise ReasonerFailed(clip(f"invalid answer, also after one repair: {second}", REASON_CHARS)) from second


def _accept(reply: Reply, question: Question[T]) -> T:
    if reply.asks and question.accept_asks is not None:
        return question.accept_asks(reply.asks)
    if reply.data is None:
        raise InvalidAnswer(reply.problem)
    return question.accept(reply.data)


def _text_of(message: AIMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in content)


def _asking_for_json(messages: Sequence[Message], schema: dict[str, Any]) -> list[Message]:
    """With the schema at the end of the system prompt, so that the prefix stays the same for every incident."""
    (role, system), *rest = messages
    shape = json.dumps(schema, separators=(",", ":"))
    return [
        (role, f"{system}\n\nAnswer with one JSON object only, no other text, by this JSON schema:\n{shape}"),
        *rest,
    ]


def _usage(
    message: AIMessage, messages: Sequence[Message], schema: dict[str, Any], tools: Sequence[dict[str, Any]]
) -> Usage:
    reported = message.usage_metadata
    if reported is not None and reported["input_tokens"] + reported["output_tokens"] > 0:
        return usage_of((reported["input_tokens"], reported["output_tokens"]), "", "")
    asked = "".join(text for _, text in messages) + json.dumps([schema, *tools])
    return usage_of(None, asked, _text_of(message) + json.dumps(message.tool_calls, default=str))


def _detail(error: Any) -> str:
    """The server's own words, out of `{"error": {"message": …}}` where it has that shape."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict):
            inner = inner.get("message") or inner.get("detail") or inner
        return str(inner)
    return str(body or error)
