"""The OpenAI family: Chat Completions, as OpenAI and every compatible server speak it. See `gateway.ports.Adapter`."""

from adapters.openai.answer import parse_error, parse_response
from adapters.openai.request import build_request, fetches_url
from adapters.openai.stream import open_stream

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
