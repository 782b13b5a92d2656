"""Thinking in requests to Converse."""

import json

import pytest

from tollgate.gateway.types import Json
from unit.adapters.bedrock_requests import (
    ADAPTIVE,
    ALWAYS,
    CLAUDE,
    LOOP,
    NOVA,
    SCHEMA,
    assistant,
    call,
    dropped,
    in_json,
    result,
    sent,
    tool,
    user,
)

BUDGET: Json = {**CLAUDE, "thinking": "budget", "max_output_tokens": 64000}


def test_effort_is_a_budget_where_the_model_has_budgets() -> None:
    body = sent({"reasoning_effort": "low", "temperature": 0.2}, BUDGET)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert body["inferenceConfig"] == {"maxTokens": 64000}
    assert dropped({"reasoning_effort": "low", "temperature": 0.2}, BUDGET) == ("temperature",)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1024},
        {"tools": [tool()], "tool_choice": "required"},
        {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False},
        {"messages": [user("a"), assistant("b")]},
        {"messages": LOOP, "tools": [tool()]},
    ],
)
def test_impossible_thinking_budget_is_dropped_and_reported(fields: Json) -> None:
    assert "thinking" not in json.dumps(sent({"reasoning_effort": "high", **fields}, BUDGET))
    assert dropped({"reasoning_effort": "high", **fields}, BUDGET) == ("reasoning_effort",)


def test_effort_is_sent_to_adaptive_models() -> None:
    body = sent({"reasoning_effort": "xhigh", **in_json(SCHEMA)}, ADAPTIVE)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive", "display": "summarized"}}
    assert body["outputConfig"].keys() == {"textFormat", "effort"}
    assert body["outputConfig"]["effort"] == "high"
    assert dropped({"reasoning_effort": "xhigh"}, ADAPTIVE) == ("reasoning_effort=high",)


def test_effort_none_disables_thinking_if_possible() -> None:
    fields = {"reasoning_effort": "none"}
    assert sent(fields, ADAPTIVE)["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    assert sent(fields, BUDGET) == sent(fields, NOVA) == sent({})
    assert sent(fields, ALWAYS)["outputConfig"] == {"effort": "low"}


def test_effort_of_a_model_that_does_not_think_is_dropped_and_reported() -> None:
    assert dropped({"reasoning_effort": "high"}, NOVA) == ("reasoning_effort",)


SIGNED: list[Json] = [
    {"type": "reasoning.text", "text": "hm", "signature": "S1", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "RA==", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.text", "text": "foreign", "signature": "S", "format": "google-gemini-v1", "index": 2},
    {"type": "reasoning.text", "text": "unsigned", "index": 3},
]


@pytest.mark.parametrize("of", [BUDGET, ADAPTIVE, ALWAYS])
def test_signed_thinking_from_the_client_is_sent_first(of: Json) -> None:
    looped = [user("Hi"), assistant(None, tool_calls=[call("c1")], reasoning_details=SIGNED), result("c1")]
    fields: Json = {"messages": looped, "tools": [tool()], "reasoning_effort": "low"}
    assert sent(fields, of)["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S1"}}},
        {"reasoningContent": {"redactedContent": "RA=="}},
    ]
    assert dropped(fields, of) == ()
    assert "S1" not in json.dumps(sent({**fields, "reasoning_effort": "none"}, BUDGET))
