"""Counts with their own prices, and the service tier, in whole and in streamed responses of every family."""

import json
from typing import Any, cast

import pytest

from support.families import ALL, read
from tollgate.gateway.types import Json, Usage


def changed(value: Any, usage_field: str, more: Json) -> Any:
    """The same response or events, with more fields in each object under this name."""
    if isinstance(value, list):
        return [changed(item, usage_field, more) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    result_value = {name: changed(inner, usage_field, more) for name, inner in cast(Json, value).items()}
    return (
        {**result_value, usage_field: {**result_value[usage_field], **more}}
        if usage_field in result_value
        else result_value
    )


def both(family: str, name: str, usage_field: str, more: Json) -> list[tuple[Usage | None, Json]]:
    """Usage and extra fields of the recorded response with these changes, whole and streamed."""
    of = ALL[family]
    body = json.dumps(changed(json.loads(of.whole(name)), usage_field, more)).encode()
    whole = of.call(*of.request_for(name)).parse_response(body)
    chunks = read(of.open(name), of.encode(changed(of.events(name), usage_field, more)))
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    return [(whole.usage, dict(whole.extra)), (usages[-1], {k: v for chunk in chunks for k, v in chunk.extra.items()})]


@pytest.mark.parametrize(
    ("family", "field", "more"),
    [
        (
            "anthropic",
            "usage",
            {"cache_creation": {"ephemeral_5m_input_tokens": 156, "ephemeral_1h_input_tokens": 300}},
        ),
        ("bedrock", "usage", {"cacheDetails": [{"ttl": "5m", "inputTokens": 156}, {"ttl": "1h", "inputTokens": 300}]}),
    ],
)
def test_one_hour_cache_writes_are_counted_separately(family: str, field: str, more: Json) -> None:
    for usage, _ in both(family, "cached", field, more):
        assert usage is not None
        assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (456, 300)


def test_cached_audio_is_counted_separately() -> None:
    more = {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}, {"modality": "TEXT", "tokenCount": 5}]}
    for usage, _ in both("gemini", "cached", "usageMetadata", more):
        assert usage is not None
        assert usage.cached_audio_tokens == 7


@pytest.mark.parametrize(("content", "tier"), [("flex", "flex"), ("PRIORITY", "priority"), ("standard", "default")])
def test_gemini_reports_the_tier_in_its_usage(content: str, tier: str) -> None:
    for _, extra in both("gemini", "text", "usageMetadata", {"serviceTier": content}):
        assert extra["service_tier"] == tier
