"""The health of routes, shared by instances on one store: what one learns, the others know after their next read."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from contract.examples import NOW
from contract.store_state import FakeClock
from support.families import route_to
from tollgate.gateway.circuit import COOLDOWN, FAILURES
from tollgate.gateway.errors import BadRequestError, RateLimitError, UpstreamAuthError, UpstreamError
from tollgate.gateway.store_ports import Store
from tollgate.stores.shared_health import AUTH_COOLDOWN, COLLECTION, READ_SECONDS, SharedHealth
from tollgate.stores.sqlite.store import SQLiteStore

ROUTE, OTHER = route_to("a"), route_to("b")
FAILURE = UpstreamError("x")


async def fail(health: SharedHealth, times: int = FAILURES) -> None:
    for _ in range(times):
        health.failed(ROUTE, FAILURE)
        await health.idle()


async def refreshed(store: Store, clock: FakeClock) -> SharedHealth:
    """What another instance knows."""
    health = SharedHealth(store, clock)
    health.refresh()
    await health.idle()
    return health


async def test_failures_of_several_instances_add_up(store: Store, clock: FakeClock) -> None:
    one, two = SharedHealth(store, clock), SharedHealth(store, clock)
    await fail(one, FAILURES - 1)
    assert not one.is_on_cooldown(ROUTE)
    await fail(two, 1)
    assert two.is_on_cooldown(ROUTE)
    assert not two.is_on_cooldown(OTHER)
    assert (await refreshed(store, clock)).is_on_cooldown(ROUTE)


async def test_one_instance_alone_probes_after_a_cooldown(store: Store, clock: FakeClock) -> None:
    await fail(SharedHealth(store, clock))
    instances = [await refreshed(store, clock) for _ in range(5)]
    clock.now = NOW + COOLDOWN + 1
    assert not any(health.may_probe(ROUTE) for health in instances)  # each asks for the probe
    await asyncio.gather(*(health.idle() for health in instances))
    probing = [health for health in instances if health.may_probe(ROUTE)]
    assert len(probing) == 1
    assert not probing[0].may_probe(ROUTE)  # one request
    assert all(health.is_on_cooldown(ROUTE) for health in instances)
    probing[0].succeeded(ROUTE)
    await probing[0].idle()
    assert not (await refreshed(store, clock)).is_on_cooldown(ROUTE)


async def test_route_that_fails_more_often_than_not_is_put_on_cooldown(store: Store, clock: FakeClock) -> None:
    health = SharedHealth(store, clock)
    for outcome in "FSFSF":
        if outcome == "S":
            health.succeeded(ROUTE)
        else:
            await fail(health, 1)
    assert health.is_on_cooldown(ROUTE)


async def test_successes_of_a_route_in_use_write_nothing(sqlite: SQLiteStore, clock: FakeClock) -> None:
    health = SharedHealth(sqlite, clock)
    await fail(health, 1)
    before = await sqlite.read_all(COLLECTION)
    for _ in range(5):
        health.succeeded(ROUTE)
        await health.idle()
    assert await sqlite.read_all(COLLECTION) == before
    await fail(health, 2)
    assert not health.is_on_cooldown(ROUTE)


async def test_failed_probe_begins_a_longer_cooldown(store: Store, clock: FakeClock) -> None:
    health = SharedHealth(store, clock)
    await fail(health)
    clock.now = NOW + COOLDOWN + 1
    assert not health.may_probe(ROUTE)
    await health.idle()
    assert health.may_probe(ROUTE)
    await fail(health, 1)
    clock.now += 2 * COOLDOWN - 1
    assert (await refreshed(store, clock)).is_on_cooldown(ROUTE)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(RateLimitError("x", retry_after=20.0), 20), (UpstreamAuthError("x"), AUTH_COOLDOWN), (BadRequestError("x"), 0)],
)
async def test_cooldown_is_as_long_as_the_failure_says(
    store: Store, clock: FakeClock, error: UpstreamError, seconds: float
) -> None:
    health = SharedHealth(store, clock)
    health.failed(ROUTE, error)
    await health.idle()
    assert health.is_on_cooldown(ROUTE) is bool(seconds)
    clock.now = NOW + seconds + 1
    assert not health.is_on_cooldown(ROUTE)


async def test_others_are_read_at_most_once_in_some_seconds(sqlite: SQLiteStore, clock: FakeClock) -> None:
    health = await refreshed(sqlite, clock)
    await fail(SharedHealth(sqlite, clock))
    health.refresh()
    await health.idle()
    assert not health.is_on_cooldown(ROUTE)
    clock.now += READ_SECONDS
    health.refresh()
    await health.idle()
    assert health.is_on_cooldown(ROUTE)


async def test_store_that_does_not_respond_costs_only_what_others_know(tmp_path: Path, clock: FakeClock) -> None:
    with closing(SQLiteStore(tmp_path / "db", now=clock)) as store:
        health = SharedHealth(store, clock)
    health.refresh()
    await fail(health)
    assert health.is_on_cooldown(ROUTE)
