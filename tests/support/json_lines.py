"""A wire family of JSON lines, for tests of the gateway that need no real provider format."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.errors import BadRequestError, GatewayError, RateLimitError, UpstreamError
from tollgate.gateway.ports import Family
from tollgate.gateway.routing import Route
from tollgate.gateway.types import UpstreamRequest, Usage


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


class JsonLinesParser:
    """Reads text, `{"usage": [in, out]}`, `{"error": ...}`, `{"fault": ...}`, 0 for nothing, `null` for the end."""

    grace = None

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for line in data.splitlines():
            value = json.loads(line)
            if value is None:
                self.done = True
            elif value == 0:
                continue
            elif isinstance(value, str):
                finish = "stop" if value.endswith(".") else None
                yield Chunk([{"index": 0, "delta": {"content": value}, "finish_reason": finish}])
            elif "usage" in value:
                yield Chunk(usage=Usage(*value["usage"]))
            elif "error" in value:
                raise UpstreamError(value["error"])
            else:
                raise KeyError(value["fault"])

    def close(self) -> Iterator[Chunk]:
        if not self.done:
            raise UpstreamError("cut", code="stream_truncated")
        yield from ()


class JsonLinesCall:
    """A chat call. It refuses `n=7` and drops `seed` if `n=2`."""

    def __init__(self, request: ChatRequest, route: Route) -> None:
        if request.n == 7:
            raise BadRequestError("Not seven.", param="n")
        dropped = ("seed",) if request.n == 2 else ()
        self.request = UpstreamRequest("lines://", route.upstream_model.encode(), dropped=dropped)

    def parse_response(self, body: bytes) -> Completion:
        chunks = list(JsonLinesParser().feed(body))
        texts = [choice["delta"]["content"] for chunk in chunks for choice in chunk.choices]
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(texts)}, "finish_reason": "stop"}
        usage = next((chunk.usage for chunk in chunks if chunk.usage is not None), None)
        return Completion([choice], usage, {"system_fingerprint": "fp"})

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return RateLimitError(body.decode(), retry_after=float(headers["retry-after"]))

    def open_stream(self) -> JsonLinesParser:
        return JsonLinesParser()


JSON_LINES = Family({"chat": JsonLinesCall}, lambda url: True)
