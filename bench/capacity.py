"""Capacity: the write units and calls of one request in DynamoDB, as DynamoDB Local counts them."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bench.figures import Row
from contract.examples import usage
from support.dynamodb_local import GivenCredentials, create_table, serve
from tollgate.gateway import keys
from tollgate.gateway.admission import Hold
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Budget, Limits
from tollgate.http_client.pool import ConnectionPool
from tollgate.stores.dynamodb.client import DynamoDBClient, Json
from tollgate.stores.dynamodb.endpoint import Endpoint
from tollgate.stores.dynamodb.store import DynamoDBStore

REQUESTS = 20
OPEN = 100
"""The number of open requests, whose holds are on the item of the key and are written with it."""
ADMIT, SETTLE = "DynamoDB: admit, write units", "DynamoDB: settle, write units"
LIMITS = Limits(rpm=1000, tpm=1_000_000, concurrency=1000, budget=Budget(Decimal(100), "day"))


class CapacityMeter(DynamoDBClient):
    """A client that requests the consumed capacity of every write, and collects it."""

    def __init__(self, url: str) -> None:
        super().__init__(Endpoint("us-east-1", url), GivenCredentials(), ConnectionPool(), response_timeout=60)
        self._units: list[float] = []

    async def call(self, operation: str, parameters: Json) -> dict[str, Any]:
        if operation not in ("UpdateItem", "PutItem"):
            return await super().call(operation, parameters)
        units = 0.0
        try:
            response = await super().call(operation, {**parameters, "ReturnConsumedCapacity": "TOTAL"})
            units = response["ConsumedCapacity"]["CapacityUnits"]
        finally:
            self._units.append(units)
        return response

    def collected(self) -> Sequence[float]:
        """The units of each call since the last call of this method; none of a failed one."""
        units, self._units = self._units, []
        return units


async def measure() -> list[Row]:
    """Write units and calls of admission and settlement, one request at a time."""
    with serve() as dynamodb:
        meter = CapacityMeter(dynamodb.url)
        store = DynamoDBStore(create_table(dynamodb.client()), meter)
        _, key = keys.generate(lambda size: b"\x07" * size)
        await store.create(KeyRecord(key.key_id, key.key_hash, "bench", "active", 0, limits=LIMITS), "bench")
        meter.collected()
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
        Row(ADMIT, [sum(calls) for calls in admits], 1),
        Row(f"DynamoDB: admit with {OPEN} open requests, write units", with_open_requests, 1),
        Row("DynamoDB: admit, calls", [len(calls) for calls in admits], 0),
        Row(SETTLE, [sum(calls) for calls in settles], 1),
        Row("DynamoDB: settle, calls", [len(calls) for calls in settles], 0),
    ]


def units_per_request(rows: Sequence[Row]) -> float:
    """The write units of a request, of the rows that `measure` returns."""
    return sum(row.median for row in rows if row.name in (ADMIT, SETTLE))


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
