"""The Anthropic family: the Messages API. See `gateway.ports.Adapter`."""

from tollgate.adapters.anthropic.chat_request import build_request, fetches_url
from tollgate.adapters.anthropic.chat_response import open_stream, parse_error, parse_response

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
