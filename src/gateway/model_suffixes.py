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
    """The request with the preference in place of the suffix. Raises BadRequestError for a suffix that is refused."""
    name, preferences = split_suffix(catalog, request.model, "model")
    if not preferences:
        return request
    assert isinstance(request, RequestBody)
    provider = preferred(request.extra.get("provider"), preferences)
    return cast(Req, replace(request, model=name, extra={**request.extra, "provider": provider}))


def preferred(provider: Any, preferences: Json) -> Any:
    """The field `provider` with these preferences; a value that is not an object stays, to be refused."""
    return {**cast(Json, provider or {}), **preferences} if provider is None or isinstance(provider, dict) else provider


def split_suffix(catalog: Catalog, name: str, param: str) -> tuple[str, Json]:
    """The name without its suffix, and the preference that it stands for, empty if it has none.

    A name that the catalog has is no name with a suffix, nor is `provider/model`: what follows is the provider's.
    Raises BadRequestError for a suffix that is refused; `param` is where the name stands.
    """
    base, _, suffix = name.rpartition(":")
    if (suffix not in REFUSED and suffix not in PREFERENCES) or _is_whole(catalog, name):
        return name, {}
    if suffix in REFUSED:
        raise invalid(param, f"`:{suffix}` is not supported: {REFUSED[suffix]}")
    return base, PREFERENCES[suffix]


def _is_whole(catalog: Catalog, name: str) -> bool:
    return name in catalog.names or name.partition("/")[0] in catalog.providers
