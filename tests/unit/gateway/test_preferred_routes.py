"""Which routes a request may try, by its fields `provider` and `models`: routes of the catalog, through the finder."""

import datetime
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace as struct_replace

from support.fakes import FakeResponse, FakeUpstream, LocalSpeeds, NoHealth
from support.json_lines import JSON_LINES
from tollgate.gateway.catalog import Catalog, Model, Provider, RouteRow
from tollgate.gateway.errors import BadRequestError, NotFoundError
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.route_finder import RouteFinder
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import Speed


def model(name: str, *providers: str, fallbacks: tuple[str, ...] = ()) -> Model:
    routes = tuple(RouteRow(provider=each, model=name, weight=0) for each in providers)
    day = datetime.date(2026, 1, 1)
    return Model(id=name, created=day, owned_by="o", context_length=8, routes=routes, fallbacks=fallbacks)


PROVIDERS = {
    name: Provider(name=name, family="lines", auth="none", quirks=Quirks(router=name == "router"))
    for name in ("a", "b", "c", "router")
}
MODELS = {
    "m": model("m", "a", "b", fallbacks=("n",)),
    "n": model("n", "b", "c"),
    "strict": struct_replace(model("strict", "a", "b"), context_window_fallbacks=("only-c",)),
    "only-c": model("n", "c"),
    "mixed": model("mixed", "router", "a"),
    "routed": model("routed", "router"),
}
CATALOG = Catalog(PROVIDERS, MODELS, MODELS, {})


@dataclass
class Cooling(NoHealth):
    """These providers are on cooldown."""

    providers: str

    def is_on_cooldown(self, route: Route) -> bool:
        return route.provider.name in self.providers


SPEEDS = LocalSpeeds()
SPEEDS.measured = {"a/m#": Speed(throughput=10), "b/m#": Speed(throughput=20), "b/n#": Speed(throughput=15)}


def found(name: str, cooling: str = "", **fields: Any) -> list[str]:
    upstream = FakeUpstream(FakeResponse([]), "")
    finder = RouteFinder(CATALOG, {"lines": JSON_LINES}, upstream, Cooling(cooling), SPEEDS, None)
    return [f"{each.route.provider.name}/{each.route.model.id}" for each in finder.find("chat", name, "seed", fields)]


@pytest.mark.parametrize(
    ("name", "fields", "routes"),
    [
        ("m", {}, ["a/m", "b/m", "b/n", "c/n"]),
        ("m", {"provider": {"only": ["b"]}}, ["b/m", "b/n"]),
        ("m", {"provider": {"order": ["b"]}}, ["b/m", "a/m", "b/n", "c/n"]),
        ("n", {"models": ["mixed", "m"], "route": "fallback"}, ["b/n", "c/n", "router/mixed", "a/mixed", "a/m", "b/m"]),
        ("n", {"models": ["m"], "provider": {"only": ["a"]}}, ["a/m"]),
        ("mixed", {"provider": {"ignore": ["router"]}}, ["a/mixed"]),
        ("m", {"cooling": "a"}, ["b/m", "b/n", "c/n", "a/m"]),
        ("m", {"cooling": "b", "provider": {"order": ["b", "a"]}}, ["a/m", "c/n", "b/m", "b/n"]),
        ("m", {"provider": {"allow_fallbacks": False}}, ["a/m", "b/n"]),
        ("n", {"models": ["m:floor"], "provider": {"only": ["b"]}}, ["b/n", "b/m"]),
        ("m", {"provider": {"allow_fallbacks": False, "order": ["b", "a"]}}, ["b/m", "a/m", "b/n"]),
        ("m", {"cooling": "a", "provider": {"allow_fallbacks": False}}, ["b/m", "b/n"]),
        ("m", {"provider": {"sort": "throughput", "ignore": ["c"]}}, ["b/m", "a/m", "b/n"]),
        (
            "m",
            {"models": ["n"], "provider": {"sort": {"by": "throughput", "partition": "none"}, "ignore": ["c"]}},
            ["b/m", "b/n", "a/m", "b/n"],
        ),
        ("strict", {}, ["a/strict", "b/strict", "c/n"]),
        ("strict", {"cooling": "ab"}, ["a/strict", "b/strict", "c/n"]),
        ("routed", {"provider": {"only": ["anthropic"]}, "models": ["theirs"]}, ["router/routed"]),
    ],
)
def test_fields_of_the_request_choose_among_the_routes(name: str, fields: dict[str, Any], routes: list[str]) -> None:
    assert found(name, **fields) == routes


def test_model_without_a_fitting_route_is_404() -> None:
    with pytest.raises(NotFoundError, match="No route of the model 'm'") as raised:
        found("m", provider={"only": ["nobody"]})
    assert (raised.value.param, raised.value.code) == ("provider", "no_matching_provider")


def test_provider_that_must_answer_and_does_not_exist_is_404() -> None:
    with pytest.raises(NotFoundError):
        found("m", provider={"order": ["nobody"], "allow_fallbacks": False})


def test_suffix_of_a_further_model_that_cannot_be_followed_is_named() -> None:
    with pytest.raises(BadRequestError, match="online") as raised:
        found("m", models=["n", "n:online"])
    assert raised.value.param == "models[1]"


def test_unknown_further_model_is_named() -> None:
    with pytest.raises(BadRequestError) as raised:
        found("m", models=["n", "nothing"])
    assert (raised.value.param, raised.value.code) == ("models[1]", "model_not_found")
