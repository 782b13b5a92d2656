"""The embeddings operation: what a request reserves, and how many inputs it has."""

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.embeddings import EMBEDDINGS, EmbeddingsRequest
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import Route

DAY = datetime.date(2026, 1, 1)
PRICES = Prices(input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(0), source="s", date=DAY)


def route(prices: Prices | None) -> Route:
    routes = (RouteRow(provider="p", model="up"),)
    model = Model(id="m", created=DAY, owned_by="o", context_length=8, prices=prices, routes=routes)
    return Route(model, Provider(name="p", family="openai", base_url="https://x", auth="none"), "up", prices)


def request(value: Any, **more: Any) -> EmbeddingsRequest:
    return EmbeddingsRequest.of({"model": "m", "input": value, **more})


@pytest.mark.parametrize(
    ("value", "inputs", "tokens"),
    [
        ("abcdefgh", 1, 2),
        (["abcdefgh", "abcd"], 2, 3),
        ([5, 6, 7], 1, 3),
        ([[5, 6], [7]], 2, 3),
    ],
)
def test_input_is_counted_and_its_tokens_are_reserved(value: Any, inputs: int, tokens: int) -> None:
    parsed = request(value)
    reservation = EMBEDDINGS.reserve(parsed, route(PRICES))
    assert parsed.inputs == inputs
    assert (reservation.usual.input_tokens, reservation.usual.output_tokens) == (tokens, 0)
    assert reservation.amount_micro_usd == reservation.minimum_micro_usd == tokens * 2
    assert (reservation.at_most_half, reservation.priced) == (False, True)


def test_reservation_of_an_unpriced_model_is_not_priced() -> None:
    assert not EMBEDDINGS.reserve(request("x"), route(None)).priced


def test_fallback_models_of_a_router_are_other_models() -> None:
    assert EMBEDDINGS.other_models(request("x", models=["a", "b"])) == ("a", "b")
