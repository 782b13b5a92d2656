"""The time to read a response is linear in its size, in every family and for every part of it.

It is CPU time of the process, the minimum of two tries; four times the size may not take nine times as long. Numbers of
choices and of objects beyond the maximum are refused.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.families import ALL, read, request, route
from tollgate.adapters.json_access import MAX_CHOICES, MAX_CONTAINERS
from tollgate.gateway.accumulation import ChunkAccumulator
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.types import Json

SIZE = 1500
FACTOR = 4
MAX_RATIO = 9.0
"""Between 4, for linear work, and 16, for quadratic work."""

Make = Callable[[int], Any]


def none(_: int) -> int:
    return 0


def one_id(_: int) -> str:
    return "same"


def openai_calls(n: int, **call: Any) -> list[Json]:
    function = {"name": "f", "arguments": '{"a": 1}'}
    return [{"function": function, **{key: make(i) for key, make in call.items()}} for i in range(n)]


def openai_whole(message: Json) -> Json:
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def openai_events(deltas: list[Json]) -> list[Any]:
    end: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*({"choices": [{"index": 0, "delta": delta}]} for delta in deltas), end, "[DONE]"]


def openai_stream(calls: list[Json]) -> list[Any]:
    return openai_events([{"tool_calls": [call]} for call in calls])


def anthropic_blocks(n: int) -> list[Json]:
    kinds: list[Json] = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "same", "name": "f", "input": {"a": 1}},
    ]
    return [kinds[i % 3] for i in range(n)]


def anthropic_events(n: int) -> list[Any]:
    events: list[Json] = [{"type": "message_start", "message": {"usage": {"input_tokens": 1}}}]
    for i, block in enumerate(anthropic_blocks(n)):
        events.append({"type": "content_block_start", "index": i, "content_block": block})
        events.append({"type": "content_block_stop", "index": i})
    return [*events, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]


def gemini_answer(parts: list[Json], **more: Any) -> Json:
    return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP", **more}]}


def gemini_sources(n: int) -> Json:
    cites = [{"uri": "u", "startIndex": i, "endIndex": i + 1} for i in range(n)]
    return gemini_answer([{"text": "\u00e9" * n * 20}], citationMetadata={"citationSources": cites})


def gemini_parts(n: int) -> list[Json]:
    call: Json = {"functionCall": {"name": "f", "args": {}}}
    kinds: list[Json] = [{"text": "a" * 50}, {"text": "t", "thought": True}, call]
    return [kinds[i % 3] for i in range(n)]


def bedrock_blocks(n: int) -> list[Json]:
    kinds: list[Json] = [
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
        {"text": "a"},
        {"toolUse": {"toolUseId": "same", "name": "f", "input": {}}},
    ]
    return [kinds[i % 3] for i in range(n)]


def bedrock_frame(event: str, **payload: Any) -> Json:
    return {":event-type": event, "payload": payload}


def bedrock_events(n: int) -> list[Any]:
    frames: list[Json] = [bedrock_frame("messageStart", role="assistant")]
    for i in range(n):
        start = {"toolUse": {"toolUseId": "same", "name": "f"}}
        frames.append(bedrock_frame("contentBlockStart", contentBlockIndex=i, start=start))
        frames.append(bedrock_frame("contentBlockDelta", contentBlockIndex=i, delta={"toolUse": {"input": "{}"}}))
        frames.append(bedrock_frame("contentBlockStop", contentBlockIndex=i))
    return [*frames, bedrock_frame("messageStop", stopReason="tool_use"), bedrock_frame("metadata", usage={})]


WHOLE: dict[str, tuple[str, Make]] = {
    "calls": ("openai", lambda n: openai_whole({"tool_calls": openai_calls(n, id=str)})),
    "calls-without-ids": ("openai", lambda n: openai_whole({"tool_calls": openai_calls(n)})),
    "calls-of-one-id": ("openai", lambda n: openai_whole({"tool_calls": openai_calls(n, id=one_id)})),
    "parts": ("openai", lambda n: openai_whole({"content": [{"type": "text", "text": "a" * 99}] * n})),
    "anthropic": ("anthropic", lambda n: {"content": anthropic_blocks(n), "stop_reason": "tool_use"}),
    "gemini": ("gemini", lambda n: gemini_answer(gemini_parts(n))),
    "gemini-sources": ("gemini", gemini_sources),
    "bedrock": ("bedrock", lambda n: {"output": {"message": {"content": bedrock_blocks(n)}}, "stopReason": "end_turn"}),
}
STREAMED: dict[str, tuple[str, Make]] = {
    "text": ("openai", lambda n: openai_events([{"content": "a", "reasoning_content": "t"}] * n)),
    "calls": ("openai", lambda n: openai_stream(openai_calls(n, index=int, id=str))),
    "calls-under-one-index": ("openai", lambda n: openai_stream(openai_calls(n, index=none))),
    "calls-without-anything": ("openai", lambda n: openai_stream(openai_calls(n))),
    "calls-twice": ("openai", lambda n: openai_stream(openai_calls(n, index=int, id=str) * 2)),
    "call-in-pieces": ("openai", lambda n: openai_stream(
        [{"index": 0, "function": {"name": "f", "arguments": "{"}}] * n)),
    "text-in-a-call": ("openai", lambda n: openai_stream(
        [{"index": 0, "function": {"name": "f", "arguments": '{"a": "'}}]
        + [{"index": 0, "function": {"name": "f", "arguments": "{}" * 20}}] * n)),
    "name-in-pieces": ("openai", lambda n: openai_stream([{"index": 0, "function": {"name": "f" * 99}}] * n)),
    "calls-without-names": ("openai", lambda n: openai_stream(
        [{"index": i, "id": str(i), "function": {"arguments": "{"} if i % 2 else {"arguments": "{", "name": "f"}}
         for i in range(n)])),
    "calls-in-one-event": ("openai", lambda n: openai_events([{"tool_calls": openai_calls(n, index=int)}])),
    "fields-beside": ("openai", lambda n: [*({"choices": [], str(i): i} for i in range(n)), *openai_events([{}])]),
    "anthropic": ("anthropic", anthropic_events),
    "gemini": ("gemini", lambda n: [gemini_answer([part]) for part in gemini_parts(n)]),
    "gemini-in-one-event": ("gemini", lambda n: [gemini_answer(gemini_parts(n))]),
    "gemini-sources": ("gemini", lambda n: [gemini_sources(n)]),
    "bedrock": ("bedrock", bedrock_events),
}  # fmt: skip


def cpu(work: Callable[[], Any]) -> float:
    """Seconds of CPU time, the minimum of two tries."""
    tries: list[float] = []
    for _ in range(2):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_whole_response_is_read_in_linear_time(name: str) -> None:
    family, make = WHOLE[name]
    built = request(), route(family)

    def cpu_seconds(n: int) -> float:
        body = json.dumps(make(n)).encode()
        return cpu(lambda: ALL[family].call(*built).parse_response(body))

    assert any(
        cpu_seconds(FACTOR * SIZE) < MAX_RATIO * cpu_seconds(SIZE) + 0.02 for _ in range(8)
    )  # a busy machine slows some tries


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMED)
def test_stream_is_read_in_linear_time(name: str) -> None:
    family, make = STREAMED[name]

    def cpu_seconds(n: int) -> float:
        body = ALL[family].encode(make(n))
        pieces = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]

        def work() -> None:
            accumulator = ChunkAccumulator()
            for chunk in read(ALL[family].call(request(), route(family)).open_stream(), *pieces):
                accumulator.add(chunk)
            accumulator.completion()

        return cpu(work)

    assert any(
        cpu_seconds(FACTOR * SIZE) < MAX_RATIO * cpu_seconds(SIZE) + 0.02 for _ in range(8)
    )  # a busy machine slows some tries


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_more_than_the_maximum_of_choices_is_refused() -> None:
    choices = [{"index": n, "message": {"content": "x"}, "delta": {"content": "x"}} for n in range(MAX_CHOICES + 1)]
    candidates = [{"index": n, "content": {"parts": [{"text": "x"}]}} for n in range(MAX_CHOICES + 1)]
    for family, answer in (("openai", {"choices": choices}), ("gemini", {"candidates": candidates})):
        with pytest.raises(UpstreamError, match="more than 128 choices"):
            ALL[family].call(request(), route(family)).parse_response(json.dumps(answer).encode())
        with pytest.raises(UpstreamError, match="more than 128 choices"):
            read(ALL[family].call(request(), route(family)).open_stream(), ALL[family].encode([answer]))


def test_choices_in_separate_events_are_counted() -> None:
    events = [{"choices": [{"index": n, "delta": {"content": "x"}}]} for n in range(MAX_CHOICES + 1)]
    with pytest.raises(UpstreamError, match="more than 128 choices"):
        read(ALL["openai"].call(request(), route("openai")).open_stream(), ALL["openai"].encode(events))


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("part", ["{}", "[]", '{"a":1}'])
def test_response_with_too_many_objects_is_refused_before_parsing(family: str, part: str) -> None:
    body = b'{"choices":[' + b",".join([part.encode()] * (MAX_CONTAINERS + 1)) + b"]}"
    began = time.process_time()
    with pytest.raises(GatewayError, match="too many objects"):
        ALL[family].call(request(), route(family)).parse_response(body)
    ALL[family].parse_error(500, {}, body)
    assert time.process_time() - began < 1
