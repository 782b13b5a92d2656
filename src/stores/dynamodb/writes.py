"""The ledger's writes to a key's item, as conditional updates: take a hold, and let holds go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tollgate.gateway import limits
from tollgate.gateway.admission import Hold
from tollgate.gateway.limits import Balance, Budget, Lease, Limits, Period
from tollgate.gateway.metering import UsageRecord
from tollgate.stores.bounded_cache import Opened
from tollgate.stores.dynamodb.expressions import Update
from tollgate.stores.dynamodb.items import NOTHING, KeyItem, attribute, key_place, lease, strings
from tollgate.stores.key_state import KeyState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

MAX_KNOWN_MODELS = 100  # a glob may match any number of names; the item must not grow with them


def admission(table: str, shard: int, hold: Hold) -> "UpdateItemInputTypeDef":
    """`gateway.admission.decide` in one write, for whoever has not seen the item: the usual path."""
    update = Update(table, key_place(hold.key.key_id, shard))
    update.only_if(
        "(#key_hash = :hash OR (#previous_hash = :hash AND #previous_until > :now))",
        "#status = :active",
        "(attribute_not_exists(#expires_at) OR #expires_at > :now)",
        "#window = :window",
        "#budget_until > :now",
    )
    if hold.other_models:  # a key with a list of models is looked at first
        update.only_if("attribute_not_exists(#models)")
    else:
        update.only_if("(attribute_not_exists(#models) OR contains(#known_models, :model))")
        update.values({":model": attribute(hold.model)})
    if not hold.priced and not hold.forced:
        update.only_if("(attribute_not_exists(#budget_usd) OR #allow_unpriced = :true)")
        update.values({":true": attribute(True)})
    update.values(
        {
            ":hash": attribute(hold.key.key_hash),
            ":now": attribute(hold.opened_at),
            ":active": attribute("active"),
            ":window": attribute(limits.window_of(hold.opened_at)),
        }
    )
    _open(update, hold, hold.lease)
    _count(update, "requests_left", -1, needed=1, forced=hold.forced)
    _count(update, "tokens_left", -hold.tokens, needed=hold.tokens, forced=hold.forced)
    _count(update, "budget_left", -hold.micro_usd, needed=hold.ample_micro_usd, forced=hold.forced)
    return update.request()


def extension(table: str, key_id: str, opened: Opened, hold_id: str, more: int) -> "UpdateItemInputTypeDef":
    """`gateway.limits.extend` in one write, for whoever has not seen the item since it took the hold.

    It stands while the hold has what is known of it, and its budget goes on and has enough: so it is made once, also
    where an answer is lost.
    """
    update = Update(table, key_place(key_id, opened.shard))
    update.only_if("#budget_until = :until", "#budget_per = :per")
    update.values({":until": attribute(_budget_until(opened.lease, opened.per)), ":per": attribute(opened.per)})
    _grow(update, hold_id, opened.lease.micro_usd, opened.lease.micro_usd + more)
    _count(update, "budget_left", -more, needed=more)
    return update.request()


def informed_extension(table: str, item: KeyItem, after: Balance, hold_id: str) -> "UpdateItemInputTypeDef":
    """What `limits.extend` has decided about an item that was seen."""
    update = Update(table, key_place(item.record.key_id, item.shard))
    unchanged(update, item)
    _grow(update, hold_id, item.balance.leases[hold_id].micro_usd, after.leases[hold_id].micro_usd)
    rebalance(update, item.balance, after)
    return update.request()


def _grow(update: Update, hold_id: str, held: int, grown: int) -> None:
    update.names({"#hold": hold_id})
    update.only_if("#leases.#hold.#m = :held")
    update.set("#leases.#hold.#m = :grown")
    update.values({":held": attribute(held), ":grown": attribute(grown)})


def _budget_until(held: Lease, per: Period) -> int:
    """When the budget ends that the lease was taken from."""
    return limits.full(Limits(budget=Budget(Decimal(0), per)), held.opened_at).budget_until


def informed_admission(table: str, item: KeyItem, after: Balance, hold: Hold) -> "UpdateItemInputTypeDef":
    """What `decide` has decided about an item that was seen: also into a new window, or for a model new to the item.

    It stands as long as nobody has changed the key or turned its window or budget; what others take or give back
    meanwhile is no obstacle.
    """
    before = item.balance
    update = Update(table, key_place(item.record.key_id, item.shard))
    unchanged(update, item)
    _open(update, hold, after.leases[hold.hold_id])
    rebalance(update, before, after, even_below_zero=hold.forced)
    if item.record.models and hold.model not in item.known_models:
        update.values({":models": strings([hold.model])})
        if len(item.known_models) < MAX_KNOWN_MODELS:
            update.add("#known_models :models")
        else:
            update.set("#known_models = :models")
    return update.request()


def backfill(table: str, item: KeyItem) -> "UpdateItemInputTypeDef":
    """An item of the first version gets what it lacks. Its key is unlimited, and its holds held nothing."""
    update = Update(table, key_place(item.record.key_id, item.shard))
    update.only_if("attribute_exists(#key_hash)", "attribute_not_exists(#revision)")
    refill(update, item.balance, revision=1)
    return update.request()


def refill(update: Update, balance: Balance, revision: int) -> None:
    """The item gets this balance, and holds nothing."""
    update.set("#revision = :next", "#leases = :nothing", "#late = :nothing")
    update.values({":next": attribute(revision), ":nothing": NOTHING})
    for name in ("window", "requests_left", "tokens_left", "budget_until", "budget_left"):
        update.set(f"#{name} = :{name}")
        update.values({f":{name}": attribute(getattr(balance, name))})


@dataclass(frozen=True, slots=True)
class Release:
    """Holds that go: out of `leases` or out of the `late` ones, those that `become_late`, and what goes back with them.

    It stands only in the window, the budget and the kind of budget named here; None is whatever there is.
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
    """What the one lease that goes must hold, where the item was not seen: it may have been extended since."""


