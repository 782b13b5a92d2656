"""Account endpoints under /v1: keys, usage, generations and models, over the whole app with an empty SQLite file."""

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
from support.fakes import FakeClock, LocalSpeeds, NoHealth
from tollgate.adapters import FAMILIES
from tollgate.gateway import keys
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.catalog_reader import load
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Limits
from tollgate.gateway.metering import Cost
from tollgate.gateway.ports import Dependencies
from tollgate.gateway.serving import Gateway
from tollgate.handler.components import Components
from tollgate.handler.http.app import Application
from tollgate.handler.settings import Settings
from tollgate.handler.telemetry import Telemetry
from tollgate.stores.sqlite.store import SQLiteStore

WEDNESDAY = datetime.datetime(2026, 11, 4, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86_400
LIMITS = Limits(rpm=10, tpm=1000, concurrency=3, budget=budget("1", "day"))
ROW = "created = 2026-01-01\nowned_by = 'o'\ncontext_length = 8\nroutes = [{ provider = 'echo', model = 'm' }]\n"
CATALOG = f"[providers.echo]\nfamily = 'echo'\nauth = 'none'\n[models.m]\naliases = ['n', 'o']\n{ROW}[models.x]\n{ROW}"


@dataclass
class AccountApp:
    """The app over a store, and the created keys."""

    store: SQLiteStore
    catalog: Catalog
    clock: FakeClock
    api_keys: dict[str, str] = field(default_factory=dict[str, str])

    async def key(self, **changes: Any) -> KeyRecord:
        text, key = keys.generate(secrets.token_bytes)
        record = KeyRecord(key.key_id, key.key_hash, "name", "active", int(WEDNESDAY) - 60 * DAY)
        record = replace(record, **changes)
        await self.store.create(record, BY)
        self.api_keys[record.key_id] = text
        return record

    async def used(self, key: KeyRecord, usd: str, at: float, **changes: Any) -> str:
        """Settle a request of this key and return its id."""
        generation_id = request_id(len(self.api_keys), at)
        record = usage(generation_id, tokens=12, usd=usd, key_id=key.key_id, started_at=at, **changes)
        await self.store.settle(record, replace(hold(generation_id), key=keys.read(self.api_keys[key.key_id])))
        return generation_id

    async def get(self, key: KeyRecord, path: str) -> httpx.Response:
        unused = cast(Any, None)
        dependencies = Dependencies({}, unused, unused, self.store, self.store, self.clock, NoHealth(), LocalSpeeds())
        telemetry = Telemetry("CRITICAL", None)
        clock = cast(Any, self.clock)
        app = Application(
            Components(
                Gateway(self.catalog, dependencies),
                keys=self.store,
                usage=self.store,
                documents=self.store,
                telemetry=telemetry,
                clock=clock,
                settings=Settings(),
                uploads=None,
                traces=None,
                close=unused,
            )
        )
        headers = {"authorization": f"Bearer {self.api_keys[key.key_id]}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1") as client:
            return await client.get(path, headers=headers)

    async def data(self, key: KeyRecord, path: str) -> Mapping[str, Any]:
        response = await self.get(key, path)
        assert response.status_code == 200, response.text
        return response.json()["data"]


@pytest.fixture
def account_app(tmp_path: Path) -> Generator[AccountApp]:
    catalog = load([("c.toml", CATALOG)], FAMILIES)
    clock = FakeClock(WEDNESDAY, epoch=0)
    with closing(SQLiteStore(tmp_path / "t.db", now=clock.now)) as store:
        yield AccountApp(store, catalog, clock)


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["param"], error["code"]


@pytest.mark.parametrize("path", ["/key", "/auth/key", "/credits", "/usage", "/generation"])
async def test_only_an_admin_reads_another_key(account_app: AccountApp, path: str) -> None:
    admin, user, other = (
        await account_app.key(role="admin"),
        await account_app.key(),
        await account_app.key(limits=LIMITS),
    )
    generation_id = await account_app.used(other, "0.25", WEDNESDAY)
    query = f"{path}?id={generation_id}&key_id={other.key_id}"
    by_admin, own = await account_app.get(admin, query), await account_app.get(other, query)
    assert (by_admin.status_code, by_admin.text) == (200, own.text)
    assert error_of(await account_app.get(user, query)) == (403, "key_id", "admin_only")
    for unknown in ("ffffffffffff", "x" * 3000, ""):
        response = await account_app.get(admin, f"{path}?id={generation_id}&key_id={unknown}")
        assert error_of(response) == (404, "key_id", "key_not_found")


async def test_key_id_selects_the_key_that_is_shown(account_app: AccountApp) -> None:
    admin, other = await account_app.key(role="admin"), await account_app.key(name="other", limits=LIMITS)
    assert (await account_app.data(admin, f"/key?key_id={other.key_id}"))["label"] == "other"
    assert (await account_app.data(admin, f"/credits?key_id={other.key_id}"))["total_credits"] == 1


async def test_usage_of_a_deleted_key_is_still_counted(account_app: AccountApp) -> None:
    admin, deleted = await account_app.key(role="admin"), await account_app.key()
    generation_id = await account_app.used(deleted, "0.25", WEDNESDAY)
    await account_app.store.delete(deleted.key_id, BY)
    for key_id in ("*", deleted.key_id):
        listing = (await account_app.get(admin, f"/usage?group_by=key&key_id={key_id}")).json()
        assert [(row["key"], row["cost_usd"]) for row in listing["data"]] == [(deleted.key_id, "0.250000")]
    assert (await account_app.data(admin, f"/generation?id={generation_id}&key_id=*"))["total_cost"] == 0.25
    assert error_of(await account_app.get(admin, f"/key?key_id={deleted.key_id}")) == (404, "key_id", "key_not_found")
    assert (await account_app.get(deleted, "/key")).status_code == 401


async def test_expired_hold_is_not_in_use(account_app: AccountApp) -> None:
    user = await account_app.key(limits=LIMITS)
    first_hold = replace(hold(), key=keys.read(account_app.api_keys[user.key_id]), tokens=100, micro_usd=400_000)
    first_hold = replace(first_hold, opened_at=WEDNESDAY, expires_at=WEDNESDAY + 30)
    for number in (1, 2):
        await account_app.store.admit(replace(first_hold, hold_id=request_id(number, WEDNESDAY)))
    for seconds, in_use, used in ((0, 2, 0.8), (29, 2, 0.8), (30, 0, 0), (59, 0, 0)):
        account_app.clock.at = WEDNESDAY + seconds
        key = await account_app.data(user, "/key")
        assert key["limits"]["concurrency"]["used"] == in_use
        assert key["limits"]["tokens"]["used"] == 100 * in_use
        assert key["limits"]["requests"]["used"] == 2
        assert key["limit_remaining"] == pytest.approx(1 - used)
        assert (await account_app.data(user, "/credits"))["total_usage"] == pytest.approx(used)
    # Its record was written before its process died: the recorded usage stays spent.
    record = usage(request_id(1, WEDNESDAY), tokens=12, usd="0.1", key_id=user.key_id, started_at=WEDNESDAY)
    await account_app.store.settle(record, replace(first_hold, hold_id="another"))
    key = await account_app.data(user, "/key")
    assert (key["limits"]["tokens"]["used"], key["limits"]["concurrency"]["used"]) == (12, 0)
    assert key["limit_remaining"] == pytest.approx(0.9)


async def test_usage_of_a_key_is_reported_by_day_week_and_month(account_app: AccountApp) -> None:
    user = await account_app.key()
    midnight = WEDNESDAY - DAY / 2
    moments = [midnight, midnight - 1, midnight - 2 * DAY, midnight - 2 * DAY - 1, midnight - 3 * DAY - 1]
    for usd, at in zip(("1", "2", "4", "8", "16"), moments, strict=True):
        await account_app.used(user, usd, at)
    key = await account_app.data(user, "/key")
    figures = [key[name] for name in ("usage_daily", "usage_weekly", "usage_monthly", "usage")]
    assert figures == [1, 7, 15, 31]


async def test_estimates_and_the_date_of_their_price_are_reported(account_app: AccountApp) -> None:
    user = await account_app.key()
    day = datetime.date(2026, 1, 1)
    estimated = await account_app.used(user, "1", WEDNESDAY, estimated=True, cost=Cost(Decimal(1), "estimated", day))
    exact = await account_app.used(user, "1", WEDNESDAY + 1, cost=Cost(Decimal(1), "provider"))
    generations = [
        await account_app.data(user, f"/generation?id={generation_id}") for generation_id in (estimated, exact)
    ]
    assert [(generation["estimated"], generation["priced_on"]) for generation in generations] == [
        (True, "2026-01-01"),
        (False, None),
    ]
    listing = (await account_app.get(user, "/usage")).json()
    assert (listing["total"]["requests"], listing["total"]["estimated"]) == (2, 1)
    assert (await account_app.get(user, "/usage?format=csv")).text.splitlines()[0].endswith(",estimated")


@pytest.mark.parametrize("query", ["to=9999-12-31", "from=0001-01-01", "from=9999-12-31&to=9999-12-31"])
async def test_any_day_may_be_requested(account_app: AccountApp, query: str) -> None:
    assert (await account_app.get(await account_app.key(), f"/usage?{query}")).status_code == 200


@pytest.mark.parametrize("requested", ["", "x" * 5000, "req_", "chatcmpl-" + "g" * 32])
async def test_invalid_generation_id_is_not_found(account_app: AccountApp, requested: str) -> None:
    response = await account_app.get(await account_app.key(), f"/generation?id={requested}")
    assert error_of(response) == (404, "id", "generation_not_found")
    assert len(response.text) < 500


@pytest.mark.parametrize(
    ("models", "listed", "found"),
    [
        ((), ["m", "x"], {"m": "m", "n": "m", "o": "m", "x": "x"}),
        (("n", "o"), ["n"], {"n": "n", "o": "o"}),
        (("m", "o"), ["m"], {"m": "m", "o": "m"}),
        (("y",), [], {}),
    ],
)
async def test_model_that_a_key_may_not_use_is_not_found(
    account_app: AccountApp, models: tuple[str, ...], listed: list[str], found: dict[str, str]
) -> None:
    user = await account_app.key(models=models)
    assert [model["id"] for model in (await account_app.get(user, "/models")).json()["data"]] == listed
    for name in ("m", "n", "o", "x"):
        response = await account_app.get(user, f"/models/{name}")
        if name in found:
            assert response.json()["id"] == found[name]
        else:
            missing = (await account_app.get(user, "/models/q")).text.replace("'q'", f"'{name}'")
            assert (response.status_code, response.text) == (404, missing)


async def test_key_of_a_team_reads_what_is_left_of_both(account_app: AccountApp) -> None:
    team = replace(keys.new_team(secrets.token_bytes, "research", int(WEDNESDAY)), limits=LIMITS)
    await account_app.store.create(team, BY)
    key = await account_app.key(team=team.key_id, limits=replace(LIMITS, budget=budget("0.9", "total")))
    colleague = await account_app.key(team=team.key_id)
    for number, (each, usd) in enumerate(((key, "0.25"), (colleague, "0.5"))):
        api_key = keys.read(account_app.api_keys[each.key_id])
        requested = hold(
            request_id(number, WEDNESDAY), key=api_key, opened_at=WEDNESDAY, micro_usd=600_000, team=team.key_id
        )
        await account_app.store.admit(requested)
        used = usage(requested.hold_id, tokens=12, usd=usd, key_id=each.key_id, started_at=WEDNESDAY, latency_ms=1000)
        await account_app.store.settle(used, requested)
    data = await account_app.data(key, "/key")
    assert (data["limit_remaining"], data["usage"]) == (0.65, 0.25)
    assert data["team"] == {
        "team_id": team.key_id,
        "name": "research",
        "limit": 1.0,
        "limit_remaining": 0.25,
        "limit_reset": "2026-11-05T00:00:00Z",
        "limits": {
            "requests": {"limit": 10, "used": 2, "remaining": 8, "resets_at": "2026-11-04T12:01:00Z"},
            "tokens": {"limit": 1000, "used": 24, "remaining": 976, "resets_at": "2026-11-04T12:01:00Z"},
            "concurrency": {"limit": 3, "used": 0, "remaining": 3, "resets_at": None},
        },
    }
    for each in (key, colleague):
        assert await account_app.data(each, "/credits") == {"total_credits": 1.0, "total_usage": 0.75}
