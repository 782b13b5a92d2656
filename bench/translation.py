"""Translation: CPU per chunk of a stream, from a provider's bytes to OpenAI's, in each wire family.

The stream is a recorded one, in which the last chunk of text is repeated a thousand times.
"""

import time
from collections.abc import Sequence
from typing import Any

from bench.figures import Row
from support.families import ALL, Family
from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.client_format import ResponseInfo

REPEATS, ROUNDS = 1000, 20
RECORDED = {"openai": "openai_text"}
"""The name of the recorded stream, if it is not `text`."""


def measure() -> list[Row]:
    """One row per family."""
    return [Row(f"{name} family: one chunk translated, microseconds CPU", _rounds(ALL[name])) for name in ALL]


def _rounds(family: Family) -> list[float]:
    name = RECORDED.get(family.name, "text")
    data = family.encode(_long(family, name))
    _translate(family, name, data)
    return [_translate(family, name, data) for _ in range(ROUNDS)]


def _long(family: Family, name: str) -> Sequence[Any]:
    """The events of the stream, with the last event that has text repeated a thousand times."""
    events, parser, last = family.events(name), family.open(name), 0
    for i, event in enumerate(events):
        chunks = parser.feed(family.encode([event]))
        if any(choice["delta"].get("content") for chunk in chunks for choice in chunk.choices):
            last = i
    return [*events[:last], *[events[last]] * REPEATS, *events[last:]]


def _translate(family: Family, name: str, data: bytes) -> float:
    """Microseconds of CPU per chunk. The bytes are split as by a network, with several chunks in each piece."""
    parser, encoder = family.open(name), ChatEncoder(ResponseInfo("req_1", 1, "m", "bench"))
    pieces = [data[i : i + 4096] for i in range(0, len(data), 4096)]
    started, chunks = time.process_time(), 0
    for piece in pieces:
        for chunk in parser.feed(piece):
            encoder.chunk(chunk)
            chunks += 1
    assert chunks > REPEATS
    return (time.process_time() - started) / chunks * 1e6
