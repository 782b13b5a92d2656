"""What the fields `provider`, `models` and `route` of a request choose among the routes of a model."""

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.prices import Prices
from tollgate.gateway.route_preferences import read_preferences
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import UNKNOWN, Speed

DAY = datetime.date(2026, 1, 1)


def route(name: str, usd: int | None, *, keeps_prompts: bool = True, quantization: str | None = None) -> Route:
    row = RouteRow(provider=name, model="m")
    model = Model(id="m", created=DAY, owned_by="o", context_length=8, routes=(row,))
    collection = "allow" if keeps_prompts else "deny"
    provider = Provider(name=name, family="openai", credential="KEY", data_collection=collection)
    price = Decimal(usd or 0)
    prices = Prices(input_usd_per_mtok=price, output_usd_per_mtok=price * 2, source="s", date=DAY)
    return Route(model, provider, "m", None if usd is None else prices, quantization=quantization)


ROUTES = [route("a", 3), route("b", 1, keeps_prompts=False), route("c", None, quantization="fp8")]


SPEEDS = {"a": Speed(latency=0.5, throughput=20), "b": Speed(latency=1.5, throughput=80), "c": UNKNOWN}


def chosen(provider: dict[str, Any]) -> str:
    preferences = read_preferences({"provider": provider})
    assert preferences is not None
    assert preferences.provider is not None
    routes = preferences.provider.chosen(ROUTES, lambda route: SPEEDS[route.provider.name])
    return "".join(each.provider.name for each in routes)


@pytest.mark.parametrize(
    ("provider", "routes"),
    [
        ({}, "abc"),
        ({"options": {"a": 1}, "enforce_distillable_text": False}, "abc"),
        ({"order": ["c", "nobody", "B"]}, "cba"),
        ({"order": ["c/turbo"]}, "cab"),
        ({"order": ["c", "b"], "allow_fallbacks": False}, "cb"),
        ({"only": ["A", "c"]}, "ac"),
        ({"only": ["nobody"]}, ""),
        ({"ignore": ["a"]}, "bc"),
        ({"sort": "price"}, "bac"),
        ({"sort": "price", "order": ["c"]}, "cba"),
        ({"max_price": {"prompt": 1}}, "b"),
        ({"max_price": {"completion": 6}}, "ab"),
        ({"max_price": {"prompt": 0.5}}, ""),
        ({"sort": {"by": "price"}}, "bac"),
        ({"sort": "throughput"}, "cba"),
        ({"sort": "latency"}, "cab"),
        ({"sort": {"by": "throughput", "partition": "model", "order": ["a"]}}, "cba"),
        ({"sort": "throughput", "order": ["a"]}, "acb"),
        ({"preferred_min_throughput": 50}, "bca"),
        ({"preferred_min_throughput": {"p90": 90, "p50": 50}}, "bca"),
        ({"preferred_min_throughput": {"p90": 90}}, "cab"),
        ({"preferred_max_latency": 1}, "acb"),
        ({"preferred_max_latency": 1, "sort": "price"}, "acb"),
        ({"preferred_max_latency": {"p99": None}}, "abc"),
        ({"max_price": {"prompt": "1"}}, "b"),
        ({"max_price": {"image": 0}}, "ab"),
        ({"max_price": {"request": 0}}, "abc"),
        ({"data_collection": "deny"}, "b"),
        ({"zdr": True}, "b"),
        ({"quantizations": ["fp8"]}, "c"),
        ({"quantizations": ["unknown"]}, "ab"),
    ],
)
def test_routes_that_fit_are_chosen_in_the_preferred_order(provider: dict[str, Any], routes: str) -> None:
    assert chosen(provider) == routes


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"provider": []}, "provider"),
        ({"provider": {"order": "a"}}, "provider.order"),
        ({"provider": {"only": [1]}}, "provider.only[0]"),
        ({"provider": {"ignore": [""]}}, "provider.ignore[0]"),
        ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks"),
        ({"provider": {"require_parameters": 1}}, "provider.require_parameters"),
        ({"provider": {"sort": "speed"}}, "provider.sort"),
        ({"provider": {"sort": {"by": "speed"}}}, "provider.sort.by"),
        ({"provider": {"sort": {}}}, "provider.sort.by"),
        ({"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt"),
        ({"provider": {"max_price": {"image": "much"}}}, "provider.max_price.image"),
        ({"provider": {"max_price": {"audio": "NaN"}}}, "provider.max_price.audio"),
        ({"provider": {"preferred_max_latency": {"p33": 1}}}, "provider.preferred_max_latency.p33"),
        ({"provider": {"data_collection": "maybe"}}, "provider.data_collection"),
        ({"provider": {"zdr": "yes"}}, "provider.zdr"),
        ({"provider": {"quantizations": ["fp7"]}}, "provider.quantizations[0]"),
        ({"provider": {"preferred_min_throughput": "fast"}}, "provider.preferred_min_throughput"),
        ({"provider": {"preferred_max_latency": -1}}, "provider.preferred_max_latency"),
        ({"provider": {"onIy": ["a"]}}, "provider.onIy"),
        ({"provider": {"max_price": {"tokens": 1}}}, "provider.max_price.tokens"),
        ({"provider": {"enforce_distillable_text": True}}, "provider.enforce_distillable_text"),
        ({"models": "a"}, "models"),
        ({"models": ["a", 1]}, "models[1]"),
        ({"route": "sort"}, "route"),
        ({"transforms": "middle-out"}, "transforms"),
        ({"transforms": [1]}, "transforms[0]"),
        ({"usage": True}, "usage"),
        ({"usage": {"include": 1}}, "usage.include"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens"),
        ({"reasoning": {"exclude": "yes"}}, "reasoning.exclude"),
        ({"reasoning": {"enabled": 1}}, "reasoning.enabled"),
    ],
)
def test_bad_preference_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        read_preferences(fields)
    assert raised.value.param == param


def test_request_without_preferences_has_none() -> None:
    assert read_preferences({"seed": 1}) is None
