"""Streamed responses of the Messages API."""

import json

import pytest

from support.families import read
from support.folding import fold
from tollgate.adapters import anthropic
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
)
from tollgate.gateway.types import Json
from unit.adapters.anthropic_responses import ANTHROPIC, PLAIN, ROUTE, START, STOP, events, stream


def test_role_comes_with_the_first_event() -> None:
    (first,) = anthropic.ChatCall(PLAIN, ROUTE).open_stream().feed(events(START))
    assert first.choices[0]["delta"] == {"role": "assistant", "content": ""}


def test_pings_and_ends_of_blocks_yield_no_chunks() -> None:
    assert len(stream("text")) == 1 + 4 + 1


def test_input_of_the_block_start_is_the_arguments() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    closed = {"type": "content_block_stop", "index": 0}
    (choice,) = fold(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, closed, STOP)))
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


def test_end_without_message_stop_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream("truncated")
    assert caught.value.code == "stream_truncated"


def test_incomplete_call_is_an_error() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    with pytest.raises(UpstreamError) as caught:
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, ended, STOP))
    assert caught.value.code == "stream_truncated"


def test_stream_without_a_response_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(STOP))


def test_events_after_message_stop_are_ignored() -> None:
    late = {"type": "error", "error": {"type": "api_error", "message": "late"}}
    assert len(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, STOP, late), b"data: oops\n\n")) == 2


def test_last_blank_line_may_be_missing() -> None:
    data = ANTHROPIC.stream("text").rstrip()
    assert read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), data) == stream("text")


def test_error_as_the_first_event_comes_before_any_chunk() -> None:
    parser = anthropic.ChatCall(PLAIN, ROUTE).open_stream()
    with pytest.raises(OverloadedError, match="Overloaded"):
        next(parser.feed(ANTHROPIC.stream("error_first")))


def test_error_in_mid_stream_keeps_earlier_chunks() -> None:
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
def test_error_under_status_200_has_the_status_of_its_type(kind: str, error: type[GatewayError]) -> None:
    body: Json = {"type": "error", "error": {"type": kind, "message": "model: why"}}
    with pytest.raises(error) as streamed:
        read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(body))
    with pytest.raises(error) as buffered:
        anthropic.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())
    assert type(streamed.value) is type(buffered.value) is error
