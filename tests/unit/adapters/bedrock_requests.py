"""Helpers of the tests of requests to Converse; bodies are validated by botocore's model of the API."""

import base64
import datetime
import json
import re
from functools import cache
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tollgate.adapters import bedrock
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()
TEXT = base64.b64encode(b"seven").decode()
CLAUDE: Json = {
    "cache_points": ("system", "messages", "tools"),
    "cache_ttl_1h": True,
    "exclusive_sampling": True,
    "top_k_field": "top_k",
    "native_tool_choice": True,
}
ADAPTIVE: Json = {**CLAUDE, "thinking": "adaptive", "efforts": ("low", "medium", "high", "max")}
ALWAYS: Json = {**CLAUDE, "thinking": "always", "sampling": False, "prefill": False, "forced_tool": False}
NOVA: Json = {
    "json_schema": False,
    "cache_points": ("system", "messages"),
    "top_k_field": "inferenceConfig.topK",
    "unsupported_schema_keywords": ("$schema", "title", "description", "additionalProperties"),
}
LLAMA: Json = {"json_schema": False, "forced_tool": False, "prefill": False, "vision": False}


def route(owned_by: str = "meta", model: str = "vendor.model-v1:0", **capabilities: Any) -> Route:
    row = Model(
        id="m",
        created=datetime.date(2026, 1, 1),
        owned_by=owned_by,
        context_length=8,
        capabilities=Capabilities(**capabilities),
        routes=(RouteRow(provider="p", model=model),),
    )
    return Route(row, Provider(name="p", family="bedrock", base_url="https://x/", auth="none"), model, None)


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system") -> Json:
    return {"role": role, "content": content}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "42") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


def text(text_content: str, **more: Any) -> Json:
    return {"type": "text", "text": text_content, **more}


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(data: str, name: str | None = None) -> Json:
    return {"type": "file", "file": {"file_data": data, "filename": name}}


FIRST_MESSAGES = [user("Hi")]
LOOP = [user("Hi"), assistant(None, tool_calls=[call("c1")]), result("c1")]
MARK: Json = {"type": "ephemeral"}
POINT: Json = {"cachePoint": {"type": "default"}}


def build(fields: Json, of: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, **fields})
    return bedrock.ChatCall(request, route(**(of or {}))).request


def sent(fields: Json, of: Json | None = None) -> Json:
    body = json.loads(build(fields, of).body)
    check(body)
    return body


def dropped(fields: Json, of: Json | None = None) -> tuple[str, ...]:
    return build(fields, of).dropped


def refused(fields: Json, of: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, of)
    return caught.value


def sent_messages(*messages: Json, **of: Any) -> list[Json]:
    return sent({"messages": list(messages)}, of)["messages"]


@cache
def converse() -> Any:
    model = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
    return model.operation_model("Converse").input_shape


def check(body: Json) -> None:
    """Asserts that Converse accepts this body: names, types, lengths and patterns."""
    report = ParamValidator().validate({"modelId": "m", **_native(converse(), body)}, converse())
    assert not report.has_errors(), report.generate_report()


def _native(shape: Any, value: Any) -> Any:
    """A JSON value as botocore takes it; asserts the enumerations and patterns of strings."""
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        assert not getattr(shape, "is_tagged_union", False) or len(value) == 1, value
        assert value.keys() <= shape.members.keys(), value
        return {name: _native(shape.members[name], inner) for name, inner in value.items()}
    if shape.type_name == "list":
        return [_native(shape.member, inner) for inner in value]
    if shape.type_name == "map":
        return {_native(shape.key, name): _native(shape.value, inner) for name, inner in value.items()}
    if shape.type_name == "string":
        assert value in (shape.enum or [value])
        assert re.fullmatch(shape.metadata.get("pattern", "(?s:.*)"), value), value
    return value


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def in_json(schema: Any, **more: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": schema, **more}}}
