"""Finds the routes that may serve a request: those of its model, in order, and those of the models that stand in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.errors import BadRequestError, NotFoundError
from tollgate.gateway.model_suffixes import preferred, split_suffix
from tollgate.gateway.operations import call_name
from tollgate.gateway.ports import Family, Health, Speeds, Upstream
from tollgate.gateway.route_preferences import RoutePreferences, no_route, read_preferences
from tollgate.gateway.routing import Route, find_routes, in_order

CONTEXT_CODE, CONTENT_CODE = "context_length_exceeded", "content_filter"
"""Codes of errors after which other models are tried."""
NO_PREFERENCES = RoutePreferences()


@dataclass(frozen=True, slots=True)
class Found:
    """A route, the errors that it is for, and whether its model stands in: see `gateway.attempt_plan.Alternative`."""

    route: Route
    after: Sequence[str | None] = (None,)
    stands_in: bool = True


@dataclass(frozen=True, slots=True)
class RouteFinder:
    """Finds routes. `substitute` is the model that answers where no provider has a credential."""

    catalog: Catalog
    families: Mapping[str, Family]
    upstream: Upstream
    health: Health
    speeds: Speeds
    substitute: Model | None

    def find(self, operation: str, model: str, seed: str, fields: Mapping[str, Any]) -> Sequence[Found]:
        """What may be tried, in order. Requests with the same seed reach the same route, as long as it works.

        The preferences in the request's `fields` are for the gateway, unless only a router serves the model. Raises
        NotFoundError, and BadRequestError `unsupported_operation`. Models that the catalog names as fallbacks are left
        out if they cannot serve the operation here, or no route of theirs fits the preferences.
        """
        routes = self.routes(operation, model)
        is_routed_here = not all(route.provider.quirks.router for route in routes)
        preferences = (read_preferences(fields) if is_routed_here else None) or NO_PREFERENCES
        found = [Found(route, stands_in=False) for route in self._preferred(routes, seed, preferences)]
        found += self._models_of_client(operation, seed, preferences, fields)
        if not found:
            raise no_route(model)
        provider = preferences.provider
        if provider is not None and preferences.mixes_models:
            found.sort(key=lambda each: provider.rank(each.route, self.speeds.speed))
        row = routes[0].model
        for names, after in (
            (row.fallbacks, (None,)),
            (row.context_window_fallbacks, (CONTEXT_CODE,)),
            (row.content_policy_fallbacks, (CONTENT_CODE,)),
        ):
            for name in names:
                found += [Found(route, after) for route in self._fallback(operation, name, seed, preferences)]
        return found if len(found) == 1 else self._healthy_first(found, preferences)

    def routes(self, operation: str, model: str) -> Sequence[Route]:
        """The routes of one model as they are written. Raises NotFoundError, BadRequestError."""

        def can_serve(route: Route) -> bool:
            return call_name(operation, route.model) in self.families[route.provider.family].calls

        routes = find_routes(self.catalog, model, can_serve, self.upstream.has_credential, self.substitute)
        if not routes:
            message = f"The model {model!r} does not support {operation}."
            raise BadRequestError(message, param="model", code="unsupported_operation")
        return routes

    def _models_of_client(
        self, operation: str, seed: str, preferences: RoutePreferences, fields: Mapping[str, Any]
    ) -> Iterator[Found]:
        """The routes of the models that the request names after its own, which are for any error that another model may
        not have (OpenRouter's guide "Model Fallbacks")."""
        for number, name in enumerate(preferences.models or ()):
            own = preferences
            if ":" in name:
                name, suffix = split_suffix(self.catalog, name, f"models[{number}]")
                provider = preferred(fields.get("provider"), suffix)
                own = read_preferences({"provider": provider}) or preferences if suffix else preferences
            try:
                routes = self.routes(operation, name)
            except (NotFoundError, BadRequestError) as error:
                raise BadRequestError(error.message, param=f"models[{number}]", code=error.code) from None
            for route in self._preferred(routes, seed, own):
                yield Found(route, (None, CONTEXT_CODE, CONTENT_CODE))

    def _fallback(self, operation: str, model: str, seed: str, preferences: RoutePreferences) -> Sequence[Route]:
        """The routes of a model that the catalog names, if it can serve the operation here."""
        try:
            routes = self.routes(operation, model)
        except (NotFoundError, BadRequestError):
            return ()
        usable = [route for route in routes if self.upstream.has_credential(route.provider)]
        return self._preferred(usable, seed, preferences)

    def _healthy_first(self, found: Sequence[Found], preferences: RoutePreferences) -> Sequence[Found]:
        """Routes on cooldown after all others that are for the failure of a provider."""
        self.health.refresh()
        health = self.health
        ordered = sorted(found, key=lambda each: (None not in each.after, health.is_on_cooldown(each.route)))
        for each in found:  # what is not tried first anyway is not probed
            if not health.is_on_cooldown(each.route):
                break
            if health.may_probe(each.route):
                ordered.remove(each)
                ordered.insert(0, each)
                break
        provider = preferences.provider
        if provider is None or provider.allow_fallbacks is not False:
            return ordered
        best = {each.route.model.id: each for each in reversed(ordered)}
        return [each for each in ordered if provider.names(each.route) or best[each.route.model.id] is each]

    def _preferred(self, routes: Sequence[Route], seed: str, preferences: RoutePreferences) -> Sequence[Route]:
        """Those of one model's routes that fit, in the order in which they are tried."""
        ordered, provider = in_order(routes, seed), preferences.provider
        if provider is None:
            return ordered
        if provider.needs_speed:
            self.speeds.refresh()
        return provider.chosen(ordered, self.speeds.speed)
