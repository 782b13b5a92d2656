"""Requests to the Messages API: parameters, limits and what is dropped or refused."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters import anthropic
from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from unit.adapters.anthropic_requests import (
    ALWAYS,
    FIRST_MESSAGES,
    HAIKU,
    OPUS,
    SONNET,
    build,
    dropped,
    refused,
    route,
    sent,
    text,
    tool,
)

# --- the request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["https://x/v1", "https://x/v1/"])
def test_request_goes_to_messages_in_the_version_with_sampling(base_url: str) -> None:
    request = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES})
    built = anthropic.ChatCall(request, route(base_url)).request
    assert (built.method, built.url) == ("POST", "https://x/v1/messages")
    assert built.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def test_body_has_required_fields_only() -> None:
    assert sent({}) == {
        "model": "claude-x",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }


def test_stream_is_requested_without_openais_options() -> None:
    body = sent({"stream": True, "stream_options": {"include_usage": True}})
    assert body["stream"] is True
    assert "stream_options" not in body


def test_nan_and_infinity_are_refused() -> None:
    tools = [tool(parameters={"type": "object", "default": float("nan")})]
    assert refused({"tools": tools}).status == 400


# --- limits and sampling ----------------------------------------------------------------------------------------------


def test_output_limit_defaults_to_the_models_maximum() -> None:
    assert sent({}, HAIKU)["max_tokens"] == 64000
    assert sent({}, OPUS)["max_tokens"] == 128000


def test_output_limit_is_the_clients_under_either_name() -> None:
    assert sent({"max_tokens": 5})["max_tokens"] == 5
    assert sent({"max_tokens": 5, "max_completion_tokens": 6})["max_tokens"] == 6


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_output_limit_over_the_models_is_lowered_and_reported(name: str) -> None:
    assert sent({name: 65000}, HAIKU)["max_tokens"] == 64000
    assert dropped({name: 65000}, HAIKU) == (f"{name}=64000",)


def test_stop_is_a_list_without_blank_sequences() -> None:
    assert sent({"stop": "END"})["stop_sequences"] == ["END"]
    assert sent({"stop": ["a", "\n", "b"]})["stop_sequences"] == ["a", "b"]
    assert dropped({"stop": ["a", "\n", "b"]}) == ("stop",)
    assert "stop_sequences" not in sent({"stop": "\n"})
    assert dropped({"stop": []}) == ()


def test_temperature_over_one_is_lowered_and_reported() -> None:
    assert sent({"temperature": 1.7})["temperature"] == 1
    assert dropped({"temperature": 1.7}) == ("temperature=1",)
    assert sent({"temperature": 0})["temperature"] == 0


def test_temperature_takes_precedence_over_top_p() -> None:
    body = sent({"temperature": 0.5, "top_p": 0.9})
    assert (body["temperature"], "top_p" in body) == (0.5, False)
    assert dropped({"temperature": 0.5, "top_p": 0.9}) == ("top_p",)
    assert sent({"temperature": 1, "top_p": 0.9})["top_p"] == 0.9


def test_top_k_is_sent() -> None:
    assert sent({"top_k": 5})["top_k"] == 5
    assert dropped({"top_k": "x"}) == ("top_k",)


@pytest.mark.parametrize("capabilities", [OPUS, ALWAYS])
def test_sampling_is_dropped_and_reported_if_the_model_refuses_it(capabilities: Json) -> None:
    fields = {"temperature": 0.2, "top_p": 0.5, "top_k": 5}
    assert not fields.keys() & sent(fields, capabilities).keys()
    assert dropped(fields, capabilities) == ("temperature", "top_p", "top_k")
    assert dropped({"temperature": 1, "top_p": 1}, capabilities) == ()


# --- user and service tier --------------------------------------------------------------------------------------------


def test_user_is_the_metadata() -> None:
    assert sent({"user": "u-1"})["metadata"] == {"user_id": "u-1"}
    assert sent({"user": "u-1", "safety_identifier": "s-1"})["metadata"] == {"user_id": "s-1"}


@pytest.mark.parametrize("personal", ["ada@example.com", "+41 44 123 45 67", "x" * 300])
def test_personal_user_id_is_hashed(personal: str) -> None:
    hashed = sent({"user": personal})["metadata"]["user_id"]
    assert re.fullmatch(r"[0-9a-f]{64}", hashed)
    assert sent({"user": personal})["metadata"]["user_id"] == hashed


@pytest.mark.parametrize(
    ("openai_value", "native"), [("auto", "auto"), ("priority", "auto"), ("default", "standard_only")]
)
def test_service_tier_is_anthropics(openai_value: str, native: str) -> None:
    assert sent({"service_tier": openai_value})["service_tier"] == native


def test_service_tier_that_anthropic_does_not_have_is_dropped_and_reported() -> None:
    assert dropped({"service_tier": "flex"}) == ("service_tier",)


# --- dropped and refused parameters -----------------------------------------------------------------------------------


KNOBS: Json = {
    "seed": 0,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"1": 2},
    "verbosity": "low",
    "store": True,
    "prediction": {"type": "content", "content": "x"},
    "metadata": {"a": "b"},
    "brand_new": 1,
}


def test_tuning_parameters_that_anthropic_lacks_are_dropped_and_reported() -> None:
    assert dropped(KNOBS) == tuple(KNOBS)
    assert sent(KNOBS) == sent({})


@pytest.mark.parametrize("name", KNOBS)
def test_dropped_parameter_is_refused_if_the_client_requires_all(name: str) -> None:
    error = refused({name: KNOBS[name], "provider": {"require_parameters": True}})
    assert (error.code, error.param) == ("unsupported_parameter", name)


def test_lowered_value_is_refused_if_the_client_requires_all() -> None:
    assert refused({"temperature": 2, "provider": {"require_parameters": True}}).param == "temperature"


@pytest.mark.parametrize("required", [True, False])
def test_neutral_values_are_not_reported(required: bool) -> None:
    neutral: Json = {
        "n": 1,
        "logprobs": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "store": False,
        "modalities": ["text"],
        "tools": [],
        "parallel_tool_calls": True,
        "provider": {"require_parameters": required, "order": ["x"]},
        "usage": {"include": True},
    }
    assert dropped(neutral) == ()
    assert sent(neutral) == sent({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("audio", {"voice": "x", "format": "wav"}),
        ("modalities", ["text", "audio"]),
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
        ("web_search_options", {"search_context_size": "low"}),
    ],
)
def test_parameter_that_changes_the_answer_is_refused(name: str, value: Any) -> None:
    error = refused({name: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)


def test_names_that_are_invalid_in_headers_are_not_reported() -> None:
    assert dropped({"a\r\nset-cookie: x": 1, "\u00e9": 1, "x" * 99: 1, "ok": 1}) == ("ok",)
    assert len(dropped({f"k{n}": n + 1 for n in range(99)})) == 32


# --- any request ------------------------------------------------------------------------------------------------------


WORDS = " ".join(
    [
        "type text image_url url file file_data filename cache_control ttl function name arguments parameters strict",
        "id properties items anyOf oneOf allOf enum additionalProperties description tool_choice allowed_tools tools",
        "mode schema json_schema effort max_tokens enabled reasoning_details signature data format detail minItems",
        "$ref $defs",
    ]
).split()


TEXT = ["function", "text", "image_url", "file", "json_schema", "object", "array", "auto", "required", "none", "high"]
LEAF: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([*TEXT, "data:,x"])
)
GARBAGE: st.SearchStrategy[Any] = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
)
NODE = st.dictionaries(st.sampled_from(WORDS), GARBAGE, max_size=5)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "file", "refusal", "x"])}, optional={
    "text": st.text(max_size=3), "image_url": NODE, "file": NODE, "cache_control": GARBAGE,
})  # fmt: skip


MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"])}, optional={
    "content": st.text(max_size=5) | st.lists(PART, max_size=2), "tool_calls": st.lists(NODE, max_size=2),
    "tool_call_id": st.text(max_size=2), "reasoning_details": GARBAGE, "refusal": GARBAGE, "cache_control": GARBAGE,
})  # fmt: skip


FIELDS = st.fixed_dictionaries({}, optional={
    "messages": st.lists(MESSAGE, min_size=1, max_size=4), "tools": st.lists(NODE, max_size=2),
    "tool_choice": st.sampled_from(["auto", "none", "required", "x"]) | NODE, "response_format": NODE,
    "reasoning": GARBAGE, "reasoning_effort": GARBAGE, "thinking": GARBAGE, "provider": GARBAGE, "user": GARBAGE,
    "service_tier": GARBAGE, "cache_control": GARBAGE, "top_k": GARBAGE, "seed": GARBAGE, "brand_new": GARBAGE,
    "parallel_tool_calls": GARBAGE, "logprobs": GARBAGE, "n": st.integers(1, 2), "stop": st.lists(st.text(max_size=2)),
})  # fmt: skip


def without_nulls(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


@given(FIELDS, st.sampled_from([{}, HAIKU, SONNET, OPUS, ALWAYS]))
def test_any_request_is_translated_or_refused(fields: Json, capabilities: Json) -> None:
    try:
        built = build(without_nulls(fields), capabilities)
    except BadRequestError as error:
        json.dumps(error_body(error), allow_nan=False)
        return
    body = json.loads(built.body)
    roles = [turn["role"] for turn in body["messages"]]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    assert all(turn["content"] for turn in body["messages"])
    assert all(entry.isascii() and entry.isprintable() for entry in built.dropped)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(BadRequestError):
        anthropic.ChatCall(
            ChatRequest.of(
                {"model": "m", "messages": FIRST_MESSAGES, "tools": [tool("f", parameters=schema, strict=True)]}
            ),
            route(),
        )
