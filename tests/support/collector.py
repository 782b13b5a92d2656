"""A collector of traces that takes OTLP over HTTP in JSON, as OpenTelemetry's own schema reads it."""

import base64
import http.server
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


@dataclass
class Collector:
    """The address, the answer's status, and the headers and the spans of every export."""

    url: str = ""
    status: int = 200
    exports: list[tuple[Mapping[str, str], list[Any]]] = field(default_factory=list[Any])

    def trace(self, trace_id: str) -> list[Any]:
        """The spans of the exports with this trace."""
        return [span for _, spans in list(self.exports) for span in spans if span.trace_id.hex() == trace_id]


def attributes(span: Any) -> dict[str, Any]:
    """The attributes of a span."""
    found: dict[str, Any] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        found[each.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


@contextmanager
def collector() -> Generator[Collector]:
    """A collector on a free port of loopback until the block ends."""
    running = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            running.exports.append(({name.lower(): value for name, value in self.headers.items()}, _spans(body)))
            self.send_response(running.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: Any) -> list[Any]:
    """The spans of an export. OTLP has ids in hexadecimal where Protocol Buffers have base64 (OTLP, "JSON Protobuf
    Encoding"); a field that the schema does not have is an error."""
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span.update({name: base64.b64encode(bytes.fromhex(span[name])).decode() for name in IDS})
    parsed = cast("Any", ParseDict(body, ExportTraceServiceRequest()))
    return [span for each in parsed.resource_spans for scope in each.scope_spans for span in scope.spans]
