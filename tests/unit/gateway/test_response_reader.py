"""Responses are read by their content: JSON or a stream, whichever was requested, however the bytes are split."""

import json

import pytest

from support.fakes import FakeResponse
from support.families import ALL, request, route
from support.folding import fold
from tollgate.adapters.event_stream import GRACE
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.response_reader import MAX_ACCUMULATED_BYTES, ResponseReader

NAMES = {"anthropic": "tools", "bedrock": "tools", "gemini": "tools", "openai": "openai_tools"}
EACH_FAMILY = pytest.mark.parametrize("family", NAMES)


def reader(family: str, *pieces: bytes) -> ResponseReader:
    return ResponseReader(ALL[family].call(request(), route(family)), FakeResponse(pieces))


async def chunks(chunk_reader: ResponseReader) -> list[Chunk]:
    received: list[Chunk] = []
    while (next_batch := await chunk_reader.next_batch()) is not None:
        batch, error = next_batch
        received += batch
        if error is not None:
            raise error
    return received


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@EACH_FAMILY
@pytest.mark.parametrize("prefix", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_whole_and_streamed_bodies_give_the_same_result_in_both_modes(
    family: str, prefix: bytes, size: int
) -> None:
    if family == "bedrock":
        prefix = b""  # frames have no prefix
    name = NAMES[family]
    expected = ALL[family].parse(name)
    names = [call["function"]["name"] for call in expected.choices[0]["message"]["tool_calls"]]
    for body in (ALL[family].whole(name), ALL[family].stream(name)):
        pieces = [prefix, *split(body, size)]
        completion = await reader(family, *pieces).whole()
        assert isinstance(completion, Completion)
        streamed = fold(await chunks(reader(family, *pieces)))
        for choice in (*completion.choices, *streamed):
            assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == names
        assert completion.usage == expected.usage


@EACH_FAMILY
@pytest.mark.parametrize("body", [b"", b"<html>", b"no", b"{}", b"[]", b"data", b"\x00\x00", b"data: {}\n\n"])
async def test_invalid_body_is_an_error_whole_or_streamed(family: str, body: bytes) -> None:
    with pytest.raises(GatewayError):
        await reader(family, body).whole()
    with pytest.raises(GatewayError):
        await chunks(reader(family, body))


def event(content: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


async def test_empty_events_after_a_finish_reason_do_not_extend_the_end_limit() -> None:
    response = FakeResponse([event("a"), event("", "stop"), b": ping\n\n", b"data: {}\n\n", b": ping\n\n"])
    await chunks(ResponseReader(ALL["openai"].call(request(), route("openai")), response))
    assert response.end_limits == [GRACE]


async def test_text_after_a_finish_reason_extends_the_end_limit() -> None:
    response = FakeResponse([event("a", "stop"), b": ping\n\n", event("b"), event("c")])
    await chunks(ResponseReader(ALL["openai"].call(request(), route("openai")), response))
    first, *more = [limit for limit in response.end_limits if limit is not None]
    assert first == GRACE
    assert len(more) == 2
    assert min(more) > GRACE  # its finish_reason is no longer trusted


async def test_accumulated_stream_is_bounded() -> None:
    large_event = event("a" * 1_000_000)
    with pytest.raises(UpstreamError, match="too large"):
        await reader("openai", *[large_event] * (MAX_ACCUMULATED_BYTES // 1_000_000 + 2)).whole()


async def test_accumulated_stream_that_breaks_raises_its_error() -> None:
    with pytest.raises(UpstreamError, match="cut"):
        await reader("openai", event("a")).whole()
    with pytest.raises(UpstreamError, match="broke"):
        await reader("openai", event("a"), b'data: {"error": {"message": "broke"}}\n\n').whole()
