"""Capacity: the write units and calls of one request in DynamoDB, as DynamoDB Local counts them."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bench.figures import Row
from contract.examples import usage
from support.dynamodb_local import create_table, serve
from tollgate.gateway import keys
from tollgate.gateway.admission import Hold
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Budget, Limits
from tollgate.stores.dynamodb.store import DynamoDBStore

REQUESTS = 20
OPEN = 100
"""The number of open requests, whose holds are on the item of the key and are written with it."""
LIMITS = Limits(rpm=1000, tpm=1_000_000, concurrency=1000, budget=Budget(Decimal(100), "day"))


class CapacityMeter:
    """Requests the consumed capacity of every write of a client, and collects it."""

    def __init__(self, client: Any) -> None:
        self.units: list[float] = []
        for operation in ("UpdateItem", "PutItem"):
            client.meta.events.register(f"provide-client-params.dynamodb.{operation}", self._request_capacity)
            client.meta.events.register(f"after-call.dynamodb.{operation}", self._collect)

    def collected(self) -> Sequence[float]:
        """The units of each call since the last call of this method."""
        units, self.units = self.units, []
        return units

    def _request_capacity(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _collect(self, parsed: dict[str, Any], **_: Any) -> None:
        self.units.append(parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))


async def measure() -> list[Row]:
    """Write units and calls of admission and settlement, one request at a time."""
    with serve() as dynamodb:
        client = dynamodb.client()
        store = DynamoDBStore(create_table(client), client=client)
        _, key = keys.generate(lambda size: b"\x07" * size)
        await store.create(KeyRecord(key.key_id, key.key_hash, "bench", "active", 0, limits=LIMITS), "bench")
        meter = CapacityMeter(client)
        admits: list[Sequence[float]] = []
        settles: list[Sequence[float]] = []
        for number in range(REQUESTS):
            now = time.time()
            request_id = f"req_{round(now * 1000):012x}{number:020x}"
            hold = Hold(request_id, key, "gpt-4o", now, now + 900, 100, 1000)
            await store.admit(hold)
            admits.append(meter.collected())
            await store.settle(usage(request_id, key_id=key.key_id, started_at=now), hold)
            settles.append(meter.collected())
        with_open_requests = await _admissions_with_open_requests(store, key, meter)
        store.close()
    return [
        Row("DynamoDB: admit, write units", [sum(calls) for calls in admits], 1),
        Row(f"DynamoDB: admit with {OPEN} open requests, write units", with_open_requests, 1),
        Row("DynamoDB: admit, calls", [len(calls) for calls in admits], 0),
        Row("DynamoDB: settle, write units", [sum(calls) for calls in settles], 1),
        Row("DynamoDB: settle, calls", [len(calls) for calls in settles], 0),
    ]


async def _admissions_with_open_requests(
    store: DynamoDBStore, key: keys.ApiKey, meter: CapacityMeter
) -> Sequence[float]:
    """The write units of admissions while `OPEN` requests are open."""
    now = time.time()
    for number in range(OPEN + REQUESTS):
        if number == OPEN:
            meter.collected()
        await store.admit(Hold(f"req_{round(now * 1000):012x}{number:019x}f", key, "gpt-4o", now, now + 900, 100, 1000))
    return meter.collected()
