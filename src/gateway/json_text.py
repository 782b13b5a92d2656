"""Writes the JSON that clients get."""

import json
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"))
"""`json.dumps` with these arguments makes an encoder for each call, which costs as much as a small event."""


def dump(value: Any) -> bytes:
    """JSON without spaces. ASCII only, so that a client that splits events at U+2028 reads it too."""
    return _ENCODER.encode(value).encode("ascii")
