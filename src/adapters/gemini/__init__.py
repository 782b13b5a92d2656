"""The Gemini family: generateContent. See `gateway.ports.Adapter`."""

from adapters.gemini.answer import open_stream, parse_error, parse_response
from adapters.gemini.request import build_request, fetches_url

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
