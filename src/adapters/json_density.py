"""Limits how many values the JSON of a client has, before it is parsed: each value takes about 70 bytes of memory."""

import json
import re
from typing import Any

BYTES_PER_REPLAYED_VALUE = 12
"""The fewest bytes of a value in what the gateway wrote for a client to send back: names and signatures are longer."""
_MANY = 100_000
_SEPARATORS = rb"""(?:(?:[^"\[{,]++|"(?:[^"\\]++|\\.)*+"?)*+[\[{,]){%d}+"""
"""So many separators outside strings; possessive, so that it keeps nothing to go back to."""


def is_dense(body: bytes, most: int) -> bool:
    """Whether a JSON text has more than about `most` values.

    What separates values is counted; where that might be too much, again without what stands in strings.
    """
    if sum(body.count(separator) for separator in (b",", b"{", b"[")) <= most:
        return False
    step = 1000 if most >= _MANY else 4
    separators = re.compile(_SEPARATORS % step, re.DOTALL)
    found = place = 0
    while found <= most and (match := separators.match(body, place)):
        found, place = found + step, match.end()
    return found > most


def parse_replayed(body: bytes) -> Any:
    """The value of JSON that a client sends back inside an opaque field. None if it is not JSON, or if it is denser
    than what the gateway writes: the limit of the request's own body does not see it.
    """
    if is_dense(body, len(body) // BYTES_PER_REPLAYED_VALUE):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
