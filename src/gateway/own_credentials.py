"""Credentials of a key's own ("bring your own key"): its requests are sent with them instead of the gateway's."""

from collections.abc import Sequence
from dataclasses import replace as replaced

from msgspec.structs import replace

from tollgate.gateway.attempt_plan import Alternative
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.errors import GatewayError, OwnCredentialError, UpstreamAuthError
from tollgate.gateway.keys import KeyRecord, own_name, read_own_name
from tollgate.gateway.routing import Route


def own_route(catalog: Catalog, route: Route, record: KeyRecord) -> Route:
    """The route with the key's credential, if it has one for the provider: for any of the provider's credentials."""
    for provider, _ in catalog.providers[route.provider.name].by_credential():
        if provider.credential in record.credentials:
            own = own_name(provider.credential, record.key_id)
            return replaced(route, provider=replace(route.provider, credential=own))
    return route


def with_own_credentials(
    catalog: Catalog, alternatives: Sequence[Alternative], record: KeyRecord
) -> Sequence[Alternative]:
    """What may be tried, each route once for the same errors: several credentials of a provider are replaced by the one
    of the key."""
    if not record.credentials:
        return alternatives
    routes = [own_route(catalog, each.route, record) for each in alternatives]
    found: dict[tuple[object, ...], Alternative] = {}
    for each, route in zip(alternatives, routes, strict=True):
        found.setdefault((route.target, route.model.id, *each.after), replaced(each, route=route))
    return [*found.values()]


def owned(error: GatewayError, route: Route) -> GatewayError:
    """The error, which the holder of the key can mend if the credential that was refused is the key's own."""
    credential = read_own_name(route.provider.credential or "")
    if credential is None or not isinstance(error, UpstreamAuthError):
        return error
    text = f"The credential {credential} of this key for the provider {route.provider.name!r} is missing or refused."
    return OwnCredentialError(text)
