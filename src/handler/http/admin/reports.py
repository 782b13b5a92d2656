"""`/admin/v1/usage` and `/admin/v1/catalog`: what was used by whom, and what the gateway offers."""

import asyncio
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from tollgate.gateway.catalog_report import model_rows
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.usage_report import existing_key, keys_of_team
from tollgate.handler.http.account import usage_response
from tollgate.handler.http.admin.access import require_admin
from tollgate.handler.http.requests import components_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import resource


async def get_usage(request: Request) -> Response:
    """The usage of every key, of one with `key_id`, or of those of a `team`; see `GET /v1/usage`."""
    account = await require_admin(request)
    return await usage_response(request, await _requested_keys(request), account)


async def _requested_keys(request: Request) -> Iterable[str]:
    """The keys whose usage is requested. Raises KeyNotFoundError, BadRequestError."""
    store, query = components_of(request).keys, request.query_params
    if "key_id" in query and "team" in query:
        raise BadRequestError("'key_id' and 'team' name different keys: send one of them.", param="team")
    if "team" in query:
        return await keys_of_team(store, query["team"])
    if "key_id" in query:
        return [await existing_key(store, query["key_id"])]
    return await store.key_ids()


async def get_catalog(request: Request) -> Response:
    """Models that match the glob `pattern`, with prices and missing credentials; tiers, guardrails, credentials.

    `all=true` adds the models that are only named as `provider/model`.
    """
    await require_admin(request)
    gateway, query = components_of(request).gateway, request.query_params
    catalog = gateway.catalog
    providers = [each for row in catalog.providers.values() for each, _ in row.by_credential()]
    found = await asyncio.gather(*map(gateway.dependencies.upstream.find_credential, providers))
    missing = {provider.credential for provider, is_there in zip(providers, found, strict=True) if not is_there}
    rows = model_rows(catalog, query.get("pattern", "*")[:256], missing, all_models=query.get("all") == "true")
    tiers = {name: str(tier.limits) for name, tier in catalog.tiers.items()}
    names = {"guardrails": sorted(catalog.guardrails), "credentials": sorted(catalog.credentials)}
    return json_response({"object": "list", "data": list(rows), "tiers": tiers, **names})


ROUTES = (resource("/admin/v1/usage", GET=get_usage), resource("/admin/v1/catalog", GET=get_catalog))
