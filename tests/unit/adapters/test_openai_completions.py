"""Streams of legacy completions: a response is complete when every choice that was requested has ended."""

import json
from typing import Any

import pytest

from support import families
from tollgate.adapters.clients.openai_completions import OpenAICompletions
from tollgate.adapters.openai.completions import CompletionsCall
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.ports import StreamParser


def parser(**fields: Any) -> StreamParser[Any]:
    body = json.dumps({"model": "davinci", "prompt": "x", "stream": True, **fields}).encode()
    request, _ = OpenAICompletions().parse({}, body)
    return CompletionsCall(request, families.route("openai")).open_stream()


def piece(index: int, finish_reason: str | None) -> bytes:
    choice = {"index": index, "text": "x", "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("fields", "choices"),
    [({}, 1), ({"n": 2}, 2), ({"prompt": [1, 2]}, 1), ({"prompt": ["a", "b"], "n": 2}, 4), ({"prompt": [[1], [2]]}, 2)],
)
def test_stream_without_done_is_complete_when_all_choices_have_ended(fields: dict[str, Any], choices: int) -> None:
    stream = parser(**fields)
    for index in range(choices):
        assert stream.grace is None
        assert [chunk.finish_reason for chunk in stream.feed(piece(index, None) + piece(index, "stop"))] == [
            None,
            "stop",
        ]
    assert stream.grace is not None
    list(stream.close())
    assert stream.done


@pytest.mark.parametrize("sent", [piece(0, "stop"), piece(0, "stop") + piece(1, None), b""])
def test_stream_that_ends_before_all_choices_is_truncated(sent: bytes) -> None:
    stream = parser(n=2)
    list(stream.feed(sent))
    with pytest.raises(UpstreamError, match="cut off"):
        list(stream.close())


def test_done_ends_no_choice() -> None:
    stream = parser(n=2)
    with pytest.raises(UpstreamError, match="cut off"):
        list(stream.feed(piece(0, "stop") + piece(1, None) + b"data: [DONE]\n\n"))
