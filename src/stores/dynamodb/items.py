"""Records and balances as DynamoDB items, and back: where they lie in the table, and how values are written exactly."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import AuditEntry, KeyRecord
from tollgate.gateway.limits import NEVER, UNLIMITED, Balance, Lease
from tollgate.gateway.metering import MICRO_DOLLAR, UsageRecord
from tollgate.gateway.usage_totals import DailyTotal, Total
from tollgate.stores import record_fields
from tollgate.stores.key_state import KeyState, shard_limits
from tollgate.stores.record_fields import TOTAL_COUNTS, Plain
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item = dict[str, "AttributeValueTypeDef"]
Answer = Mapping[str, "AttributeValueTypeDef"]

# What the index `listed` lists: keys by their first items, and keys that are no more by what is remembered of them.
LISTED: Literal["key"] = "key"
DELETED: Literal["deleted"] = "deleted"
NOTHING: "AttributeValueTypeDef" = {"M": {}}


@dataclass(frozen=True, slots=True)
class KeyItem:
    """One of the items that a key is kept in; most keys have only one.

    `record` is the whole key's, `books` are those of this item's share of its limits. `revision` counts the changes of
    the record; None where the first version of Tollgate wrote it. `known_models` were found to match the key's globs.
    """

    shard: int
    record: KeyRecord
    state: KeyState
    revision: int | None
    known_models: frozenset[str]

    @property
    def account(self) -> Account:
        """The key with this item's share of its limits."""
        return self.state.account

    @property
    def balance(self) -> Balance:
        """What is left of this item's share."""
        return self.state.balance


def key_place(key_id: str, shard: int = 0) -> Item:
    """The primary key of a key's item, or of another of its shards."""
    return {"pk": {"S": f"KEY#{key_id}"}, "sk": {"S": f"SHARD#{shard:02d}" if shard else "META"}}


def deleted_item(key_id: str, at: float) -> Item:
    """What is remembered of a deleted key, so that its usage is still found: beside where the key was, for a while."""
    return {
        "pk": {"S": f"KEY#{key_id}"},
        "sk": {"S": "DELETED"},
        "listed": attribute(DELETED),
        "created_at": attribute(at),  # the index is sorted by it
        "ttl": attribute(int(at) + DELETED_KEPT),
    }


def key_id_at(place: Answer) -> str:
    """The key whose item has this primary key."""
    return plain(place["pk"]).removeprefix("KEY#")


def usage_place(key_id: str, request_id: str) -> Item:
    """The primary key of a usage record: beside its key's others, in the order of request ids."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": f"REQ#{request_id}"}}


def usage_partition(key_id: str) -> str:
    """The partition of all that is kept of a key's usage."""
    return f"USE#{key_id}"


def daily_place(key_id: str, day: int, model: str = "") -> Item:
    """The primary key of a daily total; without a model, of what comes before all totals of that day."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": f"DAY#{day:06d}#{model}"}}


def folded_place(key_id: str) -> Item:
    """The primary key of the mark of how far records were folded into daily totals."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": "FOLDED"}}


def counts_of(total: Total) -> dict[str, int]:
    """A total as the counts that its item has, money in micro-dollars."""
    return {name: getattr(total, name) for name in TOTAL_COUNTS} | {"micro_usd": int(total.cost_usd / MICRO_DOLLAR)}


def read_daily(item: Answer) -> DailyTotal:
    """The daily total that an item holds."""
    row = {name: plain(value) for name, value in item.items()}
    day = int(row["sk"].split("#")[1])
    return record_fields.total_of({**row, "key_id": row["pk"].removeprefix("USE#"), "day": day})


def key_item(record: KeyRecord, shard: int) -> Item:
    """A new key's item, that has taken nothing of its share."""
    balance = limits.full(shard_limits(record.limits, record.shards, shard), record.created_at)
    listed: Item = {} if shard else {"listed": {"S": LISTED}}
    return {
        **key_place(record.key_id, shard),
        **key_attributes(record, shard),
        **listed,
        "window": attribute(balance.window),
        "requests_left": attribute(balance.requests_left),
        "tokens_left": attribute(balance.tokens_left),
        "budget_until": attribute(balance.budget_until),
        "budget_left": attribute(balance.budget_left),
        "revision": attribute(1),
        "leases": NOTHING,
        "late": NOTHING,
    }


def key_attributes(record: KeyRecord, shard: int) -> Item:
    """What an item says of its key. `slots` is its share of requests at once: a write compares it with the leases."""
    row = record_fields.of_key(record)
    del row["key_id"]
    row["slots"] = shard_limits(record.limits, record.shards, shard).concurrency
    attributes = _attributes(row)
    if record.models:
        attributes["models"] = {"L": [{"S": pattern} for pattern in record.models]}
    if record.metadata:
        attributes["metadata"] = {"M": {name: {"S": value} for name, value in record.metadata.items()}}
    return attributes


