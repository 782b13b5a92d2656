"""Helpers of the tests of responses of generateContent."""

import json
from typing import Any

from support.families import ALL, read, sse
from tollgate.adapters import gemini
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.types import Json

GEMINI = ALL["gemini"]


PLAIN, ROUTE = GEMINI.request_for("text")


def whole(name: str) -> Completion:
    return GEMINI.parse(name)


def stream(name: str) -> list[Chunk]:
    return read(GEMINI.open(name), GEMINI.stream(name))


def finish(name: str) -> str:
    return whole(name).choices[0]["finish_reason"]


def answered(*parts: Json, finish: str | None = "STOP", **more: Any) -> Json:
    return {"candidates": [{"content": {"parts": [*parts]}, "finishReason": finish, **more}]}


def parse(answer: Any) -> Completion:
    return gemini.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(answer).encode())


def streamed(*events: Json) -> list[Chunk]:
    return read(gemini.ChatCall(PLAIN, ROUTE).open_stream(), sse(events))
