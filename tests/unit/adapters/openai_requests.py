"""Helpers of the tests of requests in the dialects of compatible servers."""

import json
from typing import Any

import pytest
from msgspec import structs

from support import families
from tollgate.adapters import openai
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest
from tollgate.handler.components import read_catalog

FIRST_MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]


def request(**fields: Any) -> ChatRequest:
    return ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, **fields})


CATALOG = read_catalog(None)
CALL: Json = {"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP: list[Any] = [
    *FIRST_MESSAGES,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_abc", "content": "7"},
]
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
IN_JSON: Json = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def built(name: str, fields: Json, **capabilities: Any) -> tuple[Json, UpstreamRequest]:
    """The body for a provider of the built-in catalog, and the whole request."""
    model = structs.replace(families.route("openai").model, capabilities=Capabilities(**capabilities))
    upstream_request = openai.ChatCall(request(**fields), Route(model, CATALOG.providers[name], "up", None)).request
    return json.loads(upstream_request.body), upstream_request


def refused(name: str, fields: Json, **capabilities: Any) -> str | None:
    with pytest.raises(BadRequestError) as caught:
        built(name, fields, **capabilities)
    assert caught.value.code == "unsupported_parameter"
    return caught.value.param


TOOLS: Json = {"tools": [{"type": "function", "function": {"name": "f"}}]}
