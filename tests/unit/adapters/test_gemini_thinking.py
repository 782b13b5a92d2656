"""Thinking in requests to generateContent."""

import json
from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.gemini_requests import BUDGET, LEVEL, build

LOW_HIGH: Json = {"thinking": "always", "efforts": ("low", "high")}
THINKING: list[tuple[Json, Json, Any, tuple[str, ...]]] = [
    (BUDGET, {}, None, ()),
    (BUDGET, {"reasoning_effort": "none"}, {"thinkingBudget": 0}, ()),
    (BUDGET, {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingBudget": 2048}, ()),
    (BUDGET, {"reasoning_effort": "max"}, {"includeThoughts": True, "thinkingBudget": 24576}, ()),
    (BUDGET, {"reasoning_effort": "high", "max_tokens": 4000}, {"includeThoughts": True, "thinkingBudget": 2000}, ()),
    (BUDGET, {"reasoning_effort": "high", "max_tokens": 100}, {"includeThoughts": True, "thinkingBudget": 512}, ()),
    (BUDGET, {"reasoning": {"enabled": True}}, {"includeThoughts": True, "thinkingBudget": -1}, ()),
    (BUDGET, {"reasoning": {"max_tokens": 5000}}, {"includeThoughts": True, "thinkingBudget": 5000}, ()),
    (
        BUDGET,
        {"reasoning": {"max_tokens": 99}},
        {"includeThoughts": True, "thinkingBudget": 512},
        ("reasoning.max_tokens=512",),
    ),
    (
        BUDGET,
        {"reasoning": {"effort": "low", "exclude": True}},
        {"includeThoughts": False, "thinkingBudget": 2048},
        (),
    ),
    (
        BUDGET,
        {"thinking": {"type": "enabled", "budget_tokens": 3000}},
        {"includeThoughts": True, "thinkingBudget": 3000},
        (),
    ),
    (LEVEL, {}, None, ()),
    (LEVEL, {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}, ("reasoning_effort=minimal",)),
    (LEVEL, {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "MINIMAL"}, ()),
    (LEVEL, {"reasoning": {"enabled": True}}, {"includeThoughts": True}, ()),
    (LEVEL, {"reasoning": {"max_tokens": 5000}}, {"includeThoughts": True}, ("reasoning.max_tokens",)),
    (
        LOW_HIGH,
        {"reasoning_effort": "medium"},
        {"includeThoughts": True, "thinkingLevel": "LOW"},
        ("reasoning_effort=low",),
    ),
    ({}, {"reasoning_effort": "low"}, None, ("reasoning_effort",)),
    ({}, {"reasoning_effort": "none"}, None, ()),
]


@pytest.mark.parametrize(("capabilities", "fields", "native", "reported"), THINKING)
def test_thinking_is_by_budget_or_level(
    capabilities: Json, fields: Json, native: Any, reported: tuple[str, ...]
) -> None:
    built = build(fields, capabilities)
    assert json.loads(built.body).get("generationConfig", {}).get("thinkingConfig") == native
    assert built.dropped == reported
