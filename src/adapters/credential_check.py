"""A request that costs nothing and succeeds only with a valid credential: the list of a provider's models."""

from tollgate.gateway.catalog import Provider
from tollgate.gateway.types import UpstreamRequest

_PATHS = {"openai": "/models", "anthropic": "/models", "gemini": "/models?pageSize=1"}
"""By family: "List models" of OpenAI's and Anthropic's API reference, `models.list` of Gemini's."""


def credential_check(provider: Provider) -> UpstreamRequest | None:
    """The request; None for a provider without such a list, or without a credential of its own."""
    path = _PATHS.get(provider.family)
    if path is None or provider.auth not in ("bearer", "header"):
        return None
    headers = {"anthropic-version": "2023-06-01"} if provider.family == "anthropic" else {}
    return UpstreamRequest(provider.base_url.rstrip("/") + path, b"", headers, "GET")
