"""An answer is read by what it is: JSON or a stream, whatever was asked for and however its bytes come."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from support.families import ALL, request, route
from support.folding import fold
from tollgate.adapters.event_stream import GRACE
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.response_reader import MAX_ACCUMULATED_BYTES, ResponseReader

NAMES = {"anthropic": "tools", "bedrock": "tools", "gemini": "tools", "openai": "openai_tools"}
EACH = pytest.mark.parametrize("family", NAMES)


@dataclass
class Body:
    """A provider's answer in pieces; `waits` are the times that it was told to end within."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    read_so_far: int = 0
    waits: list[float | None] = field(default_factory=list[float | None])

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.stream()])

    async def stream(self) -> AsyncIterator[bytes]:
        while self.read_so_far < len(self.pieces):
            self.read_so_far += 1
            yield self.pieces[self.read_so_far - 1]

    def end_within(self, seconds: float | None) -> None:
        self.waits.append(seconds)

    async def aclose(self) -> None:
        pass


def reader(family: str, *pieces: bytes) -> ResponseReader:
    return ResponseReader(ALL[family].call(request(), route(family)), Body(pieces))


async def chunks(one: ResponseReader) -> list[Chunk]:
    got: list[Chunk] = []
    async for batch, error in one.batches():
        got += batch
        if error is not None:
            raise error
    return got


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@EACH
@pytest.mark.parametrize("before", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_same_is_read_of_either_form_for_either_wish(family: str, before: bytes, size: int) -> None:
    if family == "bedrock":
        before = b""  # frames have nothing before them
    name = NAMES[family]
    expected = ALL[family].parse(name)
    names = [call["function"]["name"] for call in expected.choices[0]["message"]["tool_calls"]]
    for body in (ALL[family].whole(name), ALL[family].stream(name)):
        pieces = [before, *cut(body, size)]
        completion = await reader(family, *pieces).whole()
        assert isinstance(completion, Completion)
        streamed = fold(await chunks(reader(family, *pieces)))
        for choice in (*completion.choices, *streamed):
            assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == names
        assert completion.usage == expected.usage


@EACH
@pytest.mark.parametrize("body", [b"", b"<html>", b"no", b"{}", b"[]", b"data", b"\x00\x00", b"data: {}\n\n"])
async def test_what_is_no_answer_is_none_in_either_form(family: str, body: bytes) -> None:
    with pytest.raises(GatewayError):
        await reader(family, body).whole()
    with pytest.raises(GatewayError):
        await chunks(reader(family, body))


def event(content: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


async def test_what_says_nothing_does_not_put_off_the_end() -> None:
    body = Body([event("a"), event("", "stop"), b": ping\n\n", b"data: {}\n\n", b": ping\n\n"])
    await chunks(ResponseReader(ALL["openai"].call(request(), route("openai")), body))
    assert body.waits == [None, GRACE]


async def test_text_puts_off_the_end() -> None:
    body = Body([event("a", "stop"), b": ping\n\n", event("b"), event("c")])
    await chunks(ResponseReader(ALL["openai"].call(request(), route("openai")), body))
    first, *more = [wait for wait in body.waits if wait is not None]
    assert first == GRACE
    assert len(more) == 2
    assert min(more) > GRACE  # its word is no longer good


async def test_stream_for_a_whole_answer_is_bounded() -> None:
    one = event("a" * 1_000_000)
    with pytest.raises(UpstreamError, match="too large"):
        await reader("openai", *[one] * (MAX_ACCUMULATED_BYTES // 1_000_000 + 2)).whole()


async def test_whole_answer_of_a_stream_that_breaks_is_its_error() -> None:
    with pytest.raises(UpstreamError, match="cut"):
        await reader("openai", event("a")).whole()
    with pytest.raises(UpstreamError, match="broke"):
        await reader("openai", event("a"), b'data: {"error": {"message": "broke"}}\n\n').whole()
