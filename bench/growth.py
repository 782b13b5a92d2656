"""Growth: CPU and peak memory of one request as prompts, streams, open holds and concurrent streams grow.

"Per unit" is the CPU for one character, chunk, hold or stream, divided by that of the smallest row of its group: what
stays at one or below is linear.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.client import ChatClient
from bench.figures import Row
from bench.processes import cpu_ms, forget_peak, peak_megabytes
from bench.subjects import FLAGS, Fixture, Subject
from tollgate.gateway import keys
from tollgate.gateway.admission import Hold
from tollgate.stores.dynamodb.store import DynamoDBStore

PROMPTS = {10_000: 20, 100_000: 10, 1_000_000: 4, 5_000_000: 2}
"""Characters of a prompt, and how often it is sent."""
CHUNKS = {100: 10, 1_000: 4, 10_000: 1}
HOLDS = {1: 20, 100: 20, 500: 20}
CONCURRENT = {1: 16, 8: 4, 64: 1}
ROUNDS = 3


@dataclass(frozen=True)
class Grown:
    """The CPU milliseconds of requests of one size, those for one unit, and the peak memory."""

    subject: str
    group: str
    size: int
    cpu_ms: Sequence[float]
    per_unit: float
    megabytes: float

    def row(self, naive: float | None) -> Row:
        """The row of the table; `naive` is what the relay needs."""
        note = f"{self.per_unit:.2f} per unit, peak {self.megabytes:.0f} MB"
        return Row(f"{self.subject}: {self.size:,} {self.group}, ms CPU", self.cpu_ms, 1, naive, note)


async def measure(subjects: Sequence[Subject]) -> list[Row]:
    """The rows for prompts and streams. The first subject is the relay; all of them serve 64 requests at once."""
    naive: dict[tuple[str, int], float] = {}
    rows: list[Row] = []
    for subject in subjects:
        found = await _measure(subject)
        rows += [grown.row(naive.get((grown.group, grown.size))) for grown in found]
        naive = naive or {(grown.group, grown.size): median(grown.cpu_ms) for grown in found}
    return rows


async def measure_holds(subjects: Sequence[Subject], shared: Fixture) -> list[Row]:
    """The rows for open holds in DynamoDB."""
    return [grown.row(None) for subject in subjects for grown in await _with_holds(subject, shared)]


async def _measure(subject: Subject) -> list[Grown]:
    client = ChatClient(subject.base_url, subject.key)
    for model in ("buffered", "stream"):
        await client.chat(model)

    async def prompt(size: int) -> None:
        await client.chat("buffered", "a" * size)

    async def chunks(size: int) -> None:
        await client.chat(f"stream-{size}")

    async def concurrent(size: int) -> None:
        await asyncio.gather(*(client.chat("stream") for _ in range(size)))

    found = [
        *await _grow(subject, "characters of the prompt", PROMPTS, prompt),
        *await _grow(subject, "chunks of the stream", CHUNKS, chunks),
        *await _grow(subject, "concurrent streams", CONCURRENT, concurrent),
    ]
    client.close()
    return found


async def _with_holds(subject: Subject, shared: Fixture) -> list[Grown]:
    """Requests of a key that has open holds."""
    store = DynamoDBStore(shared.table, shared.dynamodb.store_client())
    clients: dict[int, ChatClient] = {}
    for count in HOLDS:
        text = await asyncio.to_thread(shared.store.key, *FLAGS)
        await _open_holds(store, text, count)
        clients[count] = ChatClient(subject.base_url, text)
        await clients[count].chat("buffered")
    found = await _grow(subject, "open holds of the key", HOLDS, lambda size: clients[size].chat("buffered"))
    with contextlib.closing(store):
        for client in clients.values():
            client.close()
    return found


async def _open_holds(store: DynamoDBStore, key_text: str, count: int) -> None:
    now, key = time.time(), keys.read(key_text)
    for number in range(count):
        request_id = f"req_{round(now * 1000):012x}{number:020x}"
        await store.admit(Hold(request_id, key, "bench/buffered", now, now + 900, 100, 1000))


async def _grow(
    subject: Subject, group: str, sizes: dict[int, int], request: Callable[[int], Awaitable[None]]
) -> list[Grown]:
    """Send requests of each size, and so often."""
    found: list[Grown] = []
    for size, times in sizes.items():
        forget_peak(subject.processes)
        cpu = [await _cpu(subject, size, times, request) for _ in range(ROUNDS)]
        per_unit = median(cpu) / size
        smallest = found[0] if found else None
        relative = per_unit / (median(smallest.cpu_ms) / smallest.size) if smallest else 1.0
        found.append(Grown(subject.name, group, size, cpu, relative, peak_megabytes(subject.processes)))
    return found


async def _cpu(subject: Subject, size: int, times: int, request: Callable[[int], Awaitable[None]]) -> float:
    before = cpu_ms(subject.processes)
    for _ in range(times):
        await request(size)
    return (cpu_ms(subject.processes) - before) / times
