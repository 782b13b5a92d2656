"""Helpers of the tests of responses of OpenAI and compatible servers."""

import datetime
import json
from collections.abc import Iterable
from typing import Any, cast

from tollgate.adapters import openai
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest, Chunk
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.sse import encode
from tollgate.gateway.types import Json

FIRST_MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
DONE = b"data: [DONE]\n\n"
MODEL = Model(
    id="m",
    created=datetime.date(2026, 1, 1),
    owned_by="o",
    context_length=8,
    routes=(RouteRow(provider="p", model="up"),),
)


def route(base_url: str = "https://x/v1", **quirks: Any) -> Route:
    provider = Provider(name="p", family="openai", base_url=base_url, auth="none", quirks=Quirks(**quirks))
    return Route(MODEL, provider, "up", None)


def request(**fields: Any) -> ChatRequest:
    return ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, **fields})


def choice(message: Json | None = None, finish: str | None = "stop", **more: Any) -> Json:
    return {"index": 0, "message": {"content": "x"} if message is None else message, "finish_reason": finish, **more}


def parsed(*choices: Json, **more: Any) -> Any:
    body = json.dumps({"id": "up", "object": "o", "created": 1, "model": "up", "choices": [*choices], **more}).encode()
    return openai.ChatCall(request(), route()).parse_response(body)


CALL: Json = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
OPENAI_USAGE: Json = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
    "completion_tokens_details": {
        "reasoning_tokens": 2,
        "audio_tokens": 1,
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
    },
}


def event(value: Any) -> bytes:
    return encode(value)


def chunk(delta: Json | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return event({"id": "up", "object": "chat.completion.chunk", "model": "up", "choices": choices, **more})


def stream(*pieces: bytes) -> list[Chunk]:
    parser = openai.ChatCall(request(stream=True), route()).open_stream()
    chunks = [got for piece in pieces for got in parser.feed(piece)]
    return chunks if parser.done else [*chunks, *parser.close()]


def fold(chunks: Iterable[Chunk]) -> list[Json]:
    """The choices that a client assembles from a stream; asserts the rules of StreamParser."""
    built: dict[int, Json] = {}
    for got in chunks:
        for step in got.choices:
            delta = step["delta"]
            first = step["index"] not in built
            assert ("role" in delta) == first
            choice = built.setdefault(step["index"], {"message": {}, "finish_reason": None})
            assert choice["finish_reason"] is None, "something came after the end"
            choice["finish_reason"] = step["finish_reason"]
            fold_delta(choice["message"], delta)
    assert all(choice["finish_reason"] for choice in built.values())
    return [{"index": index, **built[index]} for index in sorted(built)]


def fold_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            for piece in value:
                fold_call(message.setdefault("tool_calls", []), piece)
        elif name in ("content", "reasoning_content") and value is not None:
            message[name] = (message.get(name) or "") + value
        else:
            message.setdefault(name, value)


def fold_call(calls: list[Json], piece: Json) -> None:
    assert piece["index"] <= len(calls), "a call was left out"
    if piece["index"] == len(calls):
        calls.append({"arguments": ""})
    call = cast(Json, calls[piece["index"]])
    function: Json = piece.get("function") or {}
    call["arguments"] += function.get("arguments", "")
    call.update({k: v for k, v in {"id": piece.get("id"), "name": function.get("name")}.items() if v})
