"""The Bedrock family: Converse and ConverseStream, one API for the models of many makers. See `gateway.ports.Adapter`.

Claude's thinking comes and goes as in the Anthropic family; its signatures hold at both.
"""

from tollgate.adapters.bedrock.chat_request import build_request, fetches_url
from tollgate.adapters.bedrock.chat_response import parse_error, parse_response
from tollgate.adapters.bedrock.chat_stream import open_stream

__all__ = ["build_request", "fetches_url", "open_stream", "parse_error", "parse_response"]
