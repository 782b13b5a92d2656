"""The OpenAI family: Chat Completions, as OpenAI and every compatible server speak it. See `gateway.ports.Adapter`."""

from tollgate.adapters.openai.chat_request import build_request, fetches_url
from tollgate.adapters.openai.chat_response import parse_error, parse_response
from tollgate.adapters.openai.chat_stream import open_stream

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
