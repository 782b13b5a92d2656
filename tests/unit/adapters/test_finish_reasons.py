"""Finish reasons of every family, in whole and in streamed responses."""

import json
from typing import Any

import pytest

from support.families import ALL, read, request, route
from tollgate.adapters.event_stream import GRACE
from tollgate.gateway.chat import Chunk
from tollgate.gateway.errors import GatewayError, OverloadedError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.types import Json

TEXT = "half an answer"
USED = 7


def anthropic(native: str | None, *, whole: bool) -> Any:
    usage = {"input_tokens": USED, "output_tokens": 1}
    if whole:
        return {"content": [{"type": "text", "text": TEXT}], "stop_reason": native, "usage": usage}
    return [
        {"type": "message_start", "message": {"usage": {"input_tokens": USED}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
        {"type": "message_delta", "delta": {"stop_reason": native}, "usage": usage},
    ]


def bedrock(native: str | None, *, whole: bool) -> Any:
    usage = {"inputTokens": USED, "outputTokens": 1}
    if whole:
        return {"output": {"message": {"content": [{"text": TEXT}]}}, "stopReason": native, "usage": usage}
    delta = {"contentBlockIndex": 0, "delta": {"text": TEXT}}
    return [
        {":event-type": "contentBlockDelta", "payload": delta},
        {":event-type": "messageStop", "payload": {"stopReason": native}},
    ]


def gemini(native: str | None, *, whole: bool) -> Any:
    answer: Json = {
        "candidates": [{"content": {"parts": [{"text": TEXT}]}, "finishReason": native}],
        "usageMetadata": {"promptTokenCount": USED, "candidatesTokenCount": 1},
    }
    return answer if whole else [answer]


def openai(native: str | None, *, whole: bool) -> Any:
    content = {"message" if whole else "delta": {"content": TEXT}}
    answer: Json = {
        "choices": [{"index": 0, **content, "finish_reason": native}],
        "usage": {"prompt_tokens": USED, "completion_tokens": 1},
    }
    return answer if whole else [answer]


MAKE = {"anthropic": anthropic, "bedrock": bedrock, "gemini": gemini, "openai": openai}
USAGE_FRAME: Json = {":event-type": "metadata", "payload": {"usage": {"inputTokens": USED, "outputTokens": 1}}}


def whole(family: str, native: str) -> Json:
    body = json.dumps(MAKE[family](native, whole=True)).encode()
    return dict(ALL[family].call(request(), route(family)).parse_response(body).choices[0])


def streamed(family: str, native: str, got: list[Chunk] | None = None) -> Json:
    """The last step of a stream; its chunks are appended to `got`, also if it fails."""
    events = MAKE[family](native, whole=False)
    body = ALL[family].encode([*events, USAGE_FRAME] if family == "bedrock" else events)
    parser = ALL[family].call(request(), route(family)).open_stream()
    chunks = [] if got is None else got
    for chunk in parser.feed(body):
        chunks.append(chunk)
    chunks += [] if parser.done else parser.close()
    return dict(chunks[-1].choices[0])


EACH = pytest.mark.parametrize("family", MAKE)
COMMON = {
    "network_error": UpstreamError,
    "abort": UpstreamError,
    "cancelled": UpstreamError,
    "timeout": UpstreamTimeoutError,
    "insufficient_system_resource": OverloadedError,
    "sensitive": "content_filter",
    "model_context_window_exceeded": "length",
    "max_tokens": "length",
    "function_call": "stop",  # none was made
    "some_new_reason": "some_new_reason",
}
OWN = {
    ("anthropic", "pause_turn"): "stop",
    ("anthropic", "refusal"): "content_filter",
    ("bedrock", "guardrail_intervened"): "content_filter",
    ("bedrock", "malformed_tool_use"): UpstreamError,
    ("gemini", "STOP"): "stop",
    ("gemini", "PROHIBITED_CONTENT"): "content_filter",
    ("gemini", "UNEXPECTED_TOOL_CALL"): UpstreamError,
    ("openai", "eos"): "stop",
    ("openai", "model_length"): "length",
}
EXPECTED = {**{(family, native): reported for family in MAKE for native, reported in COMMON.items()}, **OWN}


@pytest.mark.parametrize(("family", "native", "reported"), [(*key, reported) for key, reported in EXPECTED.items()])
def test_finish_reason_is_the_same_whole_and_streamed(
    family: str, native: str, reported: str | type[GatewayError]
) -> None:
    if isinstance(reported, str):
        for choice in (whole(family, native), streamed(family, native)):
            assert choice["finish_reason"] == reported
            assert choice.get("native_finish_reason", reported) == (native if native != reported else reported)
        return
    got: list[Chunk] = []
    with pytest.raises(reported, match=native):
        whole(family, native)
    with pytest.raises(reported, match=native):
        streamed(family, native, got)
    assert "".join(step["delta"].get("content", "") for chunk in got for step in chunk.choices) == TEXT
    assert [chunk.usage.input_tokens for chunk in got if chunk.usage is not None][-1] == USED  # it is billed


@EACH
def test_finished_stream_may_end_without_its_terminal_marker_after_the_grace(family: str) -> None:
    events = MAKE[family]("stop", whole=False)
    parser = ALL[family].call(request(), route(family)).open_stream()
    assert parser.grace is None
    list(parser.feed(ALL[family].encode(events)))
    assert (parser.done, parser.grace) == (False, GRACE)
    (last,) = list(parser.close())[-1].choices
    assert last["finish_reason"] == "stop"


@EACH
def test_stream_without_a_finish_reason_is_not_complete(family: str) -> None:
    events = MAKE[family](None, whole=False)
    content = events[:-1] if family == "bedrock" else events  # there the event itself is what ends it
    with pytest.raises(UpstreamError, match="cut off"):
        read(ALL[family].call(request(), route(family)).open_stream(), ALL[family].encode(content))
