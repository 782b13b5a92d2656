"""Thinking in requests to the Messages API."""

import json
from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.anthropic_requests import (
    ALWAYS,
    HAIKU,
    OPUS,
    SCHEMA,
    SONNET,
    assistant,
    build,
    call,
    dropped,
    in_json,
    refused,
    result,
    sent,
    tool,
    user,
)


@pytest.mark.parametrize(
    ("effort", "budget"), [("minimal", 1024), ("low", 2048), ("medium", 8192), ("high", 16384), ("max", 32000)]
)
def test_effort_is_a_budget_where_the_model_has_budgets(effort: str, budget: int) -> None:
    body = sent({"reasoning_effort": effort}, HAIKU)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["thinking"]["budget_tokens"] < body["max_tokens"]


def test_budget_is_at_most_half_of_the_output_limit() -> None:
    assert sent({"reasoning_effort": "high", "max_tokens": 4000}, HAIKU)["thinking"]["budget_tokens"] == 2000


def test_thinking_without_room_for_the_minimum_budget_is_dropped_and_reported() -> None:
    assert sent({"reasoning_effort": "high", "max_tokens": 1500}, HAIKU)["thinking"]["budget_tokens"] == 1024
    fields = {"reasoning_effort": "high", "max_tokens": 1024}
    assert "thinking" not in sent(fields, HAIKU)
    assert dropped(fields, HAIKU) == ("reasoning_effort",)


def test_thinking_is_dropped_with_a_forced_tool_if_unsupported() -> None:
    fields: Json = {"reasoning_effort": "high", "tools": [tool()], "tool_choice": "required"}
    for model in (HAIKU, SONNET):  # up to Claude 4.7: langchain-ai/langchain-aws PR 1141 and 1151
        assert not {"thinking", "output_config"} & sent(fields, model).keys()
        assert dropped(fields, model) == ("reasoning_effort",)
    assert sent(fields, OPUS)["thinking"]["type"] == "adaptive"


def test_thinking_takes_precedence_over_sampling() -> None:
    fields = {"reasoning_effort": "high", "temperature": 0.2, "top_k": 3}
    assert dropped(fields, HAIKU) == ("temperature", "top_k")
    assert "temperature" not in sent(fields, HAIKU)


def test_effort_is_sent_to_adaptive_models() -> None:
    body = sent({"reasoning_effort": "xhigh"}, OPUS)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "xhigh"}


@pytest.mark.parametrize(("effort", "native"), [("minimal", "low"), ("xhigh", "high")])
def test_unsupported_effort_is_the_next_lower_and_reported(effort: str, native: str) -> None:
    assert sent({"reasoning_effort": effort}, SONNET)["output_config"] == {"effort": native}
    assert dropped({"reasoning_effort": effort}, SONNET) == (f"reasoning_effort={native}",)


def test_effort_and_schema_share_the_output_config() -> None:
    body = sent({**in_json(SCHEMA), "reasoning_effort": "low"}, SONNET)
    assert set(body["output_config"]) == {"format", "effort"}


def test_effort_none_disables_thinking_if_possible() -> None:
    assert sent({"reasoning_effort": "none"}, SONNET)["thinking"] == {"type": "disabled"}
    assert "thinking" not in sent({"reasoning_effort": "none"}, HAIKU)
    assert "thinking" not in sent({"reasoning_effort": "none"})
    body = sent({"reasoning_effort": "none"}, ALWAYS)
    assert (body["output_config"], "thinking" in body) == ({"effort": "low"}, False)
    assert dropped({"reasoning_effort": "none"}, ALWAYS) == ("reasoning_effort=low",)


def test_effort_of_a_model_that_does_not_think_is_dropped_and_reported() -> None:
    assert dropped({"reasoning_effort": "high"}) == ("reasoning_effort",)


def test_invalid_effort_is_refused() -> None:
    error = refused({"reasoning_effort": "huge"}, SONNET)
    assert (error.code, error.param) == ("invalid_value", "reasoning_effort")


