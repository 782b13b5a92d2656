"""Reads the lines that the functions log from CloudWatch Logs."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

from tollgate.handler.cli.aws import aws_client, aws_errors

LATE_SECONDS = 30.0
"""CloudWatch shows a line some seconds after it was logged."""


def log_lines(
    log_group: str, region: str | None, since: float, key_id: str | None, poll_seconds: float | None
) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """The requests in a log group since then (Unix seconds), each once; without `poll_seconds` only those of now.

    Raises ConfigurationError if AWS refuses.
    """
    pattern = '{ $.message = "request*" }' if key_id is None else f'{{ $.key_id = "{key_id}" }}'
    pages = aws_client("logs", region).get_paginator("filter_log_events")
    seen: set[str] = set()
    while True:
        begun = time.time()
        with aws_errors():
            for page in pages.paginate(logGroupName=log_group, startTime=int(since * 1000), filterPattern=pattern):
                for event in page["events"]:
                    fields = _fields(event["message"])
                    if fields is not None and event["eventId"] not in seen:
                        seen.add(event["eventId"])
                        yield event["timestamp"] / 1000, fields
        if poll_seconds is None:
            return
        since = max(since, begun - LATE_SECONDS)
        time.sleep(poll_seconds)


def _fields(line: str) -> Mapping[str, Any] | None:
    """The fields of a request's line; None for another line."""
    try:
        fields: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) and "status" in fields else None
