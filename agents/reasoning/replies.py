"""What a server sent back, read strictly: one complete JSON object, calls of tools, or what is wrong with it.

Langchain's parsed value is never asked for: for `json_schema` it completes cut-off JSON, so a plan could lose its last
steps unseen. The raw message is read instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agents.reasoning.ledger import Usage, estimated
from agents.reasoning.text import clip

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

Method = Literal["json_schema", "function_calling", "json"]
REASON_CHARS = 160
ASK = "ask"
"""The key under which an answer holds questions to tools: with it, nothing else need be there."""
CUT_OFF = "the answer was cut off at the limit of output tokens: be much shorter"

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)


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


def read(message: AIMessage, method: Method, schema: dict[str, Any], tools: Sequence[str] = ()) -> Reply:
    """The JSON object in a message: the arguments of the schema's tool, else calls of other tools, else one in its
    text."""
    tool_name = schema["title"] if method == "function_calling" else None
    text = _text_of(message)
    if refusal := message.additional_kwargs.get("refusal"):
        return Reply(None, text, clip(f"the model refused: {refusal}", REASON_CHARS))
    ended = message.response_metadata.get("finish_reason")
    if ended == "length":
        return Reply(None, text, CUT_OFF)
    if ended == "content_filter":
        return Reply(None, text, "the server's content filter withheld the answer")
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


def usage_in(message: AIMessage, asked: str) -> Usage:
    """What the server told, else an estimate from the texts."""
    reported = message.usage_metadata
    if reported is not None and reported["input_tokens"] + reported["output_tokens"] > 0:
        return Usage(reported["input_tokens"], reported["output_tokens"])
    return estimated(asked, _text_of(message) + json.dumps(message.tool_calls, default=str))


def _text_of(message: AIMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in content)
