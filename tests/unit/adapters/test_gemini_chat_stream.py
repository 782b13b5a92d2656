"""Streamed responses of generateContent."""

import pytest

from support.families import read, sse
from support.folding import fold
from tollgate.adapters import gemini
from tollgate.gateway.errors import OverloadedError, UpstreamError
from tollgate.gateway.types import Usage
from unit.adapters.gemini_responses import GEMINI, PLAIN, ROUTE, answered, stream, streamed


def test_choice_finishes_when_the_stream_closes() -> None:
    parser = gemini.ChatCall(PLAIN, ROUTE).open_stream()
    chunks = [*parser.feed(GEMINI.stream("text"))]
    assert [chunk.choices[0]["finish_reason"] for chunk in chunks] == [None, None, None]
    assert [chunk.choices[0]["finish_reason"] for chunk in parser.close()] == ["stop"]


def test_text_and_counts_after_a_finish_reason_are_kept() -> None:
    counted = {"usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3}}
    each_ended = [answered({"text": content}) for content in ("Four", " score", ".")]
    chunks = streamed(*each_ended, counted)
    (choice,) = fold(chunks)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Four score.", "stop")
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(2, 3)]


def test_end_without_a_finish_reason_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream("truncated")
    assert caught.value.code == "stream_truncated"


def test_candidate_without_a_finish_reason_is_an_error() -> None:
    other = answered({"text": "a"}, finish=None, index=1)
    with pytest.raises(UpstreamError, match="cut off"):
        streamed(other, answered({"text": "b"}))


@pytest.mark.parametrize("data", [b"", b": nothing\r\n\r\n", sse([{"usageMetadata": {"promptTokenCount": 1}}])])
def test_stream_without_a_response_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(gemini.ChatCall(PLAIN, ROUTE).open_stream(), data)


def test_error_as_the_first_event_comes_before_any_chunk() -> None:
    with pytest.raises(OverloadedError, match="overloaded"):
        next(GEMINI.open("error_first").feed(GEMINI.stream("error_first")))


def test_error_in_mid_stream_keeps_earlier_chunks() -> None:
    chunks = GEMINI.open("error_midstream").feed(GEMINI.stream("error_midstream"))
    assert [next(chunks).choices[0]["delta"]["content"] for _ in range(2)] == ["Four", " score"]
    with pytest.raises(OverloadedError):
        next(chunks)
