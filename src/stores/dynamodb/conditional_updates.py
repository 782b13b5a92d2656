"""The conditional updates of the item of a key or team: reserve, extend, release and settle holds, replace balances.

There are two kinds. An optimistic update is written without a read: its condition states the usual case. A
compare-and-set update writes what `gateway.limits` computed from an item that was read, if the item is unchanged since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tollgate.gateway import limits
from tollgate.gateway.admission import Hold
from tollgate.gateway.limits import Balance, Budget, Lease, Limits, Period
from tollgate.gateway.metering import UsageRecord
from tollgate.stores.dynamodb.attribute_values import EMPTY_MAP, string_set, to_attribute
from tollgate.stores.dynamodb.items import KeyItem, key_primary_key, lease_attribute
from tollgate.stores.dynamodb.writes import Update
from tollgate.stores.key_state import KeyState

MAX_KNOWN_MODELS = 100  # a glob can match any number of names; the item must not grow with them

_LIMIT_OF = {"requests_left": "rpm", "tokens_left": "tpm", "budget_left": "budget_usd"}


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that this process has reserved: the shard, the lease as it is on the item, and the budget's period.

    The period is "total" if the key has no budget.
    """

    shard: int
    lease: Lease
    per: Period


def reserve(shard: int, hold: Hold) -> Update:
    """`gateway.admission.decide` as one optimistic update."""
    update = Update(key_primary_key(hold.key.key_id, shard))
    _require_valid_key(update, hold)
    update.require("#window = :window", "#budget_until > :now")
    update.values({":window": to_attribute(limits.window_of(hold.opened_at))})
    _add_lease(update, hold, hold.lease)
    _add_to_counter(update, "requests_left", -1, minimum=1, forced=hold.forced)
    _add_to_counter(update, "tokens_left", -hold.tokens, minimum=hold.tokens, forced=hold.forced)
    _add_to_counter(update, "budget_left", -hold.micro_usd, minimum=hold.ample_micro_usd, forced=hold.forced)
    return update


def reserve_after_read(item: KeyItem, after: Balance, hold: Hold) -> Update:
    """The result of `gateway.admission.decide` as compare-and-set; also opens a window or adds a known model.

    It holds while the key's record, window and budget period are unchanged. Concurrent reservations and releases are
    no obstacle.
    """
    update = Update(key_primary_key(item.record.key_id, item.shard))
    require_unchanged(update, item)
    _add_lease(update, hold, after.leases[hold.hold_id])
    change_balance(update, item.balance, after, allow_negative=hold.forced)
    if item.record.models and hold.model not in item.known_models:
        update.values({":models": string_set([hold.model])})
        if len(item.known_models) < MAX_KNOWN_MODELS:
            update.add("#known_models :models")
        else:
            update.set("#known_models = :models")
    return update


def extend(key_id: str, hold_id: str, open_hold: OpenHold, micro_usd: int) -> Update:
    """`gateway.limits.extend` by this amount as one optimistic update.

    It holds while the lease has the amount that is known here, and its budget is not over and has enough left. So it
    is made once, even if a response is lost.
    """
    lease = open_hold.lease
    update = Update(key_primary_key(key_id, open_hold.shard))
    update.require("#budget_until = :until", "#budget_per = :per")
    update.values({":until": to_attribute(_budget_until(lease, open_hold.per)), ":per": to_attribute(open_hold.per)})
    _grow_lease(update, hold_id, lease.micro_usd, lease.micro_usd + micro_usd)
    _add_to_counter(update, "budget_left", -micro_usd, minimum=micro_usd)
    return update


def extend_after_read(item: KeyItem, after: Balance, hold_id: str) -> Update:
    """The result of `gateway.limits.extend`, or of `shrink`, as compare-and-set."""
    update = Update(key_primary_key(item.record.key_id, item.shard))
    require_unchanged(update, item)
    before, grown = item.balance.leases[hold_id].micro_usd, after.leases[hold_id].micro_usd
    _grow_lease(update, hold_id, before, grown)
    change_balance(update, item.balance, after, allow_negative=grown < before)
    return update


