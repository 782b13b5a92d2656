"""What is read back under /v1: by whom, of which time, and under which names; the whole app on an empty file."""

import datetime
import secrets
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from contract.examples import BY, budget, hold, request_id, usage
from tollgate.gateway import keys
from tollgate.gateway.catalog import Catalog, load
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Limits
from tollgate.gateway.metering import Cost
from tollgate.gateway.serving import Dependencies, Gateway
from tollgate.handler.components import Components
from tollgate.handler.http.app import create_app
from tollgate.handler.telemetry import Telemetry
from tollgate.stores.sqlite.store import SQLiteStore

WEDNESDAY = datetime.datetime(2026, 11, 4, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86_400
LIMITS = Limits(rpm=10, tpm=1000, concurrency=3, budget=budget("1", "day"))
ROW = "created = 2026-01-01\nowned_by = 'o'\ncontext_length = 8\nroutes = [{ provider = 'echo', model = 'm' }]\n"
CATALOG = f"[providers.echo]\nfamily = 'echo'\nauth = 'none'\n[models.m]\naliases = ['n', 'o']\n{ROW}[models.x]\n{ROW}"


@dataclass
class Clock:
    """Time, as a test sets it."""

    at: float = WEDNESDAY

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Front:
    """The app and the store behind it, with the keys that were made."""

    store: SQLiteStore
    catalog: Catalog
    clock: Clock = field(default_factory=Clock)
    texts: dict[str, str] = field(default_factory=dict[str, str])

    async def key(self, **changes: Any) -> KeyRecord:
        text, key = keys.generate(secrets.token_bytes)
        record = KeyRecord(key.key_id, key.key_hash, "name", "active", int(WEDNESDAY) - 60 * DAY)
        record = replace(record, **changes)
        await self.store.create(record, BY)
        self.texts[record.key_id] = text
        return record

    async def used(self, key: KeyRecord, usd: str, at: float, **changes: Any) -> str:
        """A request's record; its id."""
        made = request_id(len(self.texts), at)
        record = usage(made, tokens=12, usd=usd, key_id=key.key_id, started_at=at, **changes)
        await self.store.settle(record, replace(hold(made), key=keys.read(self.texts[key.key_id])))
        return made

    async def get(self, key: KeyRecord, path: str) -> httpx.Response:
        nothing = cast(Any, None)
        edges = Dependencies({}, nothing, nothing, keys=self.store, ledger=self.store, clock=self.clock)
        quiet = Telemetry("CRITICAL", None)
        clock = cast(Any, self.clock)
        app = create_app(Components(Gateway(self.catalog, edges), self.store, self.store, quiet, clock, nothing))
        headers = {"authorization": f"Bearer {self.texts[key.key_id]}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1") as client:
            return await client.get(path, headers=headers)

    async def data(self, key: KeyRecord, path: str) -> Mapping[str, Any]:
        answer = await self.get(key, path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture
def front(tmp_path: Path) -> Generator[Front]:
    catalog = load([("c.toml", CATALOG)], ["echo"])
    clock = Clock()
    with closing(SQLiteStore(tmp_path / "t.db", now=clock.now)) as store:
        yield Front(store, catalog, clock)


def fault(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


@pytest.mark.parametrize("path", ["/key", "/auth/key", "/credits", "/usage", "/generation"])
async def test_another_key_is_read_by_an_admin_only(front: Front, path: str) -> None:
    admin, user, other = await front.key(role="admin"), await front.key(), await front.key(limits=LIMITS)
    made = await front.used(other, "0.25", WEDNESDAY)
    query = f"{path}?id={made}&key_id={other.key_id}"
    seen, own = await front.get(admin, query), await front.get(other, query)
    assert (seen.status_code, seen.text) == (200, own.text)
    assert fault(await front.get(user, query)) == (403, "key_id", "admin_only")
    for nobody in ("ffffffffffff", "x" * 3000, ""):
        answer = await front.get(admin, f"{path}?id={made}&key_id={nobody}")
        assert fault(answer) == (404, "key_id", "key_not_found")


async def test_a_key_named_is_the_one_that_is_shown(front: Front) -> None:
    admin, other = await front.key(role="admin"), await front.key(name="other", limits=LIMITS)
    assert (await front.data(admin, f"/key?key_id={other.key_id}"))["label"] == "other"
    assert (await front.data(admin, f"/credits?key_id={other.key_id}"))["total_credits"] == 1


async def test_a_deleted_keys_usage_is_still_counted(front: Front) -> None:
    admin, gone = await front.key(role="admin"), await front.key()
    made = await front.used(gone, "0.25", WEDNESDAY)
    await front.store.delete(gone.key_id, BY)
    for key_id in ("*", gone.key_id):
        listing = (await front.get(admin, f"/usage?group_by=key&key_id={key_id}")).json()
        assert [(row["key"], row["cost_usd"]) for row in listing["data"]] == [(gone.key_id, "0.250000")]
    assert (await front.data(admin, f"/generation?id={made}&key_id=*"))["total_cost"] == 0.25
    assert fault(await front.get(admin, f"/key?key_id={gone.key_id}")) == (404, "key_id", "key_not_found")
    assert (await front.get(gone, "/key")).status_code == 401


async def test_what_nobody_settled_in_its_time_is_not_in_use(front: Front) -> None:
    user = await front.key(limits=LIMITS)
    mine = replace(hold(), key=keys.read(front.texts[user.key_id]), tokens=100, micro_usd=400_000)
    mine = replace(mine, opened_at=WEDNESDAY, expires_at=WEDNESDAY + 30)
    for number in (1, 2):
        await front.store.admit(replace(mine, hold_id=request_id(number, WEDNESDAY)))
    for seconds, in_use, used in ((0, 2, 0.8), (29, 2, 0.8), (30, 0, 0), (59, 0, 0)):
        front.clock.at = WEDNESDAY + seconds
        key = await front.data(user, "/key")
        assert key["limits"]["concurrency"]["used"] == in_use
        assert key["limits"]["tokens"]["used"] == 100 * in_use
        assert key["limits"]["requests"]["used"] == 2
        assert key["limit_remaining"] == pytest.approx(1 - used)
        assert (await front.data(user, "/credits"))["total_usage"] == pytest.approx(used)
    # It left a record before its process died: what that says stays taken.
    record = usage(request_id(1, WEDNESDAY), tokens=12, usd="0.1", key_id=user.key_id, started_at=WEDNESDAY)
    await front.store.settle(record, replace(mine, hold_id="another"))
    key = await front.data(user, "/key")
    assert (key["limits"]["tokens"]["used"], key["limits"]["concurrency"]["used"]) == (12, 0)
    assert key["limit_remaining"] == pytest.approx(0.9)


async def test_usage_of_a_key_is_of_the_day_the_week_and_the_month(front: Front) -> None:
    user = await front.key()
    midnight = WEDNESDAY - DAY / 2
    moments = [midnight, midnight - 1, midnight - 2 * DAY, midnight - 2 * DAY - 1, midnight - 3 * DAY - 1]
    for usd, at in zip(("1", "2", "4", "8", "16"), moments, strict=True):
        await front.used(user, usd, at)
    key = await front.data(user, "/key")
    figures = [key[name] for name in ("usage_daily", "usage_weekly", "usage_monthly", "usage")]
    assert figures == [1, 7, 15, 31]


async def test_what_was_estimated_is_told_and_at_which_price(front: Front) -> None:
    user = await front.key()
    day = datetime.date(2026, 1, 1)
    guess = await front.used(user, "1", WEDNESDAY, estimated=True, cost=Cost(Decimal(1), "estimated", day))
    known = await front.used(user, "1", WEDNESDAY + 1, cost=Cost(Decimal(1), "provider"))
    told = [await front.data(user, f"/generation?id={made}") for made in (guess, known)]
    assert [(one["estimated"], one["priced_on"]) for one in told] == [(True, "2026-01-01"), (False, None)]
    listing = (await front.get(user, "/usage")).json()
    assert (listing["total"]["requests"], listing["total"]["estimated"]) == (2, 1)
    assert (await front.get(user, "/usage?format=csv")).text.splitlines()[0].endswith(",estimated")


@pytest.mark.parametrize("query", ["to=9999-12-31", "from=0001-01-01", "from=9999-12-31&to=9999-12-31"])
async def test_any_day_may_be_asked_for(front: Front, query: str) -> None:
    assert (await front.get(await front.key(), f"/usage?{query}")).status_code == 200


@pytest.mark.parametrize("wanted", ["", "x" * 5000, "req_", "chatcmpl-" + "g" * 32])
async def test_what_is_no_id_is_not_found(front: Front, wanted: str) -> None:
    answer = await front.get(await front.key(), f"/generation?id={wanted}")
    assert fault(answer) == (404, "id", "generation_not_found")
    assert len(answer.text) < 500


@pytest.mark.parametrize(
    ("models", "listed", "found"),
    [
        ((), ["m", "x"], {"m": "m", "n": "m", "o": "m", "x": "x"}),
        (("n", "o"), ["n"], {"n": "n", "o": "o"}),
        (("m", "o"), ["m"], {"m": "m", "o": "m"}),
        (("y",), [], {}),
    ],
)
async def test_models_a_key_may_not_use_do_not_exist(
    front: Front, models: tuple[str, ...], listed: list[str], found: dict[str, str]
) -> None:
    user = await front.key(models=models)
    assert [model["id"] for model in (await front.get(user, "/models")).json()["data"]] == listed
    for name in ("m", "n", "o", "x"):
        answer = await front.get(user, f"/models/{name}")
        if name in found:
            assert answer.json()["id"] == found[name]
        else:
            missing = (await front.get(user, "/models/q")).text.replace("'q'", f"'{name}'")
            assert (answer.status_code, answer.text) == (404, missing)