BUDGET: Json = {"type": "enabled", "budget_tokens": 2048}


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning": {"max_tokens": 3000}}, {"type": "enabled", "budget_tokens": 3000}),
        ({"reasoning": {"enabled": True}}, {"type": "enabled", "budget_tokens": 8192}),
        ({"reasoning": {"exclude": True, "max_tokens": 2048}}, {**BUDGET, "display": "omitted"}),
        ({"reasoning": {"effort": "low"}}, BUDGET),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"type": "enabled", "budget_tokens": 2000}),
        ({"reasoning": {"enabled": False}}, None),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_openrouters_and_anthropics_thinking_parameters_are_read(fields: Json, thinking: Json | None) -> None:
    assert sent(fields, HAIKU).get("thinking") == thinking
    assert dropped(fields, HAIKU) == ()


def test_budget_for_a_model_without_budgets_is_dropped_and_reported() -> None:
    assert dropped({"reasoning": {"max_tokens": 3000}}, SONNET) == ("reasoning.max_tokens",)
    assert sent({"reasoning": {"max_tokens": 3000}}, SONNET)["thinking"]["type"] == "adaptive"


SIGNED: list[Json] = [
    {"type": "reasoning.text", "text": "hm", "signature": "S1", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "D", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.text", "text": "foreign", "signature": "S", "format": "google-gemini-v1", "index": 2},
    {"type": "reasoning.text", "text": "unsigned", "index": 3},
]
BLOCKS = [{"type": "thinking", "thinking": "hm", "signature": "S1"}, {"type": "redacted_thinking", "data": "D"}]


def looped(**more: Any) -> list[Json]:
    return [user("Hi"), assistant("Wait.", tool_calls=[call("c1")], **more), result("c1")]


@pytest.mark.parametrize("capabilities", [HAIKU, SONNET, ALWAYS])
def test_signed_thinking_from_the_client_is_sent_first(capabilities: Json) -> None:
    fields: Json = {"messages": looped(reasoning_details=SIGNED), "tools": [tool()], "reasoning_effort": "low"}
    blocks = sent(fields, capabilities)["messages"][1]["content"]
    assert blocks[:2] == BLOCKS
    assert [block["type"] for block in blocks[2:]] == ["text", "tool_use"]
    assert dropped(fields, capabilities) == ()


def test_turn_without_its_thinking_disables_budget_thinking() -> None:
    fields: Json = {"messages": looped(reasoning_content="hm"), "tools": [tool()], "reasoning_effort": "low"}
    assert "thinking" not in sent(fields, HAIKU)
    assert dropped(fields, HAIKU) == ("reasoning_effort",)


@pytest.mark.parametrize("capabilities", [SONNET, OPUS, ALWAYS])
def test_turn_without_its_thinking_keeps_adaptive_thinking(capabilities: Json) -> None:
    fields: Json = {"messages": looped(), "tools": [tool()], "reasoning_effort": "low"}
    assert sent(fields, capabilities)["thinking"]["type"] == "adaptive"
    assert dropped(fields, capabilities) == ()


def test_only_the_first_message_of_a_turn_must_be_signed() -> None:
    second = [assistant(None, tool_calls=[call("c2")]), result("c2")]
    fields: Json = {"messages": [*looped(reasoning_details=SIGNED), *second], "reasoning_effort": "low"}
    assert "thinking" in sent({**fields, "tools": [tool()]}, HAIKU)


def test_finished_turn_needs_no_thinking() -> None:
    messages = [*looped(), assistant("Done."), user("And?")]
    assert "thinking" in sent({"messages": messages, "reasoning_effort": "low", "tools": [tool()]}, HAIKU)


@pytest.mark.parametrize(("capabilities", "effort"), [(HAIKU, None), (SONNET, "none"), ({}, "low")])
def test_thinking_is_not_sent_back_if_the_model_does_not_think(capabilities: Json, effort: str | None) -> None:
    fields: Json = {"messages": looped(reasoning_details=SIGNED), "reasoning_effort": effort}
    assert [block["type"] for block in sent(fields, capabilities)["messages"][1]["content"]] == ["text", "tool_use"]


def test_bound_thinking_is_dropped_by_the_provider_on_mismatch() -> None:
    built = build({"messages": looped(reasoning_details=SIGNED)}, ALWAYS)
    binding = {"prefix_mismatch_behavior": "drop_block"}
    assert json.loads(built.body)["thinking"] == {"type": "adaptive", "block_binding": binding}
    assert built.headers["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert "anthropic-beta" not in build({"messages": looped(reasoning_details=SIGNED)}, OPUS).headers