@dataclass(frozen=True, slots=True)
class Release:
    """The release of holds: the leases and late holds that are removed, the holds that `become_late`, the change of
    what is left.

    It applies only in the window, the budget and the budget period given here; None means any. `held_micro_usd` is the
    amount that the only lease must hold, because it may have been extended since it was seen; None means any.
    """

    leases: Sequence[str]
    tokens: int
    micro_usd: int
    window: int | None
    budget_until: int | None
    per: Period | None = None
    late: Sequence[str] = ()
    become_late: Mapping[str, Lease] = field(default_factory=dict[str, Lease])
    held_micro_usd: int | None = None
    requests: int = 0


def settled_release(hold_id: str, open_hold: OpenHold, used: UsageRecord) -> Release:
    """The release of a settled hold, without a read of the item.

    If the window was over before the request ended, its tokens are lost either way, so the release does not depend on
    whether the item has begun a new window. The same applies to the budget.
    """
    lease = open_hold.lease
    ended_at = used.started_at + used.latency_ms / 1000
    window = limits.window_of(lease.opened_at)
    budget_until = _budget_until(lease, open_hold.per)
    in_window, in_budget = limits.window_of(ended_at) <= window, ended_at < budget_until
    return Release(
        leases=[hold_id],
        tokens=lease.tokens - used.tokens if in_window else 0,
        micro_usd=lease.micro_usd - used.cost.micro_usd if in_budget else 0,
        window=window if in_window else None,
        budget_until=budget_until if in_budget else None,
        per=None if in_budget else open_hold.per,
        held_micro_usd=lease.micro_usd,
    )


def release_between(before: KeyState, after: KeyState) -> Release:
    """The release that leads from one state to the other, for an item that was read."""
    return Release(
        leases=[hold_id for hold_id in before.balance.leases if hold_id not in after.balance.leases],
        tokens=after.balance.tokens_left - before.balance.tokens_left,
        micro_usd=after.balance.budget_left - before.balance.budget_left,
        window=before.balance.window,
        budget_until=before.balance.budget_until,
        late=[hold_id for hold_id in before.late if hold_id not in after.late],
        become_late={hold_id: lease for hold_id, lease in after.late.items() if hold_id not in before.late},
        requests=after.balance.requests_left - before.balance.requests_left,
    )


def apply_release(key_id: str, shard: int, release: Release) -> Update:
    """Release holds, each once: the condition fails if one of them is no longer there."""
    update = Update(key_primary_key(key_id, shard))
    _remove_entries(update, "leases", release.leases)
    _remove_entries(update, "late", release.late)
    if release.held_micro_usd is not None:
        update.require("#leases.#leases0.#m = :held")
        update.values({":held": to_attribute(release.held_micro_usd)})
    for i, (hold_id, lease) in enumerate(release.become_late.items()):
        update.names({f"#ended{i}": hold_id})
        update.set(f"#late.#ended{i} = :ended{i}")
        update.values({f":ended{i}": lease_attribute(lease)})
    required = {"window": release.window, "budget_until": release.budget_until, "budget_per": release.per}
    for name, value in required.items():
        if value is not None:
            update.require(f"#{name} = :{name}")
            update.values({f":{name}": to_attribute(value)})
    if release.requests:
        _add_to_counter(update, "requests_left", release.requests)
    _add_to_counter(update, "tokens_left", release.tokens)
    _add_to_counter(update, "budget_left", release.micro_usd)
    return update


def backfill(item: KeyItem) -> Update:
    """Add the attributes that items of Tollgate's first version lack. Its keys have no limits, its holds no amounts."""
    update = Update(key_primary_key(item.record.key_id, item.shard))
    update.require("attribute_exists(#key_hash)", "attribute_not_exists(#revision)")
    replace_balance(update, item.balance, revision=1)
    return update


def replace_balance(update: Update, balance: Balance, revision: int) -> None:
    """Give the item this balance, without any holds."""
    update.set("#revision = :next", "#leases = :empty", "#late = :empty")
    update.values({":next": to_attribute(revision), ":empty": EMPTY_MAP})
    for name in ("window", "requests_left", "tokens_left", "budget_until", "budget_left"):
        update.set(f"#{name} = :{name}")
        update.values({f":{name}": to_attribute(getattr(balance, name))})


