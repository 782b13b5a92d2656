"""Helpers of the tests of requests to the Messages API."""

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from tollgate.adapters import FAMILIES, anthropic
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.catalog_reader import load
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
CATALOG = load(
    [("catalog.toml", (Path(__file__).parents[3] / "src" / "catalog.toml").read_text(encoding="utf-8"))], FAMILIES
)


def route(base_url: str = "https://x/v1", **capabilities: Any) -> Route:
    model = Model(
        id="m",
        created=datetime.date(2026, 1, 1),
        owned_by="o",
        context_length=8,
        capabilities=Capabilities(**capabilities),
        routes=(RouteRow(provider="p", model="claude-x"),),
    )
    return Route(model, Provider(name="p", family="anthropic", base_url=base_url, auth="none"), "claude-x", None)


def of(model: str) -> Json:
    """The capabilities of a model in the catalog."""
    return asdict(CATALOG.models[model].capabilities)


HAIKU, SONNET, OPUS, ALWAYS = (
    of(name) for name in ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "claude-opus-5-5")
)


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system", **more: Any) -> Json:
    return {"role": role, "content": content, **more}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "42", **more: Any) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


def text(text_content: str, **more: Any) -> Json:
    return {"type": "text", "text": text_content, **more}


FIRST_MESSAGES = [user("Hi")]
LOOP = [user("Hi"), assistant(None, tool_calls=[call("c1")]), result("c1")]


def build(fields: Json, capabilities: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, **fields})
    return anthropic.ChatCall(request, route(**(capabilities or {}))).request


def sent(fields: Json, capabilities: Json | None = None) -> Json:
    return json.loads(build(fields, capabilities).body)


def dropped(fields: Json, capabilities: Json | None = None) -> tuple[str, ...]:
    return build(fields, capabilities).dropped


def refused(fields: Json, capabilities: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, capabilities)
    return caught.value


def sent_messages(*messages: Json, **capabilities: Any) -> list[Json]:
    return sent({"messages": list(messages)}, capabilities)["messages"]


def only_block(part: Json, **capabilities: Any) -> Json:
    (turn,) = sent_messages(user([part]), **capabilities)
    (block,) = turn["content"]
    return block


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def in_json(schema: Any, **more: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}}


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}
