"""Finds the routes that may serve a request: those of its model, in order, and those of the models that stand in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.errors import BadRequestError, NotFoundError
from tollgate.gateway.operations import call_name
from tollgate.gateway.ports import Family, Health, Upstream
from tollgate.gateway.route_order import in_order
from tollgate.gateway.route_preferences import RoutePreferences, no_route, read_preferences
from tollgate.gateway.routing import Route, find_routes

IsOnCooldown = Callable[[Route], bool]
CONTEXT_CODE, CONTENT_CODE = "context_length_exceeded", "content_filter"
"""Codes of errors after which other models are tried."""


@dataclass(frozen=True, slots=True)
class Found:
    """A route, and the errors that it is for: see `gateway.attempt_plan.Alternative`."""

    route: Route
    after: Sequence[str | None] = (None,)


@dataclass(frozen=True, slots=True)
class RouteFinder:
    """Finds routes. `substitute` is the model that answers where no provider has a credential."""

    catalog: Catalog
    families: Mapping[str, Family]
    upstream: Upstream
    health: Health
    substitute: Model | None

    def find(self, operation: str, model: str, seed: str, fields: Mapping[str, Any]) -> Sequence[Found]:
        """What may be tried, in order. Requests with the same seed reach the same route, as long as it works.

        The preferences in the request's `fields` are for the gateway, unless only a router serves the model. Raises
        NotFoundError, and BadRequestError `unsupported_operation`. Models that the catalog names as fallbacks are left
        out if they cannot serve the operation here, or no route of theirs fits the preferences.
        """
        routes = self.routes(operation, model)
        is_on_cooldown = _asked_once(self.health.is_on_cooldown)
        is_routed_here = not all(route.provider.quirks.router for route in routes)
        preferences = read_preferences(fields) if is_routed_here else None
        row = routes[0].model
        found = [*map(Found, self._in_order(routes, seed, preferences, is_on_cooldown))]
        if preferences is not None:
            found += self._further_models(operation, preferences.models or (), seed, preferences, is_on_cooldown)
            if not found:
                raise no_route(model)
        for names, after in (
            (row.fallbacks, (None,)),
            (row.context_window_fallbacks, (CONTEXT_CODE,)),
            (row.content_policy_fallbacks, (CONTENT_CODE,)),
        ):
            for name in names:
                fallback = self._fallback_routes(operation, name, seed, preferences, is_on_cooldown)
                found += [Found(route, after) for route in fallback]
        if len(found) > 1:
            self.health.refresh()
            found.sort(key=lambda each: None in each.after and is_on_cooldown(each.route))
        return found

    def routes(self, operation: str, model: str) -> Sequence[Route]:
        """The routes of one model as they are written. Raises NotFoundError, BadRequestError."""

        def can_serve(route: Route) -> bool:
            return call_name(operation, route.model) in self.families[route.provider.family].calls

        routes = find_routes(self.catalog, model, can_serve, self.upstream.has_credential, self.substitute)
        if not routes:
            message = f"The model {model!r} does not support {operation}."
            raise BadRequestError(message, param="model", code="unsupported_operation")
        return routes

    def _in_order(
        self, routes: Sequence[Route], seed: str, preferences: RoutePreferences | None, is_on_cooldown: IsOnCooldown
    ) -> Sequence[Route]:
        ordered = in_order(routes, seed, is_on_cooldown)
        if preferences is None or preferences.provider is None:
            return ordered
        return preferences.provider.chosen(ordered, is_on_cooldown)

    def _further_models(
        self,
        operation: str,
        models: Sequence[str],
        seed: str,
        preferences: RoutePreferences,
        is_on_cooldown: IsOnCooldown,
    ) -> Iterator[Found]:
        """The routes of the models that the request names after its own, which are for any error that another model may
        not have (OpenRouter's guide "Model Fallbacks")."""
        for number, name in enumerate(models):
            try:
                routes = self.routes(operation, name)
            except (NotFoundError, BadRequestError) as error:
                raise BadRequestError(error.message, param=f"models[{number}]", code=error.code) from None
            for route in self._in_order(routes, seed, preferences, is_on_cooldown):
                yield Found(route, (None, CONTEXT_CODE, CONTENT_CODE))

    def _fallback_routes(
        self, operation: str, model: str, seed: str, preferences: RoutePreferences | None, is_on_cooldown: IsOnCooldown
    ) -> Iterator[Route]:
        try:
            routes = self.routes(operation, model)
        except (NotFoundError, BadRequestError):
            return
        usable = [route for route in routes if self.upstream.has_credential(route.provider)]
        yield from self._in_order(usable, seed, preferences, is_on_cooldown)


def _asked_once(is_on_cooldown: IsOnCooldown) -> IsOnCooldown:
    """The same with one question for each route: an answer may be the leave to try the route again."""
    known: dict[str, bool] = {}

    def ask(route: Route) -> bool:
        if route.target not in known:
            known[route.target] = is_on_cooldown(route)
        return known[route.target]

    return ask
