"""The envelope around what every family answers."""

import pytest

from tollgate.gateway.answers import Envelope
from tollgate.gateway.types import ChatRequest, Chunk, Completion, Json, Usage

ENVELOPE = Envelope("chatcmpl-1", 5, "alias", "row")


def choice(place: str, finish: str | None = None, **said: object) -> Json:
    return {"index": 0, place: said, "finish_reason": finish}


def test_provider_is_the_row_whatever_a_router_says() -> None:
    extra = {"provider": "Somebody", "service_tier": "flex"}
    for body in (
        ENVELOPE.completion(Completion([choice("message")], None, extra), None),
        ENVELOPE.chunk(Chunk([choice("delta")], None, extra), with_usage=False),
        ENVELOPE.usage_chunk(Usage(1, 1), extra),
    ):
        assert (body["provider"], body["service_tier"]) == ("row", "flex")


@pytest.mark.parametrize("said", [{"reasoning_content": "r"}, {"reasoning_content": "r", "reasoning": "r"}])
def test_reasoning_has_both_names(said: Json) -> None:
    whole = ENVELOPE.completion(Completion([choice("message", **said)]), None)["choices"][0]["message"]
    step = ENVELOPE.chunk(Chunk([choice("delta", **said)]), with_usage=False)["choices"][0]["delta"]
    assert whole == step == {"reasoning_content": "r", "reasoning": "r"}


def test_call_is_told_as_it_was_asked_for() -> None:
    envelope = Envelope("chatcmpl-1", 5, "alias", "row", has_functions=True)
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "c", "function": function}, {"id": "d", "function": {"name": "g", "arguments": "{}"}}]
    (whole,) = envelope.completion(Completion([choice("message", "tool_calls", tool_calls=calls)]), None)["choices"]
    assert (whole["message"], whole["finish_reason"]) == ({"function_call": function}, "function_call")
    pieces = [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "{"}}]
    (step,) = envelope.chunk(Chunk([choice("delta", tool_calls=pieces)]), with_usage=False)["choices"]
    assert step == choice("delta", function_call={"arguments": "}"})
    (said,) = envelope.chunk(Chunk([choice("delta", "stop", content="a")]), with_usage=False)["choices"]
    assert said == choice("delta", "stop", content="a")


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
