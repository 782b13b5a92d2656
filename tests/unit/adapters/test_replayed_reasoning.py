"""Reasoning that clients of Messages and of Responses send back in opaque fields."""

import base64
import json
import tracemalloc
from typing import Any

import pytest

from support.growth import MAX_GROWTH, growth
from tollgate.adapters.clients.anthropic_conversation import chat_messages
from tollgate.adapters.clients.responses_items import ItemReader
from tollgate.adapters.replayed_reasoning import read_reasoning, write_reasoning
from tollgate.adapters.tool_call_state import CLAUDE, attach_state, details_of_call

DETAILS = [{"type": "reasoning.text", "text": "[1,2,{}]" * 100, "signature": "s", "format": "f", "index": 0}]
FORGED = base64.b64encode(b'{"details":[' + b"{}," * 500_000 + b"{}]}").decode()


def of_messages(field: str, number: int) -> list[Any]:
    """An assistant message with this many blocks of reasoning of another provider."""
    thinking = {"type": "thinking", "thinking": "", "signature": field}
    return chat_messages([{"role": "assistant", "content": [thinking] * number + [{"type": "text", "text": "x"}]}])


def of_responses(field: str, number: int) -> list[Any]:
    """The same as items."""
    reader = ItemReader()
    reader.read([{"type": "reasoning", "encrypted_content": field}] * number + [{"role": "assistant", "content": "x"}])
    return reader.messages


@pytest.mark.parametrize("read", [of_messages, of_responses])
def test_all_reasoning_of_a_message_comes_back_in_linear_time(read: Any) -> None:
    field = write_reasoning("openai", DETAILS, "why " * 1000)
    (message,) = read(field, 3)
    assert (message["reasoning_details"], message["reasoning_content"]) == (DETAILS * 3, "why " * 3000)
    assert growth(lambda number: lambda: read(field, number), 800) < MAX_GROWTH


@pytest.mark.parametrize("text", ["", "a,[{" * 1000])
def test_what_is_written_is_read(text: str) -> None:
    read = read_reasoning(write_reasoning("openai", DETAILS, text))
    assert read is not None
    assert (read.family, read.text, read.details) == ("openai", text, DETAILS)


def test_forged_fields_are_not_parsed() -> None:
    tracemalloc.start()
    read = read_reasoning(f"tollgate.gemini.{FORGED}")
    details = details_of_call({"id": attach_state("c", CLAUDE, FORGED)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read is not None
    assert [*read.details, *details] == []
    assert peak < 8 * len(FORGED)


@pytest.mark.parametrize("data", ["", "%", "é", base64.b64encode(b"[" * 100_000).decode(), json.dumps({})])
def test_field_that_is_no_json_has_no_reasoning(data: str) -> None:
    read = read_reasoning(f"tollgate.gemini.{data}", "shown")
    assert read is not None
    assert (read.text, read.details) == ("shown", [])
