"""Requests to generateContent: parameters, limits and what is dropped or refused."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.families import route
from tollgate.adapters import gemini, tool_call_state
from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from unit.adapters.gemini_requests import (
    BUDGET,
    FIRST_MESSAGES,
    KEPT,
    LEVEL,
    PDF,
    SCHEMA,
    SIGNATURE,
    SOUND,
    assistant,
    audio,
    build,
    call,
    config,
    contents,
    dropped,
    file,
    image,
    refused,
    result,
    sent,
    system,
    tool,
    user,
)

# --- the request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "method"), [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")])
def test_request_names_model_and_method_in_its_url(stream: bool, method: str) -> None:
    built = build({"stream": stream, "stream_options": {"include_usage": True} if stream else None})
    assert (built.method, built.url) == ("POST", f"https://x/v1/models/native:{method}")
    assert built.headers == {"content-type": "application/json"}


def test_model_is_one_segment_of_the_path() -> None:
    other = route("gemini")
    object.__setattr__(other, "upstream_model", "tuned/a b:c")
    built = gemini.ChatCall(ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES}), other).request
    assert built.url == "https://x/v1/models/tuned%2Fa%20b%3Ac:generateContent"


def test_body_has_required_fields_only() -> None:
    assert sent({"stream": True}) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_supported_parameters_are_sent() -> None:
    fields = {
        "max_tokens": 100, "temperature": 1.5, "top_p": 0.9, "top_k": 40, "stop": ["a", "b"], "seed": 7, "n": 3,
        "logprobs": True, "top_logprobs": 5, "service_tier": "flex", "modalities": ["text", "image"],
    }  # fmt: skip
    built = build(fields)
    body = json.loads(built.body)
    assert body["generationConfig"] == {
        "maxOutputTokens": 100, "temperature": 1.5, "topP": 0.9, "topK": 40, "stopSequences": ["a", "b"], "seed": 7,
        "candidateCount": 3, "responseLogprobs": True, "logprobs": 5, "responseModalities": ["TEXT", "IMAGE"],
    }  # fmt: skip
    assert body["serviceTier"] == "flex"
    assert built.dropped == ()


# --- response format --------------------------------------------------------------------------------------------------


IN_JSON: Json = {"type": "json_object"}
IN_SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("expected", "native"),
    [
        ({"type": "text"}, {}),
        (IN_JSON, {"responseMimeType": "application/json"}),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, {"responseMimeType": "application/json"}),
        (
            IN_SCHEMA,
            {"responseMimeType": "application/json", "responseJsonSchema": {"description": "d", **SCHEMA}},
        ),
    ],
)
def test_format_is_googles(expected: Json, native: Json) -> None:
    assert config({"response_format": expected}) == native


def test_json_with_tools_is_native_from_gemini_3_on_and_an_instruction_before() -> None:
    fields: Json = {"response_format": IN_JSON, "tools": [tool()]}
    assert config(fields, LEVEL) == {"responseMimeType": "application/json"}
    body = sent(fields, BUDGET)
    assert "generationConfig" not in body
    assert "JSON" in body["systemInstruction"]["parts"][0]["text"]


@pytest.mark.parametrize(
    ("fields", "capabilities"),
    [
        ({"response_format": IN_SCHEMA, "tools": [tool()]}, BUDGET),
        ({"response_format": IN_SCHEMA}, {"json_schema": False}),
        ({"response_format": {"type": "grammar"}}, LEVEL),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": []}}}, LEVEL),
    ],
)
def test_unsupported_format_is_refused(fields: Json, capabilities: Json) -> None:
    error = refused(fields, capabilities)
    assert (error.code, error.param) == ("unsupported_parameter", "response_format")


# --- other parameters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({"presence_penalty": 0.5, "frequency_penalty": 0.5}, ("presence_penalty", "frequency_penalty")),
        ({"presence_penalty": 0, "n": 1, "logprobs": False, "modalities": ["text"]}, ()),
        ({"logit_bias": {"1": 1}, "user": "u", "store": True}, ("logit_bias", "user", "store")),
        ({"seed": 2**31}, ("seed",)),
        ({"stop": list("abcdefg")}, ("stop",)),
        ({"top_k": 0.5}, ("top_k",)),
        ({"service_tier": "scale"}, ("service_tier",)),
        ({"service_tier": "auto"}, ()),
        ({"messages": [user("a", name="Ada")]}, ("name",)),
    ],
)
def test_unsupported_tuning_parameter_is_dropped_and_reported(fields: Json, reported: tuple[str, ...]) -> None:
    assert sorted(dropped(fields)) == sorted(reported)
    if reported:
        error = refused({**fields, "provider": {"require_parameters": True}})
        assert (error.code, error.param) == ("unsupported_parameter", dropped(fields)[0])


@pytest.mark.parametrize(
    "fields",
    [{"n": 9}, {"modalities": ["text", "audio"]}, {"audio": {"voice": "a"}}, {"web_search_options": {"a": 1}}],
)
def test_unsupported_parameter_that_changes_the_answer_is_refused(fields: Json) -> None:
    error = refused(fields)
    assert (error.code, error.param) == ("unsupported_parameter", next(iter(fields)))


def test_top_logprobs_require_logprobs() -> None:
    assert refused({"top_logprobs": 3}).param == "top_logprobs"
    assert config({"logprobs": True}) == {"responseLogprobs": True}


def test_at_most_five_stop_sequences_without_blank_ones() -> None:
    assert config({"stop": list("abcdefg")})["stopSequences"] == list("abcde")
    assert config({"stop": [" ", "a"]})["stopSequences"] == ["a"]


def test_output_limit_is_at_most_the_models() -> None:
    assert config({"max_completion_tokens": 100_000}, BUDGET) == {"maxOutputTokens": 65536}
    assert dropped({"max_completion_tokens": 100_000}, BUDGET) == ("max_completion_tokens=65536",)


def test_unsupported_sampling_is_dropped_and_reported() -> None:
    fields = {"temperature": 0.5, "top_p": 0.5}
    assert config(fields, {"sampling": False}) == {}
    assert dropped(fields, {"sampling": False}) == ("temperature", "top_p")


# --- any conversation -------------------------------------------------------------------------------------------------


IDS = st.sampled_from(["a", "b", tool_call_state.attach_state("a", tool_call_state.GEMINI, SIGNATURE), ""])
PARTS = st.sampled_from(
    [image(KEPT), audio(SOUND, "wav"), file(file_data=PDF), {"type": "text", "text": "x"}, {"type": "?"}]
)
CONTENT = st.none() | st.text(max_size=3) | st.lists(PARTS, max_size=3)
MESSAGES = st.one_of(
    st.builds(user, CONTENT),
    st.builds(system, CONTENT),
    st.builds(result, IDS, CONTENT),
    st.builds(assistant, CONTENT, tool_calls=st.lists(st.builds(call, IDS, st.text(max_size=3)), max_size=2)),
)


@given(st.lists(MESSAGES, min_size=1, max_size=6), st.sampled_from([{}, BUDGET, LEVEL]))
def test_any_conversation_is_translated_or_refused(messages: list[Json], capabilities: Json) -> None:
    try:
        turns = contents(*messages, **capabilities)
    except BadRequestError as error:
        json.dumps(error_body(error), allow_nan=False)
        return
    roles = [turn["role"] for turn in turns]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    assert all(turn["parts"] for turn in turns)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    deep = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, "tools": [tool("f", parameters=schema)]})
    with pytest.raises(BadRequestError):
        gemini.ChatCall(deep, route("gemini"))
