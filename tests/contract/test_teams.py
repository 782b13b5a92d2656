"""Teams in both stores: a request passes the limits of its key and of the key's team, or takes nothing from either."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from contract.examples import BY, KEY_ID, NOW, REQUEST, api_key, budget, hold, key, usage
from contract.store_state import balance, open_holds, outcome_of_admission, records
from contract.teams import LIMITS, OTHER_TEAM, TEAM, TEAM_REQUEST, team
from tollgate.gateway import keys
from tollgate.gateway.admission import RefusedError, refusal_error, usage_of_hold
from tollgate.gateway.errors import AuthenticationError, BadRequestError, KeyNotFoundError, TeamInUseError
from tollgate.gateway.metering import Cost
from tollgate.gateway.store_ports import Store


async def create_both(
    store: Store, team_limits: Mapping[str, Any] | None = None, key_limits: Mapping[str, Any] | None = None
) -> None:
    await store.create(team(limits=team_limits), BY)
    await store.create(key(team=TEAM, limits=key_limits), BY)


async def test_admission_takes_from_both_and_settlement_returns_to_both(store: Store) -> None:
    await create_both(store, LIMITS, LIMITS)
    held = hold(tokens=500, micro_usd=300_000)
    account = await store.admit(held)
    assert account.team is not None
    assert account.team.record == team(limits=LIMITS)
    assert account.team.balance == await balance(store, TEAM)
    for account_id, hold_id in ((KEY_ID, REQUEST), (TEAM, TEAM_REQUEST)):
        found = await balance(store, account_id)
        assert (found.requests_left, found.tokens_left, found.budget_left) == (9, 500, 700_000)
        assert found.leases.keys() == {hold_id}
    settled = replace(held, team=TEAM)
    assert await store.settle(usage(tokens=100, usd="0.1"), settled) is True
    assert await store.settle(usage(tokens=100, usd="0.1"), settled) is False
    for account_id in (KEY_ID, TEAM):
        found = await balance(store, account_id)
        assert (found.requests_left, found.tokens_left, found.budget_left) == (9, 900, 900_000)
        assert found.leases == {}


async def test_admitting_again_takes_nothing_twice(store: Store) -> None:
    await create_both(store, LIMITS, LIMITS)
    await store.admit(hold(tokens=10, micro_usd=10))
    before = [await balance(store, account_id) for account_id in (KEY_ID, TEAM)]
    await store.admit(hold(tokens=10, micro_usd=10))
    assert [await balance(store, account_id) for account_id in (KEY_ID, TEAM)] == before


REFUSALS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"rpm": 1}, {}, "requests"),
    ({"tpm": 1000}, {"tokens": 501}, "tokens"),
    ({"concurrency": 1}, {}, "concurrency"),
    ({"budget": budget("1", "day")}, {"micro_usd": 500_001}, "budget"),
    ({"budget": budget("1", "day")}, {"priced": False}, "unpriced"),
]


@pytest.mark.parametrize(("limits", "wanted", "kind"), REFUSALS)
async def test_refusal_by_the_team_takes_nothing_from_the_key(
    store: Store, limits: Mapping[str, Any], wanted: Mapping[str, Any], kind: str
) -> None:
    await create_both(store, limits, {"rpm": 10, "tpm": 10_000, "concurrency": 5})
    await store.admit(hold("first", tokens=500, micro_usd=500_000))
    before = [await store.get(account_id) for account_id in (KEY_ID, TEAM)]
    requested = hold(**wanted)
    with pytest.raises(RefusedError) as refused:
        await store.admit(requested)
    assert refused.value.kind == kind
    assert [await store.get(account_id) for account_id in (KEY_ID, TEAM)] == before
    assert before[0] is not None
    assert refused.value.account == replace(before[0], team=before[1])
    error = refusal_error(refused.value, requested)
    assert "team" in error.message
    assert "this key" not in error.message


@pytest.mark.parametrize(("limits", "wanted", "kind"), REFUSALS)
async def test_refusal_by_the_key_takes_nothing_from_the_team(
    store: Store, limits: Mapping[str, Any], wanted: Mapping[str, Any], kind: str
) -> None:
    await create_both(store, LIMITS, limits)
    await store.admit(hold("first", tokens=500, micro_usd=500_000))
    before = [await store.get(account_id) for account_id in (KEY_ID, TEAM)]
    with pytest.raises(RefusedError) as refused:
        await store.admit(hold(**wanted))
    assert (refused.value.kind, refused.value.by_team) == (kind, False)
    assert [await store.get(account_id) for account_id in (KEY_ID, TEAM)] == before


async def test_team_that_allows_models_without_a_price_has_them_admitted(store: Store) -> None:
    await store.create(team(limits=LIMITS, allow_unpriced=True), BY)
    await store.create(key(team=TEAM), BY)
    assert await outcome_of_admission(store, hold(priced=False)) == "admitted"


@pytest.mark.parametrize(("key_usd", "team_usd"), [("0.3", "0.2"), ("0.2", "0.3"), (None, "0.2"), ("0.2", None)])
async def test_both_leases_hold_what_the_smaller_budget_has_left(
    store: Store, key_usd: str | None, team_usd: str | None
) -> None:
    limits = [{"budget": usd and budget(usd)} for usd in (team_usd, key_usd)]
    await create_both(store, *limits)
    account = await store.admit(hold(micro_usd=1_000_000, minimum_micro_usd=1000))
    assert account.balance.leases[REQUEST].micro_usd == 200_000
    assert account.balance == await balance(store)
    for account_id, hold_id, usd in ((KEY_ID, REQUEST, key_usd), (TEAM, TEAM_REQUEST, team_usd)):
        found = await balance(store, account_id)
        assert found.leases[hold_id].micro_usd == 200_000
        assert usd is None or found.budget_left == int(float(usd) * 1_000_000) - 200_000


async def test_hold_that_grows_grows_in_both(store: Store) -> None:
    await create_both(store, LIMITS, LIMITS)
    held = hold(micro_usd=100_000)
    await store.admit(held)
    assert await store.extend(replace(held, team=TEAM), 50_000, 1000) == 150_000
    for account_id in (KEY_ID, TEAM):
        assert (await balance(store, account_id)).budget_left == 850_000


@pytest.mark.parametrize(("team_usd", "key_usd"), [("0.12", "1"), ("1", "0.12"), ("0.12", None)])
async def test_hold_grows_to_what_the_smaller_budget_has_left(store: Store, team_usd: str, key_usd: str | None) -> None:
    await create_both(store, {"budget": budget(team_usd)}, {"budget": key_usd and budget(key_usd)})
    held = hold(micro_usd=100_000, team=TEAM)
    await store.admit(held)
    assert await store.extend(held, 50_000, 1000) == 120_000
    before = [await store.get(account_id) for account_id in (KEY_ID, TEAM)]
    with pytest.raises(RefusedError, match="budget"):
        await store.extend(replace(held, micro_usd=120_000), 50_000, 1000)
    assert [await store.get(account_id) for account_id in (KEY_ID, TEAM)] == before
    assert (await balance(store)).leases[REQUEST].micro_usd == 120_000
    assert (await balance(store, TEAM)).leases[TEAM_REQUEST].micro_usd == 120_000
    assert await store.settle(usage(tokens=1, usd="0.11"), replace(held, micro_usd=120_000)) is True
    assert (await balance(store, TEAM)).budget_left == int(float(team_usd) * 1_000_000) - 110_000


async def test_expired_hold_of_the_team_is_closed_by_the_usage_record_of_its_key(store: Store) -> None:
    """As if the process was killed between the writes of a settlement: the record names what was used."""
    await create_both(store, LIMITS)
    await store.create(key("bbbbbbbbbbbb", team=TEAM), BY)
    held = hold(tokens=500, micro_usd=300_000)
    await store.admit(held)
    await store.admit(hold("lost", tokens=100, micro_usd=100_000))
    await store.settle(usage(tokens=100, usd="0.1"), held)  # without the team: its write is missing
    assert await open_holds(store, TEAM) == {TEAM_REQUEST, f"{KEY_ID}/lost"}
    later = NOW + 2000
    await store.admit(hold("later", opened_at=later, key=api_key("bbbbbbbbbbbb")))
    assert await open_holds(store, TEAM) == {"bbbbbbbbbbbb/later"}
    assert (await balance(store, TEAM)).budget_left == 900_000
    assert await store.settle(usage("lost", usd="0.05"), hold("lost", micro_usd=100_000, team=TEAM)) is True
    assert (await balance(store, TEAM)).budget_left == 850_000


async def test_request_is_settled_with_the_team_that_admitted_it(store: Store) -> None:
    await create_both(store, LIMITS)
    await store.create(team(OTHER_TEAM), BY)
    held = hold(micro_usd=300_000, team=TEAM)
    await store.admit(held)
    await store.update(KEY_ID, lambda record: replace(record, team=OTHER_TEAM), BY)
    await store.settle(usage(usd="0.1"), held)
    assert (await balance(store, TEAM)).budget_left == 900_000
    assert (await store.admit(hold("next"))).record.team == OTHER_TEAM
    assert await open_holds(store, OTHER_TEAM) == {f"{KEY_ID}/next"}


async def test_request_is_settled_after_its_team_was_deleted(store: Store) -> None:
    await create_both(store, LIMITS, LIMITS)
    held = hold(micro_usd=300_000, team=TEAM)
    await store.admit(held)
    await store.update(KEY_ID, lambda record: replace(record, team=None), BY)
    await store.delete(TEAM, BY)
    assert await store.settle(usage(usd="0.1"), held) is True
    assert await store.settle(usage(usd="0.1"), held) is False
    assert (await balance(store)).budget_left == 900_000
    assert await records(store) == [usage(usd="0.1")]


async def test_forced_hold_is_taken_from_both_whatever_is_left(store: Store) -> None:
    await create_both(store, {"rpm": 1, "budget": budget("0.1")}, {"rpm": 1})
    await store.admit(hold("first"))
    await store.admit(hold(micro_usd=300_000, forced=True))
    assert (await balance(store)).requests_left == -1
    assert (await balance(store, TEAM)).budget_left == -200_000


async def test_changed_and_reset_limits_of_a_team(store: Store) -> None:
    await create_both(store, LIMITS)
    held = hold(micro_usd=300_000, team=TEAM)
    await store.admit(held)
    await store.settle(usage(usd="0.3"), held)
    await store.update(TEAM, lambda r: replace(r, limits=replace(r.limits, budget=budget("2", "month"))), BY)
    assert (await balance(store, TEAM)).budget_left == 1_700_000
    await store.reset(TEAM, BY)
    assert (await balance(store, TEAM)).budget_left == 2_000_000
    assert [entry.action for entry in await store.audit(TEAM)] == ["create", "update", "reset"]


async def test_teams_and_keys_are_listed_apart(store: Store) -> None:
    await create_both(store)
    assert [record.key_id for record in await store.list()] == [KEY_ID]
    assert await store.teams() == [team()]
    await store.update(KEY_ID, lambda record: replace(record, team=None), BY)
    await store.delete(TEAM, BY)
    assert await store.teams() == []
    assert await store.key_ids() == {KEY_ID}


async def test_team_with_keys_is_not_deleted(store: Store) -> None:
    await create_both(store)
    await store.create(key("bbbbbbbbbbbb", team=TEAM), BY)
    with pytest.raises(TeamInUseError, match="has 2 keys"):
        await store.delete(TEAM, BY)
    await store.delete("bbbbbbbbbbbb", BY)
    await store.create(team(OTHER_TEAM), BY)
    with pytest.raises(TeamInUseError):
        await store.delete(TEAM, BY)
    await store.update(KEY_ID, lambda record: replace(record, team=OTHER_TEAM), BY)
    await store.delete(TEAM, BY)
    with pytest.raises(TeamInUseError):
        await store.delete(OTHER_TEAM, BY)


async def test_key_of_an_unknown_team_is_not_stored(store: Store) -> None:
    with pytest.raises(KeyNotFoundError, match="no team"):
        await store.create(key(team=TEAM), BY)
    assert await store.get(KEY_ID) is None
    await store.create(key(), BY)
    with pytest.raises(KeyNotFoundError, match="no team"):
        await store.update(KEY_ID, lambda record: replace(record, team=TEAM), BY)
    await store.create(team(), BY)
    with pytest.raises(BadRequestError, match="cannot belong"):
        await store.create(team(OTHER_TEAM, team=TEAM), BY)


async def test_no_client_key_is_a_team(store: Store) -> None:
    await store.create(team(), BY)
    with pytest.raises(AuthenticationError):
        await store.admit(hold(key=api_key(TEAM)))
    with pytest.raises(AuthenticationError):
        keys.read(f"sk-tg-{TEAM}-{'0' * 64}")


async def test_cost_that_is_unknown_is_not_charged_to_the_team(store: Store) -> None:
    await create_both(store, LIMITS)
    held = hold(micro_usd=300_000, team=TEAM)
    await store.admit(held)
    await store.settle(usage(usage=None, cost=Cost(None, "unknown")), held)
    assert (await balance(store, TEAM)).budget_left == 1_000_000


def test_hold_of_a_team_names_the_usage_record_of_its_key() -> None:
    of_team = hold().of_team(TEAM, 5)
    assert usage_of_hold(TEAM, of_team.hold_id) == (KEY_ID, REQUEST)
    assert usage_of_hold(KEY_ID, REQUEST) == (KEY_ID, REQUEST)
