"""Requests to Converse: parameters, limits and what is dropped or refused."""

import json
import re
from typing import Any

import pytest

from tollgate.adapters import bedrock
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from unit.adapters.bedrock_requests import (
    ALWAYS,
    CLAUDE,
    FIRST_MESSAGES,
    LLAMA,
    MARK,
    NOVA,
    POINT,
    SCHEMA,
    build,
    dropped,
    in_json,
    refused,
    route,
    sent,
    system,
    text,
    tool,
    user,
)

# --- the request ------------------------------------------------------------------------------------------------------


def test_body_has_required_fields_only() -> None:
    assert sent({}) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(("stream", "operation"), [(False, "converse"), (True, "converse-stream")])
def test_model_is_one_segment_of_the_path(stream: bool, operation: str) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab.c"
    request = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, "stream": stream})
    built = bedrock.ChatCall(request, route(model=arn)).request
    segment = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fab.c"
    assert (built.method, built.url) == ("POST", f"https://x/model/{segment}/{operation}")
    assert json.loads(built.body).keys() == {"messages"}


@pytest.mark.parametrize("place", ["tools", "response_format"])
def test_nan_and_infinity_are_refused(place: str) -> None:
    schema: Json = {"type": "object", "properties": {"a": {"default": float("nan")}}}
    fields: Json = {"tools": {"tools": [tool(parameters=schema)]}, "response_format": in_json(schema)}[place]
    assert refused(fields).status == 400


# --- limits and sampling ----------------------------------------------------------------------------------------------


def test_limits_are_in_the_inference_config() -> None:
    fields: Json = {"max_tokens": 5, "stop": ["a", "\n"], "temperature": 0, "top_p": 0.5}
    config = {"maxTokens": 5, "stopSequences": ["a"], "temperature": 0, "topP": 0.5}
    assert sent(fields, NOVA)["inferenceConfig"] == config
    assert dropped(fields, NOVA) == ("stop",)


def test_temperature_over_one_is_lowered_and_reported() -> None:
    assert sent({"temperature": 1.7})["inferenceConfig"] == {"temperature": 1}
    assert dropped({"temperature": 1.7}) == ("temperature=1",)


def test_claude_gets_one_of_temperature_and_top_p_and_its_own_top_k() -> None:
    fields: Json = {"temperature": 0.5, "top_p": 0.9, "top_k": 5}
    body = sent(fields, CLAUDE)
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert body["additionalModelRequestFields"] == {"top_k": 5}
    assert dropped(fields, CLAUDE) == ("top_p",)
    assert sent({"temperature": 1, "top_p": 0.9}, CLAUDE)["inferenceConfig"] == {"topP": 0.9}
    assert sent({"top_k": 5}, NOVA)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert dropped({"top_k": 5}, LLAMA) == ("top_k",)


def test_sampling_is_dropped_and_reported_if_the_model_refuses_it() -> None:
    fields = {"temperature": 0.2, "top_p": 0.5, "top_k": 5}
    assert sent(fields, ALWAYS) == sent({})
    assert dropped(fields, ALWAYS) == ("temperature", "top_p", "top_k")


@pytest.mark.parametrize("owned_by", ["anthropic", "amazon", "meta", "me"])
@pytest.mark.parametrize("columns", [CLAUDE, NOVA, LLAMA], ids=["claude", "nova", "llama"])
def test_request_depends_on_capabilities_and_not_on_owned_by(owned_by: str, columns: Json) -> None:
    schema: Json = {"type": "object", "properties": {}, "additionalProperties": False}
    fields: Json = {
        "messages": [user([text("u", cache_control=MARK)])],
        "tools": [tool(parameters=schema)],
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
    }
    assert build(fields, {**columns, "owned_by": owned_by}) == build(fields, {**columns, "owned_by": "other"})


@pytest.mark.parametrize("owned_by", ["anthropic", "me"])
def test_profile_of_claude_keeps_cache_points_and_one_sampling_parameter(owned_by: str) -> None:
    fields: Json = {"messages": [user([text("u", cache_control=MARK)])], "temperature": 0.5, "top_p": 0.9}
    body = sent(fields, {**CLAUDE, "owned_by": owned_by})
    assert body["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert dropped(fields, {**CLAUDE, "owned_by": owned_by}) == ("top_p",)


# --- response format --------------------------------------------------------------------------------------------------


def test_schema_is_a_string_with_native_support() -> None:
    text_format = sent(in_json(SCHEMA, description="d"))["outputConfig"]["textFormat"]
    definition = text_format["structure"]["jsonSchema"]
    assert text_format["type"] == "json_schema"
    assert json.loads(definition["schema"]) == {**SCHEMA, "additionalProperties": False}
    assert definition["description"] == "d"
    assert re.fullmatch("a_b_[0-9a-f]{12}", definition["name"])


def test_schema_is_a_forced_tool_without_native_support() -> None:
    body = sent(in_json(SCHEMA, description="d"), NOVA)
    spec = {"name": "answer", "description": "d", "inputSchema": {"json": SCHEMA}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": "answer"}}}
    assert "outputConfig" not in body


def test_unsupported_schema_is_refused() -> None:
    assert refused(in_json(SCHEMA), LLAMA).param == "response_format"


def test_json_object_is_an_instruction_after_the_system() -> None:
    body = sent({"messages": [system("a"), user("b")], "response_format": {"type": "json_object"}})
    assert [block["text"][:6] for block in body["system"]] == ["a", "Answer"]


# --- user and service tier --------------------------------------------------------------------------------------------


def test_user_is_in_the_metadata_and_hashed_if_invalid() -> None:
    assert sent({"user": "team a/u-1@x.io"})["requestMetadata"] == {"user": "team a/u-1@x.io"}
    for user_id in ("\u00e9", "a\x00", "x" * 300):
        assert re.fullmatch("[0-9a-f]{64}", sent({"user": user_id})["requestMetadata"]["user"])


@pytest.mark.parametrize("tier", ["default", "priority", "flex"])
def test_service_tier_has_the_same_name(tier: str) -> None:
    assert sent({"service_tier": tier})["serviceTier"] == {"type": tier}


def test_service_tier_that_bedrock_does_not_have_is_dropped_and_reported() -> None:
    assert sent({"service_tier": "scale"}) == sent({"service_tier": "auto"}) == sent({})
    assert dropped({"service_tier": "scale"}) == ("service_tier",)
    assert dropped({"service_tier": "auto"}) == ()


KNOBS: Json = {
    "seed": 0, "presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"1": 2}, "metadata": {"a": "b"},
}  # fmt: skip


def test_tuning_parameters_that_bedrock_lacks_are_dropped_and_reported() -> None:
    assert dropped(KNOBS) == tuple(KNOBS)
    assert sent(KNOBS) == sent({})
    assert refused({"seed": 0, "provider": {"require_parameters": True}}).param == "seed"


@pytest.mark.parametrize(
    ("name", "value"), [("n", 2), ("logprobs", True), ("audio", {"voice": "x"}), ("functions", [{"name": "f"}])]
)
def test_parameter_that_changes_the_answer_is_refused(name: str, value: Any) -> None:
    error = refused({name: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    request = ChatRequest.of(
        {"model": "m", "messages": FIRST_MESSAGES, "tools": [tool(parameters=schema, strict=True)]}
    )
    with pytest.raises(BadRequestError):
        bedrock.ChatCall(request, route())
