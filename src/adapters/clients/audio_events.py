"""Writes the events of streamed audio and transcripts."""

from collections.abc import Mapping
from typing import Any

from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.sse import KEEP_ALIVE, encode, relay
from tollgate.gateway.types import Usage


class EventEncoder:
    """The events of the provider. OpenAI sends no `[DONE]` after the last."""

    stream_media_type = "text/event-stream"
    keep_alive = KEEP_ALIVE

    def __init__(self, info: ResponseInfo) -> None:
        pass

    def chunk(self, chunk: AudioEvent) -> bytes:
        """The event."""
        return relay(chunk.data)

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """Nothing: the last event was the end."""
        return b""

    def error(self, error: GatewayError) -> bytes:
        """An event with the error, which OpenAI's clients raise."""
        return encode(error_body(error))
