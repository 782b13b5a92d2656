"""The head of an ASGI response in the two forms Lambda's front doors take: a stream's prelude and proxy JSON."""

import binascii
import json
from dataclasses import dataclass
from typing import Any

from streaming_runtime.asgi import Message
from streaming_runtime.events import Shape

DELIMITER = bytes(8)
"""Eight NUL bytes between the prelude and the payload (Lambda developer guide, response streaming)."""

# They describe a connection that ends here; the front door frames its own.
_DROPPED = frozenset({"content-length", "transfer-encoding", "connection"})
_TEXT = ("text/", "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status and header fields of an answer; names are lower-case and set-cookie is among them."""

    status: int
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def from_message(cls, message: Message) -> "ResponseHead":
        """Take over an ``http.response.start`` message."""
        fields = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"])
        return cls(message["status"], tuple(field for field in fields if field[0] not in _DROPPED))

    def get(self, name: str) -> str:
        """The first value of a field, empty when there is none."""
        return next((value for key, value in self.fields if key == name), "")

    @property
    def is_event_stream(self) -> bool:
        """Whether the payload is server-sent events."""
        return self.get("content-type").partition(";")[0].strip().lower() == "text/event-stream"

    @property
    def has_body(self) -> bool:
        """Whether HTTP allows a payload with this status at all."""
        return self.status not in (204, 304)


def prelude(head: ResponseHead, shape: Shape) -> bytes:
    """The JSON before a streamed payload, delimiter included.

    A function URL reads ``headers`` (one string each) and ``cookies``; a REST API reads ``multiValueHeaders`` as well.
    """
    content: dict[str, Any] = {"statusCode": head.status, "headers": _joined(head), "cookies": _cookies(head)}
    if shape == "rest":
        content["multiValueHeaders"] = _grouped(head, cookies=False)
    return json.dumps(content, separators=(",", ":")).encode() + DELIMITER


def proxy_json(head: ResponseHead, body: bytes, shape: Shape) -> bytes:
    """A whole answer as proxy integration JSON: payload 1.0 for a REST API, 2.0 for an HTTP API or a function URL."""
    content: dict[str, Any] = {"statusCode": head.status}
    if shape == "rest":
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
    kind = head.get("content-type").partition(";")[0].strip().lower()
    if head.get("content-encoding") or not (kind.startswith(_TEXT) or kind.endswith(("+json", "+xml")) or not body):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
