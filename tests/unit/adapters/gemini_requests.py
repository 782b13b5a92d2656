"""Helpers of the tests of requests to generateContent."""

import base64
import json
from typing import Any

import pytest

from support.families import route
from tollgate.adapters import gemini
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json, UpstreamRequest

PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()
SOUND = base64.b64encode(b"RIFF....WAVEfmt ").decode()
KEPT = "https://generativelanguage.googleapis.com/v1beta/files/abc-123"
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
SIGNATURE = base64.b64encode(bytes(range(239, 256)) * 3).decode()
BUDGET: Json = {"thinking": "budget", "max_output_tokens": 65536}
LEVEL: Json = {"thinking": "always", "efforts": ("minimal", "low", "medium", "high"), "max_output_tokens": 65536}


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system") -> Json:
    return {"role": role, "content": content}


def call(call_id: str, name: str = "f", arguments: Any = "{}", **more: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def result(call_id: str, content: Any = "42") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


FIRST_MESSAGES = [user("Hi")]


def build(fields: Json, capabilities: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, **fields})
    return gemini.ChatCall(request, route("gemini", **(capabilities or {}))).request


def sent(fields: Json, capabilities: Json | None = None) -> Json:
    return json.loads(build(fields, capabilities).body)


def config(fields: Json, capabilities: Json | None = None) -> Json:
    return sent(fields, capabilities).get("generationConfig", {})


def dropped(fields: Json, capabilities: Json | None = None) -> tuple[str, ...]:
    return build(fields, capabilities).dropped


def refused(fields: Json, capabilities: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, capabilities)
    return caught.value


def contents(*messages: Json, **capabilities: Any) -> list[Json]:
    return sent({"messages": list(messages)}, capabilities)["contents"]


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def audio(data: str, kind: str) -> Json:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
