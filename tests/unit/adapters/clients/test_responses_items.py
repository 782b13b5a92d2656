"""Input items of Responses as messages: what the assistant said between its calls stays in their turn."""

from typing import Any

import pytest

from tollgate.adapters.clients.responses_items import ItemReader
from tollgate.adapters.replayed_reasoning import write_reasoning
from tollgate.gateway.types import Json

*CALLS, THIRD = ({"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"} for call_id in "abc")
*OUTPUTS, LAST = ({"type": "function_call_output", "call_id": call_id, "output": "9"} for call_id in "abc")
REASONING: Json = {"type": "reasoning", "encrypted_content": write_reasoning("openai", [], "why")}
TEXT: Json = {"role": "assistant", "content": "first"}
PARTS: Json = {
    "role": "assistant",
    "content": [{"type": "output_text", "text": "then"}, {"type": "refusal", "refusal": "no"}],
}


def read(*items: Json) -> list[Json]:
    reader = ItemReader()
    reader.read(items)
    return reader.messages


@pytest.mark.parametrize(
    ("between", "fields"),
    [
        ((), {"content": None}),
        ((REASONING, REASONING), {"content": None, "reasoning_content": "whywhy"}),
        ((TEXT,), {"content": "first"}),
        (
            (TEXT, REASONING, PARTS),
            {
                "content": [
                    {"type": "text", "text": "first"},
                    {"type": "text", "text": "then"},
                    {"type": "refusal", "refusal": "no"},
                ],
                "reasoning_content": "why",
            },
        ),
    ],
)
def test_calls_stay_in_one_turn_until_their_outputs(between: tuple[Json, ...], fields: dict[str, Any]) -> None:
    turn, *outputs = read(CALLS[0], *between, CALLS[1], *OUTPUTS)
    assert [call["id"] for call in turn.pop("tool_calls")] == ["a", "b"]
    assert turn == {"role": "assistant", **fields}
    assert [output["tool_call_id"] for output in outputs] == ["a", "b"]


USER: Json = {"role": "user", "content": "now"}


@pytest.mark.parametrize(
    ("items", "roles"),
    [
        ((CALLS[0], USER, CALLS[1], *OUTPUTS), ["assistant", "tool", "tool", "user"]),
        ((*CALLS, OUTPUTS[0], USER, OUTPUTS[1]), ["assistant", "tool", "tool", "user"]),
        ((*CALLS, OUTPUTS[0], TEXT, USER, OUTPUTS[1]), ["assistant", "tool", "tool", "assistant", "user"]),
        ((*CALLS, OUTPUTS[0], THIRD, OUTPUTS[1], LAST), ["assistant", "tool", "tool", "assistant", "tool"]),
    ],
)
def test_outputs_follow_their_calls_at_once(items: tuple[Json, ...], roles: list[str]) -> None:
    assert [message["role"] for message in read(*items)] == roles


def test_outputs_end_a_turn() -> None:
    roles = [message["role"] for message in read(CALLS[0], OUTPUTS[0], REASONING, CALLS[1], OUTPUTS[1], TEXT)]
    assert roles == ["assistant", "tool", "assistant", "tool", "assistant"]


def test_texts_without_calls_are_messages_of_their_own() -> None:
    assert [message["content"] for message in read(TEXT, REASONING, TEXT, TEXT)] == ["first"] * 3
