"""A trace per request, by OpenTelemetry's conventions for HTTP servers and generative AI, without prompts and answers.

The trace has a span of the server, and below it one of the client for each attempt at a provider ("Semantic conventions
for HTTP spans", "Semantic conventions for generative client AI spans"). Its id is the hexadecimal part of the request's
id, so that a log line and its trace find each other, unless the client sends a trace of its own (W3C Trace Context).
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.attempt import Attempt
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.types import Json
from tollgate.handler.telemetry import SERVICE

Send = Callable[[bytes], Awaitable[None]]

SERVER, CLIENT = 2, 3
"""Kinds of spans, as OTLP numbers them (opentelemetry-proto, trace.proto)."""
ERROR = 2
"""The status of a span that failed."""
PROVIDER_NAMES = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Values of `gen_ai.provider.name` that differ from the names in the catalog."""
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII
)
_SAMPLED = 1


class Traces:
    """Sends the traces of requests by `send`, which takes the body of an OTLP export in JSON."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def request(
        self, context: RequestContext, *, method: str, path: str, status: int, parent: str, now: float, unix_now: float
    ) -> None:
        """Send the trace of an admitted request that has ended at `now`, in monotonic seconds.

        `parent` is the client's `traceparent`; what it has not sampled is not sent. Raises UpstreamError.
        """
        record, match = context.record, _TRACEPARENT.fullmatch(parent)
        if record is None or (match and not int(match[3], 16) & _SAMPLED):
            return
        trace_id, parent_id = (match[1], match[2]) if match else (context.request_id.removeprefix("req_"), "")
        trace = _Trace(trace_id, unix_now - now)
        values = _of_request(record, method, path, status)
        root = trace.add(f"{method} {path}", SERVER, parent_id, (context.started, now), values)
        for attempt in context.attempts:
            if attempt.sent_at is not None:
                times = attempt.sent_at, attempt.ended_at or now
                values = _of_attempt(attempt, record.operation)
                trace.add(f"{record.operation} {attempt.route.upstream_model}", CLIENT, root, times, values)
        await self._send(trace.export())


class _Trace:
    """The spans of one trace. `offset` is the difference of Unix time and monotonic time, in seconds."""

    def __init__(self, trace_id: str, offset: float) -> None:
        self._trace_id = trace_id
        self._offset = offset
        self._spans: list[Json] = []

    def add(self, name: str, kind: int, parent: str, times: tuple[float, float], values: Json) -> str:
        """Add a span from and to these times, in monotonic seconds; returns its id."""
        span_id = secrets.token_hex(8)
        began, ended = (str(round((time + self._offset) * 1e6) * 1000) for time in times)
        self._spans.append(
            {
                "traceId": self._trace_id,
                "spanId": span_id,
                "parentSpanId": parent,
                "name": name,
                "kind": kind,
                "startTimeUnixNano": began,
                "endTimeUnixNano": ended,
                "attributes": [_attribute(key, value) for key, value in values.items() if value is not None],
                "status": {"code": ERROR} if "error.type" in values else {},
            }
        )
        return span_id

    def export(self) -> bytes:
        """The body of a request to a collector (opentelemetry-proto, trace_service.proto)."""
        resource = {"attributes": [_attribute("service.name", SERVICE)]}
        scope = {"scope": {"name": SERVICE}, "spans": self._spans}
        return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()


def _of_request(record: UsageRecord, method: str, path: str, status: int) -> Json:
    return {
        "http.request.method": method,
        "url.path": path,
        "http.response.status_code": status,
        "gen_ai.request.model": record.model,
        "tollgate.request_id": record.request_id,
        "tollgate.key_id": record.key_id,
        "tollgate.cost_usd": None if record.cost.usd is None else float(record.cost.usd),
        "tollgate.time_to_first_token_ms": record.time_to_first_token_ms,
        **({} if record.error_code is None else {"error.type": record.error_code}),
    }


def _of_attempt(attempt: Attempt, operation: str) -> Json:
    provider, usage, error = attempt.route.provider.name, attempt.reported_usage, attempt.error
    values: Json = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER_NAMES.get(provider, provider),
        "gen_ai.request.model": attempt.route.upstream_model,
        "gen_ai.response.finish_reasons": None if attempt.finish_reason is None else [attempt.finish_reason],
    }
    if usage is not None:
        values |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        }
    return values if error is None else values | {"error.type": error.code or error.type}


def _attribute(key: str, value: Any) -> Json:
    return {"key": key, "value": _value(value)}


def _value(value: Any) -> Json:
    """A value as OTLP has it in JSON: whole numbers are texts (Protocol Buffers, "ProtoJSON Format")."""
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in cast("list[Any]", value)]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
