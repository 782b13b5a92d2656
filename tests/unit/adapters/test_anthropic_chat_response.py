"""The Anthropic family's answers: the fixtures are the bytes of the Messages API, whole and as streams."""

import json
from typing import Any

import pytest

from support.families import ALL, read, request
from support.folding import fold
from tollgate.adapters import anthropic
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
)
from tollgate.gateway.sse import encode
from tollgate.gateway.types import Json, Usage

ANTHROPIC = ALL["anthropic"]
IN_JSON, NO_SCHEMAS = ANTHROPIC.asked("json_tool")
PLAIN, ROUTE = ANTHROPIC.asked("text")


def whole(name: str) -> Completion:
    return ANTHROPIC.parse(name)


def stream(name: str) -> list[Chunk]:
    return read(ANTHROPIC.open(name), ANTHROPIC.stream(name))


def message(name: str) -> Json:
    (choice,) = whole(name).choices
    return choice["message"]


def finish(name: str) -> str:
    return whole(name).choices[0]["finish_reason"]


def answer(*blocks: Json, stop: str | None = "end_turn", **more: Any) -> Completion:
    body = {"type": "message", "content": [*blocks], "stop_reason": stop, **more}
    return anthropic.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())


def events(*given: Json) -> bytes:
    return b"".join(encode(event) for event in given)


START: Json = {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}
STOP: Json = {"type": "message_stop"}


# --- what is said -----------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert message("text") == {
        "role": "assistant",
        "content": "Four score\u2028 and s\u00e9ven \U0001f600.",
        "refusal": None,
    }


def test_tools_are_called_in_order_beside_the_text() -> None:
    said = message("tools")
    assert said["content"] == "I'll look both up."
    assert [(call["id"], call["function"]["name"]) for call in said["tool_calls"]] == [
        ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"),
        ("toolu_01GvXo2wYuNzQ8f6mA2pRkLd", "get_time"),
    ]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"location": "Z\u00fcrich, CH", "days": 3}
    assert finish("tools") == "tool_calls"


def test_call_without_arguments_has_an_empty_object() -> None:
    assert message("tools")["tool_calls"][1]["function"]["arguments"] == "{}"
    fragments = [piece for chunk in stream("tools") for piece in chunk.choices[0]["delta"].get("tool_calls", [])]
    assert [piece["function"]["arguments"] for piece in fragments if piece["index"] == 1] == ["", "{}"]


def test_first_piece_of_a_call_has_its_name_and_no_arguments() -> None:
    first = next(chunk.choices[0]["delta"]["tool_calls"][0] for chunk in stream("tools")[3:])
    assert first == {
        "index": 0,
        "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }


def test_calls_without_text_have_no_content() -> None:
    assert message("thinking_tool")["content"] is None


def test_names_come_back_as_the_client_gave_them() -> None:
    tool: Json = {"type": "function", "function": {"name": "files.read/all"}}
    mine = request(tools=[tool])
    sent = json.loads(anthropic.ChatCall(mine, ROUTE).request.body)["tools"][0]["name"]
    assert sent != "files.read/all"
    block: Json = {"type": "tool_use", "id": "t", "name": sent, "input": {}}
    body = json.dumps({"content": [block], "stop_reason": "tool_use"}).encode()
    (choice,) = anthropic.ChatCall(mine, ROUTE).parse_response(body).choices
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "files.read/all"
    opened = events(START, {"type": "content_block_start", "index": 0, "content_block": block})
    chunks = [*anthropic.ChatCall(mine, ROUTE).open_stream().feed(opened)]
    assert chunks[1].choices[0]["delta"]["tool_calls"][0]["function"]["name"] == "files.read/all"


def test_thinking_is_reasoning_and_comes_signed() -> None:
    said = message("thinking")
    assert said["content"] == "No: 43 \u00d7 47."
    assert said["reasoning_content"] == "2021 is 43 times 47,\nso no."
    first, second = said["reasoning_details"]
    assert first["type"] == "reasoning.text"
    assert first["text"] == said["reasoning_content"]
    assert first["signature"].startswith("EqoBCkgIARAB")
    assert second["type"] == "reasoning.encrypted"
    assert second["data"].startswith("EmwKAhgB")
    assert {first["format"], second["format"]} == {"anthropic-claude-v1"}
    assert (first["index"], second["index"]) == (0, 1)


def test_thinking_that_is_not_shown_keeps_its_signature() -> None:
    said = message("thinking_tool")
    assert "reasoning_content" not in said
    assert said["reasoning_details"][0]["signature"]


def test_refusal_is_a_content_filter_with_its_reason() -> None:
    assert finish("refusal") == "content_filter"
    assert message("refusal")["refusal"] == "This request was declined because it may enable cyber harm."


def test_answer_by_tool_is_content() -> None:
    said = message("json_tool")
    assert json.loads(said["content"]) == {"name": "Ada", "age": 36}
    assert "tool_calls" not in said
    assert finish("json_tool") == "stop"


def test_kinds_not_known_yet_are_passed_over() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "Found.", "refusal": None}


