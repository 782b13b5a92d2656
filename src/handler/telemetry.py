"""One JSON log line per request, which carries its metrics too, without prompts, responses, keys or credentials."""

import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.logging import Logger

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.errors import GatewayError, OwnCredentialError, UpstreamAuthError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.types import UNITS

SERVICE = "tollgate"
MAX_PATH = 200
DIMENSIONS = ("operation", "model", "provider", "service")
METRICS = {
    "requests": "Count",
    "errors": "Count",
    "credential_errors": "Count",
    "unsettled": "Count",
    "latency_ms": "Milliseconds",
    "time_to_first_token_ms": "Milliseconds",
    "upstream_ms": "Milliseconds",
    "input_tokens": "Count",
    "output_tokens": "Count",
    "cached_tokens": "Count",
    **dict.fromkeys(UNITS, "Count"),
    "cost_usd": "Count",
}
"""The metrics and their units: fields of the log line that CloudWatch reads as metrics where they have a value."""
TOTALS = ("requests", "errors", "credential_errors", "unsettled", "time_to_first_token_ms", "cost_usd")
"""The metrics that are also summed over every model and provider, for alarms, which cannot sum them."""
RARE = ("credential_errors", "unsettled")
"""Metrics that a model and provider have only if they are not zero: each name and combination costs."""
_SECRET = re.compile(r"\bsk-[^/]*")
"""Keys of Tollgate, and of providers with the same prefix."""


class Telemetry:
    """Writes to standard output, where CloudWatch Logs reads it. Without a namespace there are no metrics."""

    def __init__(self, level: str, metrics_namespace: str | None) -> None:
        self._logger = Logger(service=SERVICE, level=level, location=None, use_rfc3339=True, utc=True)
        self._logger.addFilter(_without_task_name)
        self._namespace = metrics_namespace

    def write_to(self, handler: logging.Handler) -> None:
        """Give the lines, with their fields as attributes of the record, to this handler alone."""
        logger = logging.getLogger(SERVICE)
        for each in [*logger.handlers]:
            logger.removeHandler(each)
        logger.addHandler(handler)

    def request(
        self, context: RequestContext, *, method: str, path: str, status: int, error_code: str | None, ms: int
    ) -> None:
        """Log one request that has ended; `ms` is its duration."""
        line: dict[str, Any] = {
            "request_id": context.request_id,
            "method": method[:16],
            "path": loggable(path),
            "status": status,
        }
        if context.record is None:
            key_id = context.account.record.key_id if context.account else None
            line |= {"key_id": key_id, "latency_ms": ms, "error_code": error_code}
        else:
            line |= record_fields(context.record)
            if self._namespace is not None:
                line |= _metrics(line, self._namespace, context.unsettled is not None)
        if context.guardrails:
            line["guardrails"] = [asdict(each) for each in context.guardrails]
        if context.account is not None and not context.account.checked:
            line["limits_checked"] = False
        if context.unsettled is None:
            if "_aws" in line and not logging.getLogger(SERVICE).isEnabledFor(logging.INFO):
                print(json.dumps({"service": SERVICE, **line}), flush=True)
            self._logger.info("request", extra=line)
        else:
            self._logger.error("request not settled", extra={**line, "settle_error": context.unsettled.code})

    def traces_lost(self, request_id: str, error: GatewayError) -> None:
        """Log that the trace of a request was not sent."""
        self._logger.warning("trace not sent", extra={"request_id": request_id, "error_code": error.code})

    def fault(self, request_id: str, error: BaseException) -> None:
        """Log a fault of the gateway: the type of the error and where it was raised, without its text, which may quote
        a request."""
        frames: list[str] = []
        at = error.__traceback__
        while at is not None:
            frames.append(f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno} {at.tb_frame.f_code.co_name}")
            at = at.tb_next
        fields = {"request_id": request_id, "error_type": type(error).__name__, "frames": frames[-12:]}
        self._logger.error("gateway fault", extra=fields)


def _metrics(line: dict[str, Any], namespace: str, unsettled: bool) -> dict[str, Any]:
    """What makes a log line of an admitted request carry its metrics (CloudWatch, "Embedded metric format")."""
    attempts: list[dict[str, Any]] = line.get("attempts") or [line]
    refused = sum(attempt["error_code"] == UpstreamAuthError.default_code for attempt in attempts)
    # A refused credential of a key's own is for its holder to mend.
    error = int(line["error_code"] not in (None, OwnCredentialError.default_code))
    counts = {"requests": 1, "errors": error, "credential_errors": refused, "unsettled": int(unsettled)}
    known = [name for name in METRICS if counts.get(name, line.get(name)) is not None]
    directives = [
        _directive(namespace, DIMENSIONS, [name for name in known if name not in RARE or counts[name]]),
        _directive(namespace, ("service",), [name for name in known if name in TOTALS]),
    ]
    is_route_name = line["model"] == f"{line['provider']}/{line['upstream_model']}"
    # A client can make up names of models, and each name would be metrics of its own, which cost.
    failed_model = {"model": f"{line['provider']}/*"} if is_route_name and line["error_code"] else {}
    return {**counts, **failed_model, "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}}


def _directive(namespace: str, dimensions: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": METRICS[name]} for name in names]
    return {"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics}


def loggable(path: str) -> str:
    """A path that may be logged: a client can write anything into it, also a key."""
    return _SECRET.sub("[redacted]", path[:1000])[:MAX_PATH]


def _without_task_name(record: logging.LogRecord) -> bool:
    """Drop the name of the asyncio task, which Python 3.12 and later add to every record."""
    record.__dict__.pop("taskName", None)
    return True


def record_fields(record: UsageRecord) -> dict[str, Any]:
    """The fields of a log line that a usage record has."""
    return {
        "key_id": record.key_id,
        "operation": record.operation,
        "model": record.model,
        "provider": record.provider,
        "upstream_model": record.upstream_model,
        "streamed": record.streamed,
        "status": record.status,
        "finish_reason": record.finish_reason,
        "error_code": record.error_code,
        "latency_ms": record.latency_ms,
        "time_to_first_token_ms": record.time_to_first_token_ms,
        "upstream_ms": record.upstream_ms,
        "input_tokens": record.usage.input_tokens if record.usage else None,
        "output_tokens": record.usage.output_tokens if record.usage else None,
        "cached_tokens": record.usage.cached_tokens if record.usage else None,
        **{unit: getattr(record.usage, unit) for unit in UNITS if record.usage and getattr(record.usage, unit)},
        "cost_usd": None if record.cost.usd is None else float(record.cost.usd),
        "cost_source": record.cost.source,
        "cost_note": record.cost.note,
        "estimated": record.estimated,
        **({"attempts": [attempt.to_json() for attempt in record.attempts]} if record.attempts else {}),
    }
