"""Helpers of the tests of responses of the Messages API."""

from support.families import ALL, read
from tollgate.gateway.chat import Chunk
from tollgate.gateway.sse import encode
from tollgate.gateway.types import Json

ANTHROPIC = ALL["anthropic"]


PLAIN, ROUTE = ANTHROPIC.request_for("text")


def stream(name: str) -> list[Chunk]:
    return read(ANTHROPIC.open(name), ANTHROPIC.stream(name))


def events(*value: Json) -> bytes:
    return b"".join(encode(event) for event in value)


START: Json = {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}
STOP: Json = {"type": "message_stop"}