def test_answer_may_be_empty() -> None:
    assert message("empty")["content"] == ""
    assert finish("empty") == "stop"


FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "stop",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "brand_new": "brand_new",
    None: "stop",
}


@pytest.mark.parametrize(("native", "openais"), FINISH.items())
def test_stop_reason_is_one_of_openais_both_ways(native: str | None, openais: str) -> None:
    assert answer(stop=native).choices[0]["finish_reason"] == openais
    ended = {"type": "message_delta", "delta": {"stop_reason": native}}
    (choice,) = fold(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, ended, STOP)))
    assert choice["finish_reason"] == openais


def test_call_cut_by_the_length_is_not_called_whole() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert answer(call, stop="max_tokens").choices[0]["finish_reason"] == "length"
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    ended = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    chunks = read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, ended, STOP))
    assert chunks[-1].choices[0]["finish_reason"] == "length"


# --- usage ------------------------------------------------------------------------------------------------------------


def test_input_includes_what_came_from_and_went_into_the_cache() -> None:
    assert whole("cached").usage == Usage(
        input_tokens=21 + 188086 + 456, output_tokens=5, cached_tokens=188086, cache_write_tokens=456
    )


def test_thinking_is_part_of_the_output() -> None:
    assert whole("thinking").usage == Usage(input_tokens=43, output_tokens=282, reasoning_tokens=240)


def test_counts_are_of_the_whole_so_far_and_replace_each_other() -> None:
    usage: list[Json] = [{"output_tokens": 5}, {"output_tokens": 9, "input_tokens": 4, "cache_read_input_tokens": None}]
    steps = [{"type": "message_delta", "delta": {}, "usage": counts} for counts in usage]
    chunks = read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, *steps, STOP))
    assert [chunk.usage for chunk in chunks] == [Usage(input_tokens=3), Usage(input_tokens=4, output_tokens=9)]


def test_nothing_counted_is_no_usage() -> None:
    assert answer().usage is None


@pytest.mark.parametrize(("native", "openais"), [("standard", "default"), ("priority", "priority")])
def test_service_tier_is_relayed_in_openais_words(native: str, openais: str) -> None:
    assert answer(usage={"service_tier": native}).extra == {"service_tier": openais}


# --- streams ----------------------------------------------------------------------------------------------------------


def test_role_comes_with_the_first_event() -> None:
    (first,) = anthropic.ChatCall(PLAIN, ROUTE).open_stream().feed(events(START))
    assert first.choices[0]["delta"] == {"role": "assistant", "content": ""}


def test_pings_and_ends_of_blocks_say_nothing() -> None:
    assert len(stream("text")) == 1 + 4 + 1


def test_input_that_came_whole_is_the_arguments() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    closed = {"type": "content_block_stop", "index": 0}
    (choice,) = fold(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, closed, STOP)))
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


def test_end_without_message_stop_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream("truncated")
    assert caught.value.code == "stream_truncated"


