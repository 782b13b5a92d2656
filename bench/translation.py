"""Translation: CPU per chunk of a stream, from a provider's bytes to OpenAI's, in each wire family.

The stream is a recorded one, in which the last chunk of text is repeated a thousand times.
"""

import time

from bench.figures import Row
from support.families import ALL
from support.long_streams import LongStream, long_stream
from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.client_format import ResponseInfo

REPEATS, ROUNDS = 1000, 20


def measure() -> list[Row]:
    """One row per family."""
    return [Row(f"{name} family: one chunk translated, microseconds CPU", _rounds(long_stream(name))) for name in ALL]


def _rounds(stream: LongStream) -> list[float]:
    data = stream.encode(REPEATS + 1)
    _translate(stream, data)
    return [_translate(stream, data) for _ in range(ROUNDS)]


def _translate(stream: LongStream, data: bytes) -> float:
    """Microseconds of CPU per chunk. The bytes are split as by a network, with several chunks in each piece."""
    parser, encoder = stream.family.open(stream.name), ChatEncoder(ResponseInfo("req_1", 1, "m", "bench", "openai"))
    pieces = [data[i : i + 4096] for i in range(0, len(data), 4096)]
    started, chunks = time.process_time(), 0
    for piece in pieces:
        for chunk in parser.feed(piece):
            encoder.chunk(chunk)
            chunks += 1
    assert chunks > REPEATS
    return (time.process_time() - started) / chunks * 1e6
