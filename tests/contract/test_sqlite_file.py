"""The SQLite file: permissions, persistence, migration, and access by several processes."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from contract.examples import BY, KEY_ID, NOW, REQUEST, hold, key, usage
from contract.store_state import FakeClock, balance, open_holds, records
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import NEVER, UNLIMITED
from tollgate.gateway.metering import Cost
from tollgate.stores.sqlite.file import StoreFileError
from tollgate.stores.sqlite.schema import MIGRATIONS
from tollgate.stores.sqlite.store import SQLiteStore

PROCESSES = 4
REQUESTS = 25
WORKER = f"""
import asyncio, sys
from contract.store_state import FakeClock
from contract.examples import hold, usage
from tollgate.stores.sqlite.store import SQLiteStore

async def main():
    store = SQLiteStore(sys.argv[1], now=FakeClock())
    for i in range({REQUESTS}):
        request_id = f"req-{{sys.argv[2]}}-{{i}}"
        await store.admit(hold(request_id))
        assert await store.settle(usage(request_id), hold(request_id))
    print(await store.settle(usage("shared"), hold("shared")))
    store.close()

asyncio.run(main())
"""


async def test_data_is_kept_after_the_process_ends(database: Path) -> None:
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        await store.create(key(limits={"rpm": 2}), BY)
        await store.admit(hold("req-1"))
        await store.settle(usage("req-1"), hold("req-1"))
        before = await store.get(KEY_ID)
        await store.admit(hold("req-2"))
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        assert before is not None
        assert (await balance(store)).requests_left == before.balance.requests_left - 1 == 0
        assert await open_holds(store) == {"req-2"}
        assert await store.settle(usage("req-1"), hold("req-1")) is False


async def test_initial_key_is_stored_once(database: Path) -> None:
    for name in ("first", "second"):
        with closing(SQLiteStore(database, [key(name=name)])) as store:
            assert [record.name for record in await store.list()] == ["first"]
            assert len(await store.audit(KEY_ID)) == 1


async def test_file_of_the_first_version_is_migrated(database: Path) -> None:
    with closing(sqlite3.connect(database)) as old:
        old.executescript(MIGRATIONS[0])
        old.execute("INSERT INTO keys VALUES (?, ?, 'old', 'active', 1700000000, NULL)", (KEY_ID, key().key_hash))
        old.execute("INSERT INTO holds VALUES (?, 'req-0', 1, 2)", (KEY_ID,))
        columns = "key_id, request_id, model, started_at, streamed, status, latency_ms, input_tokens, cost_source"
        old.execute(
            f"INSERT INTO usage ({columns}) VALUES (?, ?, 'm', ?, 0, 504, 9, NULL, 'unknown')", (KEY_ID, REQUEST, NOW)
        )
        old.execute("PRAGMA user_version = 1")
        old.commit()
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        record = KeyRecord(KEY_ID, key().key_hash, "old", "active", 1_700_000_000)
        assert list(await store.list()) == [record]
        assert (await balance(store)).budget_until == NEVER
        account = await store.admit(hold("req-1", tokens=10**9, micro_usd=10**9))
        assert account.record == record
        assert account.balance.tokens_left == UNLIMITED - 10**9
        assert await open_holds(store) == {"req-1"}
        (found,) = await records(store)
        assert (found.provider, found.usage, found.cost) == ("", None, Cost(None, "unknown"))
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        assert await open_holds(store) == {"req-1"}


async def test_count_missing_in_an_old_record_is_zero(database: Path) -> None:
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        await store.create(key(), BY)
        await store.admit(hold())
        await store.settle(usage(), hold())
    with closing(sqlite3.connect(database)) as old:
        old.execute("UPDATE usage SET cache_write_1h_tokens = NULL, cached_audio_tokens = NULL, cost_note = NULL")
        old.commit()
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        (found,) = await records(store)
        assert found.usage is not None
        assert (found.usage.cache_write_1h_tokens, found.usage.cached_audio_tokens, found.cost.note) == (0, 0, None)
        assert found.usage.input_tokens > 0


def test_only_the_owner_can_read_the_file(database: Path) -> None:
    with closing(SQLiteStore(database)):
        for file in database.parent.glob("tollgate.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreFileError, match=r"the folder .*nowhere does not exist"):
        SQLiteStore(tmp_path / "nowhere" / "tollgate.db")


def test_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreFileError, match="directory"):
        SQLiteStore(tmp_path)


def test_other_file_is_not_changed(database: Path) -> None:
    database.write_text("other content, " * 1000)
    with pytest.raises(StoreFileError, match="no SQLite database"):
        SQLiteStore(database)
    assert database.read_text() == "other content, " * 1000


def test_file_of_a_newer_version_is_not_changed(database: Path) -> None:
    with closing(SQLiteStore(database)):
        pass
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreFileError, match="newer"):
        SQLiteStore(database)


def test_several_processes_share_one_file(database: Path) -> None:
    python = f"import sys; sys.path[:0] = {sys.path!r}\n{WORKER}"
    with closing(SQLiteStore(database, now=FakeClock())) as store:
        asyncio.run(store.create(key(), BY))
    workers = [
        subprocess.Popen([sys.executable, "-c", python, str(database), str(i)], stdout=subprocess.PIPE, text=True)
        for i in range(PROCESSES)
    ]
    outputs = [worker.communicate(timeout=60)[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * PROCESSES
    assert sorted(outputs) == ["False"] * (PROCESSES - 1) + ["True"]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM usage").fetchone() == (PROCESSES * REQUESTS + 1,)
        assert connection.execute("SELECT count(*) FROM holds").fetchone() == (0,)


def test_concurrent_processes_can_open_a_new_file(database: Path) -> None:
    code_to_open = "from tollgate.stores.sqlite.store import SQLiteStore\nSQLiteStore(sys.argv[1]).close()"
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{code_to_open}"
    openers = [subprocess.Popen([sys.executable, "-c", code, str(database)]) for _ in range(8)]
    assert [opener.wait(60) for opener in openers] == [0] * 8


def test_sqlite_store_imports_no_aws_library() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import tollgate.stores.sqlite.store\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('boto3', 'botocore', 'urllib3')]"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
