"""The work to translate one chunk of text of a stream, counted so that neither machine nor load matters.

A bound is about a quarter above what the code needs today: whoever exceeds it has added work to every chunk.
"""

import sys
import tracemalloc
from collections.abc import Callable

import pytest

from support.long_streams import LongStream, long_stream
from support.python_calls import counted_calls
from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.client_format import ResponseInfo

CHUNKS = 200
MAX_CALLS = {"openai": 34, "anthropic": 27, "bedrock": 25, "gemini": 50}
"""Calls of Python functions, and resumed generators, per chunk."""
MAX_BYTES = {"openai": 4500, "anthropic": 2500, "bedrock": 2200, "gemini": 4800}
"""The peak of what is allocated while one chunk is translated."""
MAX_HELD_BLOCKS = {"openai": 0.5, "anthropic": 0.5, "bedrock": 0.5, "gemini": 1.5}
"""Blocks of memory per chunk that are still held when it was sent. Gemini's citations need the text before them."""


def translator(stream: LongStream) -> Callable[[bytes], None]:
    """Translates events as they arrive; the beginning of the stream has been translated, and some chunks of text."""
    parser, encoder = stream.family.open(stream.name), ChatEncoder(ResponseInfo("req_1", 1, "m", "p", "openai"))

    def translate(data: bytes) -> None:
        for chunk in parser.feed(data):
            encoder.chunk(chunk)

    translate(stream.family.encode(stream.before))
    for _ in range(10):
        translate(stream.family.encode([stream.text]))
    return translate


@pytest.mark.parametrize("family", MAX_CALLS)
def test_few_functions_are_called_for_each_chunk(family: str) -> None:
    stream = long_stream(family)
    translate, event = translator(stream), stream.family.encode([stream.text])
    with counted_calls() as counted:
        for _ in range(CHUNKS):
            translate(event)
    calls = counted.count / CHUNKS
    assert calls <= MAX_CALLS[family], f"{family}: {calls:.1f} calls per chunk, at most {MAX_CALLS[family]}"


@pytest.mark.parametrize("family", MAX_BYTES)
def test_little_memory_is_allocated_for_each_chunk(family: str) -> None:
    stream = long_stream(family)
    translate, event = translator(stream), stream.family.encode([stream.text])
    peaks: list[int] = []
    tracemalloc.start()
    try:
        for _ in range(CHUNKS):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            translate(event)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    typical = sorted(peaks)[CHUNKS // 2]
    assert typical <= MAX_BYTES[family], f"{family}: {typical} bytes for a chunk, at most {MAX_BYTES[family]}"


@pytest.mark.parametrize("family", MAX_CALLS)
def test_nothing_is_kept_of_a_chunk_that_was_sent(family: str) -> None:
    stream = long_stream(family)
    translate, event = translator(stream), stream.family.encode([stream.text])
    before = sys.getallocatedblocks()
    for _ in range(CHUNKS):
        translate(event)
    held = (sys.getallocatedblocks() - before) / CHUNKS
    assert held <= MAX_HELD_BLOCKS[family], f"{family}: {held:.2f} blocks, at most {MAX_HELD_BLOCKS[family]}"