def require_unchanged(update: Update, item: KeyItem) -> None:
    """Require that the key's record, window and budget period are those of the item that was read."""
    update.require("#revision = :revision", "#window = :seen_window", "#budget_until = :seen_until")
    update.values(
        {
            ":revision": to_attribute(item.revision or 0),
            ":seen_window": to_attribute(item.balance.window),
            ":seen_until": to_attribute(item.balance.budget_until),
        }
    )


def change_balance(update: Update, before: Balance, after: Balance, *, allow_negative: bool = False) -> None:
    """Change what is left by the difference; set it instead where a new window or budget period begins."""
    update.set("#window = :window", "#budget_until = :budget_until")
    update.values({":window": to_attribute(after.window), ":budget_until": to_attribute(after.budget_until)})
    begins_anew = {"budget_left": after.budget_until != before.budget_until}
    begins_anew |= dict.fromkeys(("requests_left", "tokens_left"), after.window != before.window)
    for counter, is_new in begins_anew.items():
        if is_new:
            update.set(f"#{counter} = :{counter}")
            update.values({f":{counter}": to_attribute(getattr(after, counter))})
        else:
            change = getattr(after, counter) - getattr(before, counter)
            _add_to_counter(update, counter, change, minimum=-change, forced=allow_negative)


def _require_valid_key(update: Update, hold: Hold) -> None:
    """Require that the secret is right, that the key is active, and that it allows the model."""
    update.require(
        "(#key_hash = :hash OR (#previous_hash = :hash AND #previous_until > :now))",
        "#status = :active",
        "(attribute_not_exists(#expires_at) OR #expires_at > :now)",
    )
    update.values(
        {
            ":hash": to_attribute(hold.key.key_hash),
            ":now": to_attribute(hold.opened_at),
            ":active": to_attribute("active"),
        }
    )
    if hold.other_models:  # a key with a list of models has to be read first
        update.require("attribute_not_exists(#models)")
    else:
        update.require("(attribute_not_exists(#models) OR contains(#known_models, :model))")
        update.values({":model": to_attribute(hold.model)})
    if not hold.priced and not hold.forced:
        update.require("(attribute_not_exists(#budget_usd) OR #allow_unpriced = :true)")
        update.values({":true": to_attribute(True)})


def _add_lease(update: Update, hold: Hold, lease: Lease) -> None:
    update.names({"#hold": hold.hold_id})
    update.require("attribute_not_exists(#leases.#hold)", "attribute_not_exists(#late.#hold)")
    if not hold.forced:
        update.require("(attribute_not_exists(#slots) OR size(#leases) < #slots)", "size(#leases) < :max_open")
        update.values({":max_open": to_attribute(limits.MAX_OPEN)})
    update.set("#leases.#hold = :lease")
    update.values({":lease": lease_attribute(lease)})


def _grow_lease(update: Update, hold_id: str, before: int, after: int) -> None:
    update.names({"#hold": hold_id})
    update.require("#leases.#hold.#m = :held")
    update.set("#leases.#hold.#m = :grown")
    update.values({":held": to_attribute(before), ":grown": to_attribute(after)})


def _remove_entries(update: Update, map_name: str, hold_ids: Sequence[str]) -> None:
    for i, hold_id in enumerate(hold_ids):
        update.names({f"#{map_name}{i}": hold_id})
        update.require(f"attribute_exists(#{map_name}.#{map_name}{i})")
        update.remove(f"#{map_name}.#{map_name}{i}")


def _add_to_counter(
    update: Update, counter: str, change: int, *, minimum: int | None = None, forced: bool = False
) -> None:
    """Change a counter, and require that it is at least `minimum` if the key has this limit; None means any value."""
    if minimum is not None and not forced:
        update.require(f"(attribute_not_exists(#{_LIMIT_OF[counter]}) OR #{counter} >= :{counter}_minimum)")
        update.values({f":{counter}_minimum": to_attribute(minimum)})
    update.set(f"#{counter} = #{counter} + :{counter}")
    update.values({f":{counter}": to_attribute(change)})


def _budget_until(lease: Lease, per: Period) -> int:
    """The end of the budget period that the lease was taken from."""
    return limits.full(Limits(budget=Budget(Decimal(0), per)), lease.opened_at).budget_until
