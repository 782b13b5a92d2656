"""The Bedrock family's answers: the fixtures are what Converse and ConverseStream send."""

import json
from typing import Any

import pytest

from support.aws_event_stream import encode
from support.families import ALL, read, request, route
from support.folding import fold
from tollgate.adapters import bedrock
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)
from tollgate.gateway.types import Json, Usage

FAMILY = ALL["bedrock"]
PLAIN, ROUTE = request(), route("bedrock")


def choice(name: str) -> Json:
    (only,) = FAMILY.parse(name).choices
    return only


def message(name: str) -> Json:
    return choice(name)["message"]


def chunks(name: str) -> list[Chunk]:
    return read(FAMILY.open(name), FAMILY.stream(name))


def answer(*blocks: Json, stop: str | None = "end_turn", **more: Any) -> Completion:
    body = {"output": {"message": {"role": "assistant", "content": [*blocks]}}, "stopReason": stop, **more}
    return bedrock.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())


def event(kind: str, **payload: Any) -> Json:
    return {":event-type": kind, "payload": payload}


def stream(*events: Json) -> list[Chunk]:
    return read(bedrock.ChatCall(PLAIN, ROUTE).open_stream(), encode(events))


START = event("messageStart", role="assistant")
HELLO = event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello"})
CALL = event("contentBlockStart", contentBlockIndex=1, start={"toolUse": {"toolUseId": "t", "name": "f"}})
STOP = event("messageStop", stopReason="end_turn")
USAGE = event("metadata", usage={"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, metrics={})


# --- what is said -----------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert choice("text") == {
        "index": 0,
        "message": {"role": "assistant", "content": "Four score\u2028 and s\u00e9ven \U0001f600.", "refusal": None},
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "logprobs": None,
    }
    assert FAMILY.parse("text").extra == {"service_tier": "default"}


def test_tools_are_called_in_order_beside_the_text() -> None:
    said = message("tools")
    assert said["content"] == "I'll look both up."
    assert [(call["id"], call["function"]["name"]) for call in said["tool_calls"]] == [
        ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "get_weather"),
        ("tooluse_9sQ2nTfVRw2xm0ZkV0b3Xg", "get_time"),
    ]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"location": "Z\u00fcrich, CH", "days": 3}
    assert choice("tools")["finish_reason"] == "tool_calls"


def test_call_comes_with_its_name_then_its_arguments_and_an_empty_object_for_none() -> None:
    pieces = [piece for chunk in chunks("tools") for piece in chunk.choices[0]["delta"].get("tool_calls", [])]
    assert pieces[0] == {
        "index": 0,
        "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert [piece["function"]["arguments"] for piece in pieces if piece["index"] == 1] == ["", "{}"]


def test_names_come_back_as_the_client_gave_them() -> None:
    mine = request(tools=[{"type": "function", "function": {"name": "files.read/all"}}])
    sent = json.loads(bedrock.ChatCall(mine, ROUTE).request.body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    use: Json = {"toolUseId": "t", "name": sent}
    block: Json = {"toolUse": {**use, "input": {}}}
    body = {"output": {"message": {"content": [block]}}, "stopReason": "tool_use"}
    (whole,) = bedrock.ChatCall(mine, ROUTE).parse_response(json.dumps(body).encode()).choices
    opened = event("contentBlockStart", contentBlockIndex=0, start={"toolUse": use})
    (chunk,) = bedrock.ChatCall(mine, ROUTE).open_stream().feed(encode([opened]))
    for said in (whole["message"], chunk.choices[0]["delta"]):
        assert said["tool_calls"][0]["function"]["name"] == "files.read/all"


def test_thinking_is_reasoning_and_comes_signed() -> None:
    said = message("thinking")
    assert said["content"] == "No: 43 \u00d7 47."
    assert said["reasoning_content"] == "2021 is 43 times 47,\nso no."
    first, second = said["reasoning_details"]
    assert (first["type"], first["text"], first["index"]) == ("reasoning.text", said["reasoning_content"], 0)
    assert first["signature"].startswith("EqoBCkgIARAB")
    assert (second["type"], second["index"]) == ("reasoning.encrypted", 1)
    assert {first["format"], second["format"]} == {"anthropic-claude-v1"}


def test_thinking_goes_back_as_it_came() -> None:
    said = message("thinking")
    turns = [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "Sure?"}]
    built = bedrock.ChatCall(request(messages=turns), route("bedrock", thinking="adaptive")).request
    came = json.loads(FAMILY.whole("thinking"))["output"]["message"]
    assert json.loads(built.body)["messages"][1] == {"role": "assistant", "content": came["content"]}


def test_thinking_that_is_not_shown_keeps_its_signature_and_unsigned_is_only_shown() -> None:
    assert "reasoning_content" not in message("thinking_tool")
    assert message("thinking_tool")["reasoning_details"][0]["signature"]
    assert message("reasoning")["reasoning_content"] == "It is a greeting.\n"
    assert "reasoning_details" not in message("reasoning")


def test_answer_by_tool_is_content() -> None:
    said = message("json_tool")
    assert json.loads(said["content"]) == {"name": "Ada", "age": 36}
    assert "tool_calls" not in said
    assert choice("json_tool")["finish_reason"] == "stop"


def test_kinds_not_known_yet_and_tools_of_the_provider_are_passed_over() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "It is blue.", "refusal": None}


