"""Serving: CPU per request, peak memory, and the delay of the first token, beside a relay that does nothing else.

One request runs at a time, as in Lambda. Rounds alternate between the subjects, so that a busy machine slows all of
them.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.client import ChatClient
from bench.figures import Row
from bench.processes import cpu_ms, peak_megabytes
from bench.provider import EVENTS
from bench.subjects import Subject

ROUNDS, REQUESTS, STREAMS, DELAYS = 7, 40, 15, 30
MORE, LARGE = 200, 5_500_000
"""Requests of each kind, and characters of one prompt, before the peak of memory is read."""
PEAK = "800 requests and a prompt of 5.5 MB"


@dataclass
class Measured:
    """What was measured of a subject: milliseconds of CPU, milliseconds of delay, and megabytes."""

    subject: Subject
    buffered: list[float] = field(default_factory=list[float])
    stream: list[float] = field(default_factory=list[float])
    delays: list[float] = field(default_factory=list[float])
    peak: float = 0.0


async def measure(subjects: Sequence[Subject]) -> list[Measured]:
    """Run the rounds."""
    measured = [Measured(subject) for subject in subjects]
    with contextlib.ExitStack() as opened:
        pairs = [(each, opened.enter_context(contextlib.closing(_client(each.subject)))) for each in measured]
        for each, client in pairs:
            await _cpu(each.subject, client, "buffered", REQUESTS)
            await _stream(each.subject, client, STREAMS)
        for _ in range(ROUNDS):
            for each, client in pairs:
                each.buffered.append(await _cpu(each.subject, client, "buffered", REQUESTS))
                each.stream += await _stream(each.subject, client, STREAMS)
        for each, client in pairs:
            each.delays = await _delays(each.subject, client)
        for each, client in pairs:
            await _cpu(each.subject, client, "buffered", MORE)
            await _stream(each.subject, client, MORE)
            await client.chat("buffered", "a" * LARGE)
            each.peak = peak_megabytes(each.subject.processes)
    return measured


def rows(measured: Sequence[Measured]) -> list[Row]:
    """The rows of the table, each with the figure of the first subject, the relay, beside it."""
    relay = measured[0]
    return [row for each in measured for row in _rows(each, None if each is relay else relay)]


def _rows(each: Measured, relay: Measured | None) -> list[Row]:
    name = each.subject.name
    buffered, stream = relay and median(relay.buffered), relay and median(relay.stream)
    delay, peak = relay and median(relay.delays), relay and relay.peak
    found = [
        Row(f"{name}: buffered request, ms CPU", each.buffered, naive=buffered),
        Row(f"{name}: stream of {EVENTS} events, ms CPU", each.stream, naive=stream),
        Row(f"{name}: first token, later than the provider's, ms", each.delays, 2, delay),
        Row(f"{name}: peak memory after {PEAK}, MB", [each.peak], 0, peak),
    ]
    return [row for row in found if row.values]


def _client(subject: Subject) -> ChatClient:
    return ChatClient(subject.base_url, subject.key, subject.headers)


async def measure_delays(subjects: Sequence[Subject], store: str) -> list[Row]:
    """The delay of the first token with another store."""
    found: list[Row] = []
    for subject in subjects:
        with contextlib.closing(_client(subject)) as client:
            await _cpu(subject, client, "buffered", REQUESTS)
            name = f"{subject.name}, {store}: first token, later than the provider's, ms"
            found.append(Row(name, await _delays(subject, client)))
    return found


async def _delays(subject: Subject, client: ChatClient) -> list[float]:
    return [await client.first_token_delay() for _ in range(DELAYS) if subject.streams]


async def _cpu(subject: Subject, client: ChatClient, model: str, times: int) -> float:
    """Milliseconds of CPU per request."""
    before = cpu_ms(subject.processes)
    for _ in range(times):
        await client.chat(model)
    return (cpu_ms(subject.processes) - before) / times


async def _stream(subject: Subject, client: ChatClient, times: int) -> list[float]:
    """The same for streams, if the gateway can stream at all."""
    return [await _cpu(subject, client, "stream", times)] if subject.streams else []
