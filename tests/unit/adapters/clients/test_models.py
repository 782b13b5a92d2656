"""Models as OpenAI's, OpenRouter's and Anthropic's clients read them."""

import datetime
from decimal import Decimal
from typing import Any

import parameter_table
import pytest
from msgspec.structs import replace

from tollgate.adapters.clients import anthropic_models
from tollgate.adapters.clients.openai_models import describe
from tollgate.gateway.catalog import Architecture, Model, Provider, RouteRow
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.prices import Prices
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.handler.components import read_catalog

DAY = datetime.date(2026, 1, 1)
PAID = Prices(
    input_usd_per_mtok=Decimal("2.50"),
    output_usd_per_mtok=Decimal(10),
    cached_usd_per_mtok=Decimal("0.075"),
    usd_per_unit={"searches": Decimal("0.010")},
    source="s",
    date=DAY,
)
PROVIDER = Provider(name="p", family="openai", auth="none")
MODEL = Model(
    id="m",
    created=DAY,
    owned_by="o",
    context_length=8,
    prices=PAID,
    routes=(RouteRow(provider="p", model="up"),),
    architecture=Architecture(modality="text+image->text"),
    capabilities=Capabilities(max_output_tokens=4),
)
FAMILIES, DIALECTS = parameter_table.routes(read_catalog(None))
FIELDS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5}, "top_p": {"top_p": 0.5}, "top_k": {"top_k": 40}, "stop": {"stop": ["END"]},
    "n": {"n": 2}, "seed": {"seed": 7}, "presence_penalty": {"presence_penalty": 0.5}, "max_tokens": {"max_tokens": 9},
    "frequency_penalty": {"frequency_penalty": 0.5}, "logit_bias": {"logit_bias": {"7": -100}},
    "logprobs": {"logprobs": True}, "tools": parameter_table.TOOLS, "verbosity": {"verbosity": "low"},
    "tool_choice": {**parameter_table.TOOLS, "tool_choice": "required"},
    "parallel_tool_calls": {**parameter_table.TOOLS, "parallel_tool_calls": False},
    "response_format": {"response_format": {"type": "json_object"}}, "service_tier": {"service_tier": "priority"},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
}  # fmt: skip


def test_model_is_described_with_limits_modalities_and_prices_per_token_as_text() -> None:
    described = describe(MODEL, "n", PROVIDER)
    assert (described["id"], described["name"], described["canonical_slug"]) == ("n", "n", "m")
    assert described["created"] == int(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp())
    assert described["architecture"]["input_modalities"] == ["text", "image"]
    assert described["architecture"]["output_modalities"] == ["text"]
    assert described["top_provider"] == {"context_length": 8, "max_completion_tokens": 4, "is_moderated": False}
    assert described["operations"] == ["chat"]
    assert described["pricing"] == {
        "prompt": "0.0000025",
        "completion": "0.00001",
        "input_cache_read": "0.000000075",
        "request": "0",
        "web_search": "0.01",
    }


def test_price_of_zero_is_listed_and_an_unknown_price_is_not() -> None:
    free = Prices(input_usd_per_mtok=Decimal(0), output_usd_per_mtok=Decimal(0), source="s", date=DAY)
    pricing = describe(replace(MODEL, prices=free), "m", PROVIDER)["pricing"]
    assert pricing == {"prompt": "0", "completion": "0", "request": "0"}
    assert describe(replace(MODEL, prices=None), "m", PROVIDER)["pricing"] == {}


def test_model_without_chat_has_no_parameters_of_chat() -> None:
    assert describe(replace(MODEL, operations=("embeddings",)), "m", PROVIDER)["supported_parameters"] == []


@pytest.mark.parametrize("parameter", FIELDS)
@pytest.mark.parametrize("name", [*FAMILIES, *DIALECTS])
def test_listed_parameters_are_those_that_the_adapters_send(name: str, parameter: str) -> None:
    route: Route = {**FAMILIES, **DIALECTS}[name]
    listed = describe(route.model, "m", route.provider)["supported_parameters"]
    outcome = parameter_table.outcome(route, FIELDS[parameter])
    assert (parameter in listed) == (outcome in ("native", "emulated", "clamped")), outcome


def models(*days: int) -> list[tuple[Model, str]]:
    return [(replace(MODEL, created=DAY.replace(day=day)), f"m{day}") for day in days]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({}, ["m5", "m4", "m3", "m2", "m1"], False),
        ({"limit": "2"}, ["m5", "m4"], True),
        ({"limit": "2", "after_id": "m4"}, ["m3", "m2"], True),
        ({"limit": "2", "after_id": "m2"}, ["m1"], False),
        ({"after_id": "m1"}, [], False),
        ({"limit": "2", "before_id": "m2"}, ["m4", "m3"], True),
        ({"limit": "2", "before_id": "m3"}, ["m5", "m4"], False),
        ({"before_id": "m5"}, [], False),
    ],
)
def test_pages_of_anthropics_list_are_newest_first(query: dict[str, str], ids: list[str], has_more: bool) -> None:
    page = anthropic_models.page(models(1, 3, 5, 2, 4), query)
    assert [model["id"] for model in page["data"]] == ids
    assert page["has_more"] is has_more
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "\u00b2"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"after_id": "gone"}, "after_id"),
        ({"before_id": "gone"}, "before_id"),
        ({"after_id": "m1", "before_id": "m1"}, "before_id"),
    ],
)
def test_invalid_page_is_refused_by_the_parameter(query: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        anthropic_models.page(models(1), query)
    assert raised.value.param == param
