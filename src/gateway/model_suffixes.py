"""OpenRouter's suffixes of model names, such as `gpt-4o:floor`: each stands for a preference in the field `provider`.

OpenRouter's guide "Model Variants" says what they mean.
"""

from collections.abc import Mapping
from typing import Any, cast

from msgspec.structs import replace

from tollgate.gateway.catalog import Catalog
from tollgate.gateway.operations import Req
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid

PREFERENCES: Mapping[str, Json] = {
    "nitro": {"sort": "throughput"},
    "floor": {"sort": "price"},
    "free": {"max_price": {"prompt": 0, "completion": 0}},
}
REFUSED = {
    "online": "the gateway searches nothing for a model; give the model a tool for it",
    "exacto": "the gateway does not measure how well routes call tools; name providers in `provider.order`",
}


def without_suffix(catalog: Catalog, request: Req) -> Req:
    """The request with the preference in place of the suffix. Raises BadRequestError for a suffix that is refused.

    A name that the catalog has is no name with a suffix, and a router reads the suffixes of its own models itself.
    """
    name, _, suffix = request.model.rpartition(":")
    if suffix in REFUSED and not _is_whole(catalog, request.model):
        raise invalid("model", f"`:{suffix}` is not supported: {REFUSED[suffix]}")
    if suffix not in PREFERENCES or _is_whole(catalog, request.model):
        return request
    assert isinstance(request, RequestBody)
    own: Any = request.extra.get("provider", {})
    preferences = {**cast(Json, own), **PREFERENCES[suffix]} if isinstance(own, dict) else own
    return cast(Req, replace(request, model=name, extra={**request.extra, "provider": preferences}))


def _is_whole(catalog: Catalog, name: str) -> bool:
    provider = catalog.providers.get(name.partition("/")[0])
    is_of_router = provider is not None and provider.quirks.router
    return is_of_router or name in catalog.names or name in catalog.generated
