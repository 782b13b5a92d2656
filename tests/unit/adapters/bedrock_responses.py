"""Helpers of the tests of responses of Converse."""

from typing import Any

from support.aws_event_stream import encode
from support.families import ALL, read, request, route
from tollgate.adapters import bedrock
from tollgate.gateway.chat import Chunk
from tollgate.gateway.types import Json

FAMILY = ALL["bedrock"]


PLAIN, ROUTE = request(), route("bedrock")


def event(kind: str, **payload: Any) -> Json:
    return {":event-type": kind, "payload": payload}


def stream(*events: Json) -> list[Chunk]:
    return read(bedrock.ChatCall(PLAIN, ROUTE).open_stream(), encode(events))


START = event("messageStart", role="assistant")
HELLO = event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello"})
CALL = event("contentBlockStart", contentBlockIndex=1, start={"toolUse": {"toolUseId": "t", "name": "f"}})
USAGE = event("metadata", usage={"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, metrics={})