def test_answer_may_be_empty() -> None:
    assert message("empty")["content"] == ""


FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "brand_new": "brand_new",
    None: "stop",
}


@pytest.mark.parametrize(("native", "openais"), FINISH.items())
def test_stop_reason_is_one_of_openais_both_ways(native: str | None, openais: str) -> None:
    assert answer({"text": "Hello"}, stop=native).choices[0]["finish_reason"] == openais
    (folded,) = fold(stream(START, HELLO, event("messageStop", stopReason=native), USAGE))
    assert folded["finish_reason"] == openais


@pytest.mark.parametrize("native", ["malformed_model_output", "malformed_tool_use"])
def test_malformed_answer_is_an_error_whatever_it_says(native: str) -> None:
    for block in ({"text": "Hello"}, {}):
        with pytest.raises(UpstreamError, match="malformed"):
            answer(block, stop=native)
    with pytest.raises(UpstreamError, match="malformed"):
        stream(START, CALL, event("messageStop", stopReason=native), USAGE)


# --- usage ------------------------------------------------------------------------------------------------------------


def test_input_includes_what_came_from_and_went_into_the_cache() -> None:
    assert FAMILY.parse("cached").usage == Usage(
        input_tokens=21 + 188086 + 456, output_tokens=5, cached_tokens=188086, cache_write_tokens=456
    )


def test_nothing_counted_is_no_usage() -> None:
    assert answer().usage is None


# --- streams ----------------------------------------------------------------------------------------------------------


def test_end_is_held_until_the_usage_has_come() -> None:
    parser = bedrock.ChatCall(PLAIN, ROUTE).open_stream()
    assert len([*parser.feed(encode([START, HELLO, STOP]))]) == 2
    assert not parser.done
    (last,) = parser.feed(encode([USAGE, HELLO]))
    assert (last.choices[0]["finish_reason"], last.usage) == ("stop", Usage(input_tokens=3, output_tokens=2))
    assert parser.done


@pytest.mark.parametrize("rest", [b"", encode([USAGE])[:-1]])
def test_answer_whose_usage_was_cut_off_is_whole_without_it(rest: bytes) -> None:
    got = read(bedrock.ChatCall(PLAIN, ROUTE).open_stream(), encode([START, HELLO, STOP]) + rest)
    assert fold(got)[0]["finish_reason"] == "stop"
    assert [chunk.usage for chunk in got] == [None] * 3


@pytest.mark.parametrize("events", [[], [START], [START, HELLO], [START, HELLO, USAGE]])
def test_end_without_message_stop_is_an_error(events: list[Json]) -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream(*events)
    assert caught.value.code == "stream_truncated"