def test_half_a_call_never_finishes() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    with pytest.raises(UpstreamError) as caught:
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, ended, STOP))
    assert caught.value.code == "stream_truncated"


def test_stream_without_an_answer_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(STOP))


def test_nothing_counts_after_message_stop() -> None:
    late = {"type": "error", "error": {"type": "api_error", "message": "late"}}
    assert len(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, STOP, late), b"data: oops\n\n")) == 2


def test_last_blank_line_may_be_missing() -> None:
    data = ANTHROPIC.stream("text").rstrip()
    assert read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), data) == stream("text")


def test_error_as_the_first_event_comes_before_any_chunk() -> None:
    parser = anthropic.ChatCall(PLAIN, ROUTE).open_stream()
    with pytest.raises(OverloadedError, match="Overloaded"):
        next(parser.feed(ANTHROPIC.stream("error_first")))


def test_error_in_mid_stream_keeps_what_came_before() -> None:
    parser = anthropic.ChatCall(PLAIN, ROUTE).open_stream()
    chunks = parser.feed(ANTHROPIC.stream("error_midstream"))
    got = [next(chunks) for _ in range(10)]
    with pytest.raises(OverloadedError):
        next(chunks)
    assert "".join(chunk.choices[0]["delta"].get("content", "") for chunk in got) == "I'll look both up."
    assert not parser.done


IN_BAND = {
    "invalid_request_error": BadRequestError,
    "authentication_error": UpstreamAuthError,
    "billing_error": UpstreamAuthError,
    "permission_error": UpstreamAuthError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitError,
    "overloaded_error": OverloadedError,
    "api_error": UpstreamError,
    "brand_new_error": UpstreamError,
}


@pytest.mark.parametrize(("kind", "error"), IN_BAND.items())
def test_error_under_200_has_the_status_of_its_type(kind: str, error: type[GatewayError]) -> None:
    body: Json = {"type": "error", "error": {"type": kind, "message": "model: why"}}
    with pytest.raises(error) as streamed:
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(body))
    with pytest.raises(error) as buffered:
        anthropic.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())
    assert type(streamed.value) is type(buffered.value) is error


# --- errors -----------------------------------------------------------------------------------------------------------


def refused(name: str, status: int, **headers: str) -> GatewayError:
    return anthropic.ChatCall.parse_error(status, headers, ANTHROPIC.whole(f"error_{name}"))


def test_overload_is_a_503_with_its_wait() -> None:
    error = refused("overloaded", 529, **{"retry-after": "7"})
    assert (error.status, error.code, error.retry_after) == (503, "overloaded", 7)


def test_rate_limit_keeps_its_wait_and_words() -> None:
    error = refused("rate_limit", 429, **{"retry-after": "30"})
    assert (error.status, error.retry_after) == (429, 30)
    assert "input tokens per minute" in error.message


def test_prompt_too_long_has_openais_code() -> None:
    error = refused("too_long", 400)
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_max_tokens_over_the_context_has_openais_code() -> None:
    text = "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000"
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": text}}).encode()
    assert anthropic.ChatCall.parse_error(400, {}, body).code == "context_length_exceeded"


def test_bad_request_is_the_clients_in_the_providers_words() -> None:
    error = refused("invalid", 400)
    assert (error.status, error.code) == (400, None)
    assert error.message.endswith("invalid image data")


@pytest.mark.parametrize(("name", "status"), [("key", 401), ("credit", 400)])
def test_gateways_own_trouble_is_not_the_clients(name: str, status: int) -> None:
    error = refused(name, status)
    assert (error.status, error.code) == (502, "upstream_auth")
    assert "key" not in error.message


def test_unknown_model_is_a_404() -> None:
    assert refused("model", 404).code == "model_not_found"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"message": 1}}'])
def test_error_without_words_is_still_one(body: bytes) -> None:
    error = anthropic.ChatCall.parse_error(500, {}, body)
    assert (error.status, error.type) == (502, "upstream_error")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "x"}', b'{"content": null}'])
def test_answer_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        anthropic.ChatCall(PLAIN, ROUTE).parse_response(body)
