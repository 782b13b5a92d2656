"""OpenAI's Chat Completions as clients read them: the envelope around what every family answers."""

import json

import pytest

from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.sse import DONE
from tollgate.gateway.types import Json, Usage

INFO = ResponseInfo("req_1", 5, "alias", "row")
ENCODER = ChatEncoder(INFO)


def event(data: bytes) -> Json:
    return json.loads(data.removesuffix(DONE).removeprefix(b"data: "))


def choice(place: str, finish: str | None = None, **said: object) -> Json:
    return {"index": 0, place: said, "finish_reason": finish}


def test_provider_is_the_row_whatever_a_router_says() -> None:
    extra = {"provider": "Somebody", "service_tier": "flex"}
    for body in (
        json.loads(ENCODER.result(Completion([choice("message")], None, extra), None)),
        event(ENCODER.chunk(Chunk([choice("delta")], None, extra))),
        event(ChatEncoder(INFO, with_usage=True).end(Usage(1, 1), extra)),
    ):
        assert (body["provider"], body["service_tier"]) == ("row", "flex")


@pytest.mark.parametrize("said", [{"reasoning_content": "r"}, {"reasoning_content": "r", "reasoning": "r"}])
def test_reasoning_has_both_names(said: Json) -> None:
    whole = json.loads(ENCODER.result(Completion([choice("message", **said)]), None))["choices"][0]["message"]
    step = event(ENCODER.chunk(Chunk([choice("delta", **said)])))["choices"][0]["delta"]
    assert whole == step == {"reasoning_content": "r", "reasoning": "r"}


def test_call_has_the_shape_that_the_client_requested() -> None:
    encoder = ChatEncoder(INFO, has_functions=True)
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "c", "function": function}, {"id": "d", "function": {"name": "g", "arguments": "{}"}}]
    (whole,) = json.loads(encoder.result(Completion([choice("message", "tool_calls", tool_calls=calls)]), None))[
        "choices"
    ]
    assert (whole["message"], whole["finish_reason"]) == ({"function_call": function}, "function_call")
    pieces = [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "{"}}]
    (step,) = event(encoder.chunk(Chunk([choice("delta", tool_calls=pieces)])))["choices"]
    assert step == choice("delta", function_call={"arguments": "}"})
    (said,) = event(encoder.chunk(Chunk([choice("delta", "stop", content="a")])))["choices"]
    assert said == choice("delta", "stop", content="a")


def test_without_usage_requested_a_stream_ends_with_done_alone() -> None:
    assert ENCODER.end(Usage(1, 1), {}) == ChatEncoder(INFO, with_usage=True).end(None, {}) == DONE


@pytest.mark.parametrize(
    ("fields", "wants", "has_functions"),
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
def test_what_shape_a_client_wants_is_read_of_its_request(fields: Json, wants: bool, has_functions: bool) -> None:
    asked = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})
    assert (asked.wants_usage_chunk, asked.has_functions) == (wants, has_functions)
