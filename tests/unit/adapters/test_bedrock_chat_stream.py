"""Streamed responses of Converse."""

import pytest

from support.aws_event_stream import encode
from support.families import read
from support.folding import fold
from tollgate.adapters import bedrock
from tollgate.gateway.chat import Chunk
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    OverloadedError,
    RateLimitError,
    UpstreamError,
    UpstreamTimeoutError,
)
from tollgate.gateway.types import Json, Usage
from unit.adapters.bedrock_responses import CALL, FAMILY, HELLO, PLAIN, ROUTE, START, USAGE, event, stream

STOP = event("messageStop", stopReason="end_turn")


def test_end_is_held_until_the_usage_has_come() -> None:
    parser = bedrock.ChatCall(PLAIN, ROUTE).open_stream()
    assert len([*parser.feed(encode([START, HELLO, STOP]))]) == 2
    assert not parser.done
    (last,) = parser.feed(encode([USAGE, HELLO]))
    assert (last.choices[0]["finish_reason"], last.usage) == ("stop", Usage(input_tokens=3, output_tokens=2))
    assert parser.done


@pytest.mark.parametrize("rest", [b"", encode([USAGE])[:-1]])
def test_response_without_its_usage_event_is_complete(rest: bytes) -> None:
    got = read(bedrock.ChatCall(PLAIN, ROUTE).open_stream(), encode([START, HELLO, STOP]) + rest)
    assert fold(got)[0]["finish_reason"] == "stop"
    assert [chunk.usage for chunk in got] == [None] * 3


@pytest.mark.parametrize("events", [[], [START], [START, HELLO], [START, HELLO, USAGE]])
def test_end_without_message_stop_is_an_error(events: list[Json]) -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream(*events)
    assert caught.value.code == "stream_truncated"


def test_incomplete_call_is_an_error() -> None:
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
def test_failure_in_mid_stream_keeps_earlier_chunks(name: str) -> None:
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


def test_exception_without_a_message_is_an_error() -> None:
    with pytest.raises(OverloadedError):
        stream({":exception-type": "serviceUnavailableException", "payload": None})
