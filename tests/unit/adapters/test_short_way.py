"""The usual chunk of each provider is read in the short way, as it comes on the wire.

Sources: the recorded streams in tests/fixtures, and the streaming pages of each provider's API reference.
"""

import json
from contextlib import suppress
from typing import Any

import pytest

from support.families import ALL, sse
from tollgate.gateway.chat import Chunk, TextChunk
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage

ENVELOPE: Json = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
FILTERS: Json = {"hate": {"filtered": False, "severity": "safe"}}


def openai_event(delta: Json, beside: Json | None = None, **extra: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **(beside or {})}
    return {**ENVELOPE, "choices": [choice], **extra}


DIALECTS: dict[str, Json] = {
    "openai": openai_event(
        {"content": "a"},
        {"logprobs": None},
        service_tier="default",
        system_fingerprint="f",
        usage=None,
        obfuscation="x",
    ),
    "azure": openai_event(
        {"content": "a"}, {"logprobs": None, "content_filter_results": FILTERS}, system_fingerprint="f", usage=None
    ),
    "groq": openai_event({"content": "a"}, {"logprobs": None}, system_fingerprint="f", x_groq=None),
    "groq-reasoning": openai_event({"reasoning": "a"}, {"logprobs": None}, system_fingerprint="f"),
    "deepseek-reasoning": openai_event({"content": None, "reasoning_content": "a"}, {"logprobs": None}, usage=None),
    "mistral": openai_event({"content": "a"}, p="abcdef"),
    "vllm": openai_event({"content": "a", "reasoning_content": None}, {"logprobs": None, "token_ids": None}),
    "vllm-usage": openai_event({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}),
    "ollama": openai_event({"role": "assistant", "content": "a"}, system_fingerprint="fp_ollama"),
    "openrouter": openai_event(
        {"role": "assistant", "content": "a"}, {"native_finish_reason": None, "logprobs": None}, provider="OpenAI"
    ),
    "openrouter-reasoning": openai_event({"role": "assistant", "content": "", "reasoning": "a"}, provider="OpenAI"),
    "sglang": openai_event(
        {"role": None, "content": "a", "reasoning_content": None, "tool_calls": None}, {"matched_stop": None}
    ),
    "together": openai_event({"content": "a", "tool_calls": []}, {"text": "a", "seed": None}, usage=None),
    "arguments": openai_event({"tool_calls": [{"index": 0, "function": {"arguments": "a"}}]}, {"logprobs": None}),
    "arguments-with-nulls": openai_event(
        {"content": None, "tool_calls": [{"index": 0, "id": None, "function": {"name": None, "arguments": "a"}}]}
    ),
}
FIRST = openai_event(
    {"role": "assistant", "tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}]}
)


def last_chunk(family: str, *events: Json) -> Chunk:
    return [*ALL[family].open("text").feed(sse(events))][-1]


@pytest.mark.parametrize("event", DIALECTS.values(), ids=DIALECTS)
def test_dialect_of_openai_takes_the_short_way(event: Json) -> None:
    chunk = last_chunk("openai", FIRST, event)
    assert isinstance(chunk, TextChunk)
    assert chunk.text == "a"


def test_usage_in_every_chunk_is_read_in_the_short_way() -> None:
    assert last_chunk("openai", FIRST, DIALECTS["vllm-usage"]).usage == Usage(5, 3)


@pytest.mark.parametrize(
    "other",
    [
        {**DIALECTS["openai"], "error": {"message": "m"}},
        openai_event({"content": "a"}, {"finish_reason": "stop"}),
        openai_event({"content": "a"}, {"logprobs": {"content": []}}),
        openai_event({"content": "a", "refusal": "b"}),
        openai_event({"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}),
        openai_event({"tool_calls": [{"index": 1, "id": "u", "function": {"name": "f", "arguments": "a"}}]}),
        openai_event({"tool_calls": [{"index": 0, "extra_content": 1, "function": {"arguments": "a"}}]}),
        openai_event({"content": "a"}, {"index": 1}),
    ],
)
def test_anything_else_takes_the_long_way(other: Json) -> None:
    parser = ALL["openai"].open("text")
    chunks = [*parser.feed(sse([FIRST]))]
    with suppress(UpstreamError):
        chunks += parser.feed(sse([other]))
    assert not any(isinstance(chunk, TextChunk) for chunk in chunks)


def test_numbers_and_truths_that_are_equal_are_not_taken_for_one_another() -> None:
    parser = ALL["openai"].open("text")
    values: list[Any] = [True, 1, 1.0, True]
    events = [FIRST, *(openai_event({"content": "a"}, {"flag": value}) for value in values)]
    chunks = [*parser.feed(sse(events))][1:]
    assert [json.dumps(chunk.choices[0]["flag"]) for chunk in chunks] == ["true", "1", "1.0", "true"]


@pytest.mark.parametrize(("thought", "name"), [({}, "content"), ({"thought": True}, "reasoning_content")])
def test_text_and_thoughts_of_gemini_take_the_short_way(thought: Json, name: str) -> None:
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 4, "totalTokenCount": 11, "serviceTier": "FLEX"}
    candidate = {"content": {"parts": [{"text": "a", **thought}], "role": "model"}, "index": 0, "finishReason": "STOP"}
    event = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g", "responseId": "r"}
    first, chunk = ALL["gemini"].open("text").feed(sse([event, event]))
    assert not isinstance(first, TextChunk)
    assert isinstance(chunk, TextChunk)
    assert (chunk.place.name, chunk.text, chunk.usage) == (name, "a", Usage(7, 4))
    assert chunk.extra == {"service_tier": "flex"}


def test_arguments_and_thinking_of_claude_take_the_short_way() -> None:
    start = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f"}},
    ]
    for delta in (
        {"type": "input_json_delta", "partial_json": "a"},
        {"type": "thinking_delta", "thinking": "a"},
        {"type": "text_delta", "text": "a"},
    ):
        chunk = last_chunk("anthropic", *start, {"type": "content_block_delta", "index": 0, "delta": delta})
        assert isinstance(chunk, TextChunk)
        assert chunk.text == "a"
