"""Chat Completions responses: the envelope around the response of every family."""

import json

import pytest

from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.sse import DONE
from tollgate.gateway.types import Json, Usage

INFO = ResponseInfo("req_1", 5, "alias", "row", "openai")
ENCODER = ChatEncoder(INFO)


def event(data: bytes) -> Json:
    return json.loads(data.removesuffix(DONE).removeprefix(b"data: "))


def choice(key: str, finish: str | None = None, **fields: object) -> Json:
    return {"index": 0, key: fields, "finish_reason": finish}


def test_provider_is_the_catalog_row_and_not_what_a_router_reports() -> None:
    extra = {"provider": "Somebody", "service_tier": "flex"}
    for body in (
        json.loads(ENCODER.result(Completion([choice("message")], None, extra), None)),
        event(ENCODER.chunk(Chunk([choice("delta")], None, extra))),
        event(ChatEncoder(INFO, with_usage=True).end(Usage(1, 1), extra)),
    ):
        assert (body["provider"], body["service_tier"]) == ("row", "flex")


@pytest.mark.parametrize("fields", [{"reasoning_content": "r"}, {"reasoning_content": "r", "reasoning": "r"}])
def test_reasoning_has_both_names(fields: Json) -> None:
    whole = json.loads(ENCODER.result(Completion([choice("message", **fields)]), None))["choices"][0]["message"]
    delta = event(ENCODER.chunk(Chunk([choice("delta", **fields)])))["choices"][0]["delta"]
    assert whole == delta == {"reasoning_content": "r", "reasoning": "r"}


def test_tool_call_has_the_format_of_the_request() -> None:
    encoder = ChatEncoder(INFO, has_functions=True)
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "c", "function": function}, {"id": "d", "function": {"name": "g", "arguments": "{}"}}]
    (whole,) = json.loads(encoder.result(Completion([choice("message", "tool_calls", tool_calls=calls)]), None))[
        "choices"
    ]
    assert (whole["message"], whole["finish_reason"]) == ({"function_call": function}, "function_call")
    pieces = [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "{"}}]
    (delta,) = event(encoder.chunk(Chunk([choice("delta", tool_calls=pieces)])))["choices"]
    assert delta == choice("delta", function_call={"arguments": "}"})
    (text,) = event(encoder.chunk(Chunk([choice("delta", "stop", content="a")])))["choices"]
    assert text == choice("delta", "stop", content="a")


def test_stream_without_requested_usage_ends_with_done_only() -> None:
    assert ENCODER.end(Usage(1, 1), {}) == ChatEncoder(INFO, with_usage=True).end(None, {}) == DONE


@pytest.mark.parametrize(
    ("fields", "wants_usage", "has_functions"),
    [
        ({}, False, False),
        ({"stream_options": {"include_usage": True}}, True, False),
        ({"usage": {"include": True}}, True, False),
        ({"usage": {"include": 1}}, False, False),
        ({"usage": "yes"}, False, False),
        ({"functions": [{"name": "f"}]}, False, True),
        ({"functions": [{"name": "f"}], "tools": [{"type": "function"}]}, False, False),
        ({"functions": []}, False, False),
    ],
)
def test_response_format_follows_from_the_request(fields: Json, wants_usage: bool, has_functions: bool) -> None:
    request = ChatRequest.of({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})
    assert (request.wants_usage_chunk, request.has_functions) == (wants_usage, has_functions)