def test_half_a_call_never_finishes() -> None:
    with pytest.raises(UpstreamError) as caught:
        stream(START, CALL, event("messageStop", stopReason="tool_use"), USAGE)
    assert caught.value.code == "stream_truncated"
    cut = stream(START, CALL, event("messageStop", stopReason="max_tokens"), USAGE)
    assert cut[-1].choices[0]["finish_reason"] == "length"


def test_exception_as_the_first_frame_comes_before_any_chunk() -> None:
    parser = FAMILY.open("error_first")
    with pytest.raises(RateLimitError, match="Too many tokens"):
        next(parser.feed(FAMILY.stream("error_first")))


@pytest.mark.parametrize("name", ["error_midstream", "error_unmodeled"])
def test_failure_in_mid_stream_keeps_what_came_before(name: str) -> None:
    parser = FAMILY.open(name)
    got: list[Chunk] = []
    with pytest.raises(UpstreamError):
        got.extend(parser.feed(FAMILY.stream(name)))
    assert got
    assert not parser.done


EXCEPTIONS = {
    "validationException": BadRequestError,
    "throttlingException": RateLimitError,
    "modelStreamErrorException": UpstreamError,
    "modelTimeoutException": UpstreamTimeoutError,
    "internalServerException": UpstreamError,
    "serviceUnavailableException": OverloadedError,
    "brandNewException": UpstreamError,
}


@pytest.mark.parametrize(("kind", "error"), EXCEPTIONS.items())
def test_exception_in_a_stream_has_the_status_of_its_type(kind: str, error: type[GatewayError]) -> None:
    with pytest.raises(error) as caught:
        stream({":exception-type": kind, "payload": {"message": "why"}})
    assert (type(caught.value), caught.value.message) == (error, "why")


def test_exception_without_words_is_still_one() -> None:
    with pytest.raises(OverloadedError):
        stream({":exception-type": "serviceUnavailableException", "payload": None})


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "kind", "error"),
    [
        ("validation", 400, "ValidationException:http://internal.amazon.com/coral/x", BadRequestError),
        ("throttling", 429, "ThrottlingException", RateLimitError),
        ("throttling", 400, "com.amazon.bedrock#ServiceQuotaExceededException", RateLimitError),
        ("throttling", 429, "ModelNotReadyException", RateLimitError),
        ("access", 403, "AccessDeniedException", UpstreamAuthError),
        ("access", 403, "", UpstreamAuthError),
        ("model", 404, "ResourceNotFoundException", NotFoundError),
        ("validation", 408, "ModelTimeoutException", UpstreamTimeoutError),
        ("validation", 424, "ModelErrorException", UpstreamError),
        ("validation", 404, "UnknownOperationException", UpstreamError),
        ("validation", 503, "ServiceUnavailableException", OverloadedError),
    ],
)
def test_error_has_the_status_of_its_type(name: str, status: int, kind: str, error: type[GatewayError]) -> None:
    assert (
        type(bedrock.ChatCall.parse_error(status, {"x-amzn-errortype": kind}, FAMILY.whole(f"error_{name}"))) is error
    )


def test_prompt_too_long_has_openais_code() -> None:
    error = bedrock.ChatCall.parse_error(
        400, {"x-amzn-errortype": "ValidationException"}, FAMILY.whole("error_too_long")
    )
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_accounts_are_not_told() -> None:
    for name, status in (("access", 403), ("model", 404)):
        assert "123456789012" not in bedrock.ChatCall.parse_error(status, {}, FAMILY.whole(f"error_{name}")).message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": null}'])
def test_error_without_words_has_a_status(body: bytes) -> None:
    assert bedrock.ChatCall.parse_error(500, {}, body).status == 502


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"output": {"message": {"content": "x"}}}',
        b'{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}',
    ],
)
def test_answer_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        bedrock.ChatCall(PLAIN, ROUTE).parse_response(body)
    assert caught.value.status == 502
