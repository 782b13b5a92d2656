"""Documents that instances share, in both stores: one writer wins, and what has expired does not exist."""

import asyncio

from contract.examples import NOW
from contract.store_state import FakeClock
from tollgate.gateway.store_ports import Store

END = NOW + 100


async def test_document_is_read_as_it_was_written(store: Store) -> None:
    assert await store.read("c", "n") is None
    assert await store.write("c", "n", b"\x00body", END, None)
    document = await store.read("c", "n")
    assert document is not None
    assert (document.body, document.expires_at) == (b"\x00body", int(END))
    assert await store.read("c", "other") is None
    assert await store.read("other", "n") is None


async def test_collection_is_read_as_a_whole(store: Store) -> None:
    for name in ("a/b#c", "b"):
        await store.write("c", name, name.encode(), END, None)
    await store.write("d", "a", b"", END, None)
    assert {name: found.body for name, found in (await store.read_all("c")).items()} == {"a/b#c": b"a/b#c", "b": b"b"}


async def test_document_is_replaced_only_as_it_was_read(store: Store) -> None:
    await store.write("c", "n", b"1", END, None)
    read = await store.read("c", "n")
    assert not await store.write("c", "n", b"2", END, None)
    assert await store.write("c", "n", b"3", END, read)
    assert not await store.write("c", "n", b"4", END, read)
    document = await store.read("c", "n")
    assert document is not None
    assert document.body == b"3"


async def test_expired_document_does_not_exist(store: Store, clock: FakeClock) -> None:
    await store.write("c", "n", b"old", END, None)
    clock.now = END + 1
    assert await store.read("c", "n") is None
    assert await store.read_all("c") == {}
    assert await store.write("c", "n", b"new", END + 100, None)


async def test_one_of_several_writers_wins(store: Store) -> None:
    written = await asyncio.gather(*(store.write("c", "n", bytes([number]), END, None) for number in range(8)))
    assert written.count(True) == 1
    document = await store.read("c", "n")
    assert document is not None
    assert document.body == bytes([written.index(True)])
