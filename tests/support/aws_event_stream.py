"""Frames of `application/vnd.amazon.eventstream`, made from lines of JSON: what a stream's fixture is kept as.

In a line, names that begin with a colon are headers, and `payload` is the payload; what else every frame of its kind
has is added.
"""

import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

KINDS = {":event-type": "event", ":exception-type": "exception", ":error-code": "error"}
STRING = 7


def encode(lines: Sequence[Any]) -> bytes:
    """A stream of frames; also of lines that make no sense."""
    return b"".join(frame(*_parts(line)) for line in lines)


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with these headers, all of them strings."""
    return raw_frame(b"".join(string_header(name, value) for name, value in headers.items()), payload)


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    """One frame around bytes that are taken for headers."""
    total = 4 + 4 + 4 + len(headers) + len(payload) + 4
    head = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    body = head + checksum(head) + headers + payload
    return body + checksum(body)


def string_header(name: str, value: str) -> bytes:
    """One header whose value is a string."""
    spelt, said = name.encode("utf-8", "replace")[:255], value.encode("utf-8", "replace")[:32767]
    return bytes([len(spelt)]) + spelt + bytes([STRING]) + len(said).to_bytes(2, "big") + said


def checksum(data: bytes) -> bytes:
    """The CRC32 of it."""
    return binascii.crc32(data).to_bytes(4, "big")


def _parts(line: Any) -> tuple[dict[str, str], bytes]:
    if not isinstance(line, dict):
        return {}, json.dumps(line).encode()
    fields = cast("dict[str, Any]", line)
    given = {name: str(value) for name, value in fields.items() if name.startswith(":")}
    kind = next((kind for name, kind in KINDS.items() if name in given), "")
    payload = b"" if "payload" not in fields else json.dumps(fields["payload"]).encode()
    return {**given, ":content-type": "application/json", ":message-type": kind}, payload
