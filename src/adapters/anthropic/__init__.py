"""The Anthropic family: the Messages API. See `gateway.ports.Adapter`."""

from adapters.anthropic.answer import open_stream, parse_error, parse_response
from adapters.anthropic.request import build_request, fetches_url

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
