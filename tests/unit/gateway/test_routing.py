"""From the name of a model to its routes."""

import datetime
from decimal import Decimal

import pytest

from tollgate.gateway.catalog import Catalog, Model, Provider, RouteRow
from tollgate.gateway.errors import NotFoundError
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import find_model, find_routes

DAY = datetime.date(2026, 1, 1)
FREE = Prices(input_usd_per_mtok=Decimal(0), output_usd_per_mtok=Decimal(0), source="s", date=DAY)
PAID = Prices(
    input_usd_per_mtok=Decimal("2.50"),
    output_usd_per_mtok=Decimal(10),
    cached_usd_per_mtok=Decimal("0.075"),
    source="s",
    date=DAY,
)


def provider(name: str) -> Provider:
    return Provider(name=name, family="openai", credential=f"{name}_KEY")


def model(name: str, *providers: str, prices: Prices | None = PAID) -> Model:
    routes = tuple(RouteRow(provider=p, model=f"{p}-{name}") for p in providers)
    return Model(id=name, created=DAY, owned_by="o", context_length=8, prices=prices, routes=routes)


M, ECHO = model("m", "a", "b"), model("echo", "e", prices=FREE)
CATALOG = Catalog({name: provider(name) for name in "abe"}, {"m": M, "echo": ECHO}, {"m": M, "n": M, "echo": ECHO}, {})


def found_routes(name: str, with_credential: str, substitute: Model | None = None) -> list[tuple[str, str]]:
    found = find_routes(CATALOG, name, lambda route: True, lambda p: p.name in with_credential, substitute)
    return [(route.provider.name, route.upstream_model) for route in found]


def test_alias_finds_its_model() -> None:
    assert find_model(CATALOG, "n") is find_model(CATALOG, "m") is M


@pytest.mark.parametrize("name", ["", "M", "m ", "models/m", "\u2028", "x" * 10_000])
def test_unknown_model_is_not_found(name: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        find_model(CATALOG, name)
    assert (raised.value.status, raised.value.param, raised.value.code) == (404, "model", "model_not_found")


def test_routes_are_in_the_order_of_the_catalog() -> None:
    assert found_routes("m", "ab") == [("a", "a-m"), ("b", "b-m")]


def test_route_without_a_credential_is_omitted() -> None:
    assert found_routes("m", "b", ECHO) == [("b", "b-m")]


def test_routes_without_credentials_are_kept_if_there_is_no_substitute() -> None:
    assert found_routes("m", "") == [("a", "a-m"), ("b", "b-m")]


def test_substitute_serves_the_requested_model_at_its_own_price() -> None:
    (route,) = find_routes(CATALOG, "n", lambda route: True, lambda p: p.name == "e", ECHO)
    assert route.model is M
    assert (route.provider.name, route.upstream_model) == ("e", "e-echo")
    assert route.prices is FREE