def settlement(hold_id: str, held: Lease, used: UsageRecord, per: Period) -> Release:
    """What settling comes to, for whoever has not seen the item since it took the hold.

    Tokens of a window that was over before the request was are of no use to anybody, so whether the item has turned
    since does not matter; the same holds for money. `per` is the kind of budget; "total" where there is none.
    """
    ended_at = used.started_at + used.latency_ms / 1000
    window = limits.window_of(held.opened_at)
    budget_until = _budget_until(held, per)
    in_window, in_budget = limits.window_of(ended_at) <= window, ended_at < budget_until
    return Release(
        leases=[hold_id],
        tokens=held.tokens - used.tokens if in_window else 0,
        micro_usd=held.micro_usd - used.cost.micro_usd if in_budget else 0,
        window=window if in_window else None,
        budget_until=budget_until if in_budget else None,
        per=None if in_budget else per,
        held_micro_usd=held.micro_usd,
    )


def difference(before: KeyState, after: KeyState) -> Release:
    """What was decided about holds of an item that was seen."""
    return Release(
        leases=[hold_id for hold_id in before.balance.leases if hold_id not in after.balance.leases],
        tokens=after.balance.tokens_left - before.balance.tokens_left,
        micro_usd=after.balance.budget_left - before.balance.budget_left,
        window=before.balance.window,
        budget_until=before.balance.budget_until,
        late=[hold_id for hold_id in before.late if hold_id not in after.late],
        become_late={hold_id: held for hold_id, held in after.late.items() if hold_id not in before.late},
    )


def release(table: str, key_id: str, shard: int, change: Release) -> "UpdateItemInputTypeDef":
    """Let holds go, each of them once: the write is refused where one of them is gone."""
    update = Update(table, key_place(key_id, shard))
    for i, hold_id in enumerate(change.leases):
        update.names({f"#hold{i}": hold_id})
        update.only_if(f"attribute_exists(#leases.#hold{i})")
        update.remove(f"#leases.#hold{i}")
    if change.held_micro_usd is not None:
        update.only_if("#leases.#hold0.#m = :held")
        update.values({":held": attribute(change.held_micro_usd)})
    for i, hold_id in enumerate(change.late):
        update.names({f"#late{i}": hold_id})
        update.only_if(f"attribute_exists(#late.#late{i})")
        update.remove(f"#late.#late{i}")
    for i, (hold_id, held) in enumerate(change.become_late.items()):
        update.names({f"#ended{i}": hold_id})
        update.set(f"#late.#ended{i} = :ended{i}")
        update.values({f":ended{i}": lease(held)})
    for name, value in (("window", change.window), ("budget_until", change.budget_until), ("budget_per", change.per)):
        if value is not None:
            update.only_if(f"#{name} = :{name}")
            update.values({f":{name}": attribute(value)})
    for left, back in (("tokens_left", change.tokens), ("budget_left", change.micro_usd)):
        update.set(f"#{left} = #{left} + :{left}")
        update.values({f":{left}": attribute(back)})
    return update.request()


def unchanged(update: Update, item: KeyItem) -> None:
    """Only while the key's record, window and budget are those that were seen."""
    update.only_if("#revision = :revision", "#window = :seen_window", "#budget_until = :seen_until")
    update.values(
        {
            ":revision": attribute(item.revision or 0),
            ":seen_window": attribute(item.balance.window),
            ":seen_until": attribute(item.balance.budget_until),
        }
    )


def rebalance(update: Update, before: Balance, after: Balance, *, even_below_zero: bool = False) -> None:
    """Take or give in the same window and budget; begin a new one with what is left of it then."""
    update.set("#window = :window", "#budget_until = :budget_until")
    update.values({":window": attribute(after.window), ":budget_until": attribute(after.budget_until)})
    turned = {"budget_left": after.budget_until != before.budget_until}
    turned |= dict.fromkeys(("requests_left", "tokens_left"), after.window != before.window)
    for left, is_new in turned.items():
        if is_new:
            update.set(f"#{left} = :{left}")
            update.values({f":{left}": attribute(getattr(after, left))})
        else:
            change = getattr(after, left) - getattr(before, left)
            _count(update, left, change, needed=-change, forced=even_below_zero)


def _open(update: Update, hold: Hold, held: Lease) -> None:
    update.names({"#hold": hold.hold_id})
    update.only_if("attribute_not_exists(#leases.#hold)", "attribute_not_exists(#late.#hold)")
    if not hold.forced:
        update.only_if("(attribute_not_exists(#slots) OR size(#leases) < #slots)", "size(#leases) < :most_open")
        update.values({":most_open": attribute(limits.MAX_OPEN)})
    update.set("#leases.#hold = :lease")
    update.values({":lease": lease(held)})


_LIMIT_OF = {"requests_left": "rpm", "tokens_left": "tpm", "budget_left": "budget_usd"}


def _count(update: Update, left: str, change: int, *, needed: int, forced: bool = False) -> None:
    """Change what is left of a limit, if so much is; of a limit that is not there, without a look at what is left."""
    if not forced:
        update.only_if(f"(attribute_not_exists(#{_LIMIT_OF[left]}) OR #{left} >= :{left}_needed)")
        update.values({f":{left}_needed": attribute(needed)})
    update.set(f"#{left} = #{left} + :{left}")
    update.values({f":{left}": attribute(change)})
