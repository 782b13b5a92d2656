"""Logging for the app and the runtime: one JSON object per line on stdout, with the request id.

The managed runtime adds a handler to the root logger, so a replacement of it must do so, too.
"""

import json
import logging
import sys
import time
import traceback
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = logging.getLogger("streaming_runtime")


class JsonLines(logging.Handler):
    """Writes the fields of Lambda's JSON log format: timestamp, level, message, logger, requestId, stack trace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record in one write, so that the lines of concurrent tasks do not mix."""
        try:
            sys.stdout.write(_line(record) + "\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


def _line(record: logging.LogRecord) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    entry: dict[str, Any] = {
        "timestamp": f"{stamp}.{int(record.msecs):03d}Z",
        "level": record.levelname,
        "message": record.getMessage(),
        "logger": record.name,
        "requestId": request_id.get(),
    }
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        entry["errorType"] = type(error).__name__
        entry["errorMessage"] = str(error)
        entry["stackTrace"] = traceback.format_exception(error)
    return json.dumps(entry, default=str)


def install(level: str) -> None:
    """Set up the root logger and the runtime's. An invalid level means INFO for the runtime and WARNING for others."""
    handler = JsonLines()
    root = logging.getLogger()
    root.addHandler(handler)
    # The runtime's lines stay JSON on stdout even if the app replaces the handlers of the root logger.
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    levels = logging.getLevelNamesMapping()
    if level in levels:
        root.setLevel(levels[level])
        logger.setLevel(levels[level])
