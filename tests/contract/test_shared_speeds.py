"""The speed of routes, shared by instances on one store: what one measures, the others know after their next read."""

from contextlib import closing
from pathlib import Path

import pytest

from contract.store_state import FakeClock
from support.families import route_to
from tollgate.gateway.speed import SHARE, UNKNOWN, Speed
from tollgate.gateway.store_ports import Store
from tollgate.stores.shared_speeds import FORGOTTEN, READ_SECONDS, WRITE_SECONDS, SharedSpeeds
from tollgate.stores.sqlite.store import SQLiteStore

ROUTE, OTHER = route_to("a"), route_to("b")


async def observe(speeds: SharedSpeeds, throughput: float) -> None:
    speeds.observed(ROUTE, Speed(throughput=throughput))
    await speeds.idle()


async def read(speeds: SharedSpeeds) -> Speed:
    speeds.refresh()
    await speeds.idle()
    return speeds.speed(ROUTE)


async def test_instances_share_the_average_of_what_they_measure(store: Store, clock: FakeClock) -> None:
    one, two = SharedSpeeds(store, clock), SharedSpeeds(store, clock)
    await observe(one, 100)
    await observe(two, 50)  # the mean of both is stored
    assert (await read(SharedSpeeds(store, clock))).throughput == 75
    assert one.speed(OTHER) == UNKNOWN
    clock.now += WRITE_SECONDS
    assert (await read(one)).throughput == 75


async def test_instance_follows_its_own_measurements_between_writes(store: Store, clock: FakeClock) -> None:
    speeds = SharedSpeeds(store, clock)
    await observe(speeds, 100)
    await observe(speeds, 50)
    assert speeds.speed(ROUTE).throughput == pytest.approx(100 - 50 * SHARE)
    assert (await read(SharedSpeeds(store, clock))).throughput == 100  # written at most once a minute
    clock.now += READ_SECONDS
    assert (await read(speeds)).throughput == pytest.approx(100 - 50 * SHARE)


async def test_route_that_nobody_measures_is_forgotten(store: Store, clock: FakeClock) -> None:
    speeds = SharedSpeeds(store, clock)
    await observe(speeds, 100)
    clock.now += FORGOTTEN + 1
    assert await read(speeds) == UNKNOWN


async def test_store_that_does_not_respond_costs_what_others_measured(tmp_path: Path, clock: FakeClock) -> None:
    with closing(SQLiteStore(tmp_path / "db", now=clock)) as store:
        speeds = SharedSpeeds(store, clock)
    await observe(speeds, 100)
    assert (await read(speeds)).throughput == 100
