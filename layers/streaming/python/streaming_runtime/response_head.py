"""The head of an ASGI response in the two formats that Lambda accepts: the prelude of a stream, and proxy JSON."""

import binascii
import json
from dataclasses import dataclass
from typing import Any

from streaming_runtime.asgi import Message
from streaming_runtime.events import EventFormat

DELIMITER = bytes(8)
"""Eight NUL bytes between the prelude and the payload (Lambda developer guide, response streaming)."""

# They describe the connection to the app; the function URL or API Gateway adds its own.
_DROPPED = frozenset({"content-length", "transfer-encoding", "connection"})
_TEXT = ("text/", "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status and header fields of a response, set-cookie included; names are in lower case."""

    status: int
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def from_message(cls, message: Message) -> "ResponseHead":
        """The head in an ``http.response.start`` message."""
        fields = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"])
        return cls(message["status"], tuple(field for field in fields if field[0] not in _DROPPED))

    def get(self, name: str) -> str:
        """The first value of a field; empty if it is missing."""
        return next((value for key, value in self.fields if key == name), "")

    @property
    def is_event_stream(self) -> bool:
        """Whether the payload is server-sent events."""
        return self.get("content-type").partition(";")[0].strip().lower() == "text/event-stream"

    @property
    def has_body(self) -> bool:
        """Whether HTTP allows a payload with this status."""
        return self.status not in (204, 304)


def prelude(head: ResponseHead, event_format: EventFormat) -> bytes:
    """The JSON before a streamed payload, with the delimiter.

    A function URL reads ``headers`` (one string each) and ``cookies``; a REST API reads ``multiValueHeaders`` as well.
    """
    content: dict[str, Any] = {"statusCode": head.status, "headers": _joined(head), "cookies": _cookies(head)}
    if event_format == "rest":
        content["multiValueHeaders"] = _grouped(head, cookies=False)
    return json.dumps(content, separators=(",", ":")).encode() + DELIMITER


def proxy_json(head: ResponseHead, body: bytes, event_format: EventFormat) -> bytes:
    """A response as proxy integration JSON: payload 1.0 for a REST API, 2.0 for an HTTP API or a function URL."""
    content: dict[str, Any] = {"statusCode": head.status}
    if event_format == "rest":
        content["multiValueHeaders"] = _grouped(head, cookies=True)
    else:
        content["headers"] = _joined(head)
        content["cookies"] = _cookies(head)
    text = _as_text(head, body)
    content["body"] = binascii.b2a_base64(body, newline=False).decode() if text is None else text
    content["isBase64Encoded"] = text is None
    return json.dumps(content, separators=(",", ":")).encode()


def _joined(head: ResponseHead) -> dict[str, str]:
    return {name: ", ".join(values) for name, values in _grouped(head, cookies=False).items()}


def _cookies(head: ResponseHead) -> list[str]:
    return [value for name, value in head.fields if name == "set-cookie"]


def _grouped(head: ResponseHead, *, cookies: bool) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in head.fields:
        if cookies or name != "set-cookie":
            grouped.setdefault(name, []).append(value)
    return grouped


def _as_text(head: ResponseHead, body: bytes) -> str | None:
    media_type = head.get("content-type").partition(";")[0].strip().lower()
    is_text = media_type.startswith(_TEXT) or media_type.endswith(("+json", "+xml")) or not body
    if head.get("content-encoding") or not is_text:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