def read_key(item: Answer) -> KeyItem:
    """What an item says of its key and its balance."""
    row = {name: plain(value) for name, value in item.items()}
    row["key_id"] = key_id_at(item)
    record = record_fields.key_of(row)
    shard = 0 if row["sk"] == "META" else int(row["sk"].removeprefix("SHARD#"))
    balance = Balance(
        window=int(row.get("window", 0)),
        requests_left=int(row.get("requests_left", UNLIMITED)),
        tokens_left=int(row.get("tokens_left", UNLIMITED)),
        budget_until=int(row.get("budget_until", NEVER)),
        budget_left=int(row.get("budget_left", UNLIMITED)),
        leases={hold_id: _lease(held) for hold_id, held in row["leases"].items()},
    )
    own = replace(record, limits=shard_limits(record.limits, record.shards, shard))
    return KeyItem(
        shard,
        record,
        KeyState(Account(own, balance), {hold_id: _lease(held) for hold_id, held in row.get("late", {}).items()}),
        int(row["revision"]) if "revision" in row else None,
        row.get("known_models", frozenset()),
    )


def lease(held: Lease) -> "AttributeValueTypeDef":
    """A hold, as its key's item keeps it under the hold's id; short, because an item is paid for by the kilobyte."""
    return {
        "M": {
            "o": attribute(held.opened_at),
            "e": attribute(held.expires_at),
            "t": attribute(held.tokens),
            "m": attribute(held.micro_usd),
        }
    }


def leases(held: Mapping[str, Lease]) -> "AttributeValueTypeDef":
    """All of a key's holds."""
    return {"M": {hold_id: lease(each) for hold_id, each in held.items()}}


def usage_item(record: UsageRecord) -> Item:
    """A usage record, until its time to live is over. By `made` whoever writes it knows its own writing again."""
    return {
        **usage_place(record.key_id, record.request_id),
        **_attributes(record_fields.of_usage(record)),
        "made": attribute(secrets.token_hex(8)),
        "ttl": attribute(int(record.started_at) + USAGE_KEPT),
    }


def read_usage(item: Answer) -> UsageRecord:
    """The usage record that an item holds."""
    return record_fields.usage_of({name: plain(value) for name, value in item.items()})


def audit_item(key_id: str, entry: AuditEntry, revision: int) -> Item:
    """A line of a key's audit, in the order of time and of revisions. It outlives the key."""
    return {
        "pk": {"S": f"AUDIT#{key_id}"},
        "sk": {"S": f"{entry.at:017.6f}#{revision:06d}#{secrets.token_hex(4)}"},
        "at": attribute(entry.at),
        "by": attribute(entry.by),
        "action": attribute(entry.action),
        "changed": {"M": {name: {"S": value} for name, value in entry.changed.items()}},
    }


def read_audit(item: Answer) -> AuditEntry:
    """The line of the audit that an item holds."""
    row = {name: plain(value) for name, value in item.items()}
    return AuditEntry(float(row["at"]), row["by"], row["action"], row["changed"])


def attribute(value: str | int | float | bool | Decimal) -> "AttributeValueTypeDef":
    """A value in DynamoDB's words. A number travels as decimal text: money never becomes a binary fraction."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    return {"N": repr(value) if isinstance(value, float) else format(value, "f" if isinstance(value, Decimal) else "d")}


def plain(value: "AttributeValueTypeDef") -> Any:
    """A value in Python's words; numbers are Decimal."""
    ((kind, content),) = cast("Mapping[str, Any]", value).items()
    match kind:
        case "N":
            return Decimal(content)
        case "M":
            return {name: plain(inner) for name, inner in content.items()}
        case "L":
            return [plain(inner) for inner in content]
        case "SS":
            return frozenset[str](content)
        case _:
            return content


def strings(values: Iterable[str]) -> "AttributeValueTypeDef":
    """A set of texts."""
    return {"SS": list(values)}


def _lease(held: Mapping[str, Any]) -> Lease:
    # Those of the first version, under longer names, held nothing but their place.
    opened_at, expires_at = held.get("o", held.get("opened_at")), held.get("e", held.get("expires_at"))
    return Lease(float(opened_at or 0), float(expires_at or 0), int(held.get("t", 0)), int(held.get("m", 0)))


def _attributes(row: Mapping[str, Plain]) -> Item:
    return {name: attribute(value) for name, value in row.items() if value is not None}
