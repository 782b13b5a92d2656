"""Usage and cost in responses of OpenAI and compatible servers."""

from decimal import Decimal

import pytest

from tollgate.gateway.types import Json, Usage
from unit.adapters.openai_responses import DONE, OPENAI_USAGE, choice, chunk, event, parsed, stream

USAGES: dict[str, tuple[Json, Usage | None]] = {
    "openai": ({"usage": OPENAI_USAGE}, Usage(9, 3, 4, 2, 1, 2, 1, 1, 1)),
    "deepseek": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4}},
        Usage(9, 3, cached_tokens=4),
    ),
    "groq": ({"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 3}}}, Usage(9, 3)),
    "openrouter": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": 0.00014}},
        Usage(9, 3, cost_usd=Decimal("0.00014")),
    ),
    "moonshot": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cached_tokens": 4}},
        Usage(9, 3, cached_tokens=4),
    ),
    "xai": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 5},
            }
        },
        Usage(9, 8, reasoning_tokens=5),
    ),
    "xai-without-total": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 5}}},
        Usage(9, 8, reasoning_tokens=5),
    ),
    "google": ({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 20}}, Usage(9, 11)),
    "cached-apart": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 112, "prompt_cache_hit_tokens": 100}},
        Usage(109, 3, cached_tokens=100),
    ),
    "other-names": (
        {
            "usage": {
                "input_tokens": 9,
                "output_tokens": 3,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 2},
            }
        },
        Usage(9, 3, cached_tokens=4, reasoning_tokens=2),
    ),
    "total-smaller": ({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 2}}, Usage(9, 3)),
    "whole-floats": ({"usage": {"prompt_tokens": 9.0, "completion_tokens": 3.0}}, Usage(9, 3)),
    "zeros": ({"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}}, None),
    "junk": ({"usage": {"prompt_tokens": -1, "completion_tokens": True, "total_tokens": "12"}}, None),
    "half-junk": ({"usage": {"prompt_tokens": 9, "completion_tokens": "3"}}, Usage(9, 0)),
    "perplexity": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": {"total_cost": 0.006}}},
        Usage(9, 3, cost_usd=Decimal("0.006")),
    ),
    "own-key": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "cost": 0.001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.02},
            }
        },
        Usage(9, 3, cost_usd=Decimal("0.021")),
    ),
    "own-key-untold": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": 0, "is_byok": True}},
        Usage(9, 3),
    ),
    "openrouter-free": ({"usage": {"prompt_tokens": 9, "cost": 0}}, Usage(9, 0, cost_usd=Decimal(0))),
    "cost-alone": ({"usage": {"cost": 1e-7}}, Usage(cost_usd=Decimal("1E-7"))),
    "details-null": ({"usage": {"prompt_tokens": 9, "prompt_tokens_details": None}}, Usage(9, 0)),
    "none": ({}, None),
    "null": ({"usage": None}, None),
    "empty": ({"usage": {}}, None),
    "nothing-counted": ({"usage": {"queue_time": 0.1}}, None),
    "counted-null": ({"usage": {"prompt_tokens": None, "completion_tokens": None}}, None),
    "cost-true": ({"usage": {"prompt_tokens": 9, "cost": True}}, Usage(9, 0)),
    "cost-negative": ({"usage": {"prompt_tokens": 9, "cost": -1}}, Usage(9, 0)),
    "cost-absurd": ({"usage": {"prompt_tokens": 9, "cost": 1e300}}, Usage(9, 0)),
    "cost-text": ({"usage": {"prompt_tokens": 9, "cost": "1"}}, Usage(9, 0)),
    "tokens-absurd": ({"usage": {"prompt_tokens": 10**40, "completion_tokens": 3}}, Usage(0, 3)),
}


def test_usage_in_the_last_choice_is_read_and_removed() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    answer = parsed(choice(usage=usage))
    assert (answer.usage, "usage" in answer.choices[0]) == (Usage(9, 3), False)
    last: Json = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    chunks = stream(chunk({"content": "x"}), event({"choices": [last]}), DONE)
    assert [got.usage for got in chunks if got.usage is not None] == [Usage(9, 3)]
    assert all("usage" not in step for got in chunks for step in got.choices)


@pytest.mark.parametrize("name", USAGES)
def test_usage_is_read_in_every_dialect(name: str) -> None:
    fields, usage = USAGES[name]
    assert parsed(choice(), **fields).usage == usage
    chunks = stream(chunk({"content": "x"}), chunk({}, "stop", **fields), DONE)
    assert [c.usage for c in chunks if c.usage is not None] == ([] if usage is None else [usage])
