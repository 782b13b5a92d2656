"""The items of the table: their primary keys, and records, balances and audit entries as items and back."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import AuditEntry, KeyRecord, is_team_id
from tollgate.gateway.limits import NEVER, UNLIMITED, Balance, Lease
from tollgate.gateway.metering import MICRO_DOLLAR, UsageRecord
from tollgate.gateway.usage_totals import DailyTotal, Total
from tollgate.stores import record_fields
from tollgate.stores.dynamodb.attribute_values import EMPTY_MAP, Item, from_attribute, from_item, to_attribute
from tollgate.stores.key_state import KeyState, shard_limits
from tollgate.stores.record_fields import TOTAL_COUNTS, Scalar
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

LISTED_KEY = "key"
"""Value of `listed`, the partition key of the index: on the first item of every key."""
LISTED_TEAM = "team"
"""Value of `listed` on the first item of every team."""
LISTED_DELETED = "deleted"
"""Value of `listed` on the markers of deleted keys."""


@dataclass(frozen=True, slots=True)
class KeyItem:
    """One item of an API key or a team, which is stored as a key is. Most keys have one, a key with shards has several.

    `record` is that of the whole key, `state` is this item's share of its limits. `revision` counts the changes of the
    record; None means that the first version of Tollgate wrote the item. `known_models` are model names that were
    found to match the key's globs. `members` is how many keys belong to a team.
    """

    shard: int
    record: KeyRecord
    state: KeyState
    revision: int | None
    known_models: frozenset[str]
    members: int = 0

    @property
    def account(self) -> Account:
        """The key with this item's share of its limits."""
        return self.state.account

    @property
    def balance(self) -> Balance:
        """The balance of this item's share."""
        return self.state.balance


def key_primary_key(key_id: str, shard: int = 0) -> Item:
    """The primary key of the item of an API key, or of one of its further shards."""
    return {"pk": {"S": f"KEY#{key_id}"}, "sk": {"S": f"SHARD#{shard:02d}" if shard else "META"}}


def key_id_of(item: Item) -> str:
    """The key_id in the primary key of a key's item."""
    return from_attribute(item["pk"]).removeprefix("KEY#")


def usage_partition(key_id: str) -> str:
    """The partition key of all usage items of an API key."""
    return f"USE#{key_id}"


def usage_sort_key(request_id: str) -> str:
    """The sort key of a usage record; records are in the order of their request ids."""
    return f"REQ#{request_id}"


def usage_primary_key(key_id: str, request_id: str) -> Item:
    """The primary key of a usage record."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": usage_sort_key(request_id)}}


def daily_total_sort_key(day: int, model: str = "", provider: str = "") -> str:
    """The sort key of a daily total; without a model, one that precedes all totals of the day. Names have no spaces."""
    return f"DAY#{day:06d}#{model} {provider}".rstrip()


def daily_total_primary_key(key_id: str, day: int, model: str, provider: str) -> Item:
    """The primary key of a daily total."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": daily_total_sort_key(day, model, provider)}}


def fold_marker_primary_key(key_id: str) -> Item:
    """The primary key of the marker of the last record that was folded into daily totals."""
    return {"pk": {"S": usage_partition(key_id)}, "sk": {"S": "FOLDED"}}


def deleted_marker(key_id: str, at: float) -> Item:
    """The item that keeps the id of a deleted key in the index while usage records of the key may exist."""
    return {
        "pk": {"S": f"KEY#{key_id}"},
        "sk": {"S": "DELETED"},
        "listed": to_attribute(LISTED_DELETED),
        "created_at": to_attribute(at),  # the sort key of the index
        "ttl": to_attribute(int(at) + DELETED_KEPT),
    }


def total_counters(total: Total) -> dict[str, int]:
    """The counters of a total, by attribute name; money is in micro-dollars."""
    return {name: getattr(total, name) for name in TOTAL_COUNTS} | {"micro_usd": int(total.cost_usd / MICRO_DOLLAR)}


def read_daily_total(item: Item) -> DailyTotal:
    """The daily total in an item."""
    row = from_item(item)
    day = int(row["sk"].split("#")[1])
    return record_fields.read_total({**row, "key_id": row["pk"].removeprefix("USE#"), "day": day})


def key_item(record: KeyRecord, shard: int) -> Item:
    """The item of a new key, with a full balance."""
    balance = limits.full(shard_limits(record.limits, record.shards, shard), record.created_at)
    listed: Item = {}
    if shard == 0:
        listed = {"listed": to_attribute(LISTED_TEAM if is_team_id(record.key_id) else LISTED_KEY)}
    return {
        **key_primary_key(record.key_id, shard),
        **key_attributes(record, shard),
        **listed,
        "window": to_attribute(balance.window),
        "requests_left": to_attribute(balance.requests_left),
        "tokens_left": to_attribute(balance.tokens_left),
        "budget_until": to_attribute(balance.budget_until),
        "budget_left": to_attribute(balance.budget_left),
        "revision": to_attribute(1),
        "leases": EMPTY_MAP,
        "late": EMPTY_MAP,
    }


def key_attributes(record: KeyRecord, shard: int) -> Item:
    """The attributes of a key's record. `slots` is the item's share of the concurrency limit: the condition of a write
    compares it with the number of leases.
    """
    row = record_fields.key_fields(record)
    del row["key_id"]
    row["slots"] = shard_limits(record.limits, record.shards, shard).concurrency
    attributes = _attributes(row)
    for name in record_fields.NAMES:
        if texts := getattr(record, name):
            attributes[name] = {"L": [{"S": text} for text in texts]}
    if record.metadata:
        attributes["metadata"] = {"M": {name: {"S": value} for name, value in record.metadata.items()}}
    return attributes


def read_key(item: Item) -> KeyItem:
    """The record and the balance in a key's item."""
    row = from_item(item)
    row["key_id"] = key_id_of(item)
    record = record_fields.read_key(row)
    shard = 0 if row["sk"] == "META" else int(row["sk"].removeprefix("SHARD#"))
    balance = Balance(
        window=int(row.get("window", 0)),
        requests_left=int(row.get("requests_left", UNLIMITED)),
        tokens_left=int(row.get("tokens_left", UNLIMITED)),
        budget_until=int(row.get("budget_until", NEVER)),
        budget_left=int(row.get("budget_left", UNLIMITED)),
        leases={hold_id: _read_lease(lease) for hold_id, lease in row["leases"].items()},
    )
    share = record
    if record.shards > 1:
        share = replace(record, limits=shard_limits(record.limits, record.shards, shard))
    late = {hold_id: _read_lease(lease) for hold_id, lease in row.get("late", {}).items()}
    return KeyItem(
        shard,
        record,
        KeyState(Account(share, balance), late),
        int(row["revision"]) if "revision" in row else None,
        row.get("known_models", frozenset()),
        int(row.get("members", 0)),
    )


def lease_attribute(lease: Lease) -> "AttributeValueTypeDef":
    """A lease as an entry of `leases` or `late`. The names are short because writes are billed by the item's size."""
    return {
        "M": {
            "o": to_attribute(lease.opened_at),
            "e": to_attribute(lease.expires_at),
            "t": to_attribute(lease.tokens),
            "m": to_attribute(lease.micro_usd),
        }
    }


def leases_attribute(leases: Mapping[str, Lease]) -> "AttributeValueTypeDef":
    """All leases of an item, by hold id."""
    return {"M": {hold_id: lease_attribute(lease) for hold_id, lease in leases.items()}}


def usage_item(record: UsageRecord) -> Item:
    """A usage record with its time to live. `made` identifies the write, so that a retry recognises its own item."""
    return {
        **usage_primary_key(record.key_id, record.request_id),
        **_attributes(record_fields.usage_fields(record)),
        "made": to_attribute(secrets.token_hex(8)),
        "ttl": to_attribute(int(record.started_at) + USAGE_KEPT),
    }


def read_usage_record(item: Item) -> UsageRecord:
    """The usage record in an item."""
    return record_fields.read_usage_record(from_item(item))


def audit_item(key_id: str, entry: AuditEntry, revision: int) -> Item:
    """An audit entry of a key. Entries are in the order of time and revision, and stay when the key is deleted."""
    return {
        "pk": {"S": f"AUDIT#{key_id}"},
        "sk": {"S": f"{entry.at:017.6f}#{revision:06d}#{secrets.token_hex(4)}"},
        "at": to_attribute(entry.at),
        "by": to_attribute(entry.by),
        "action": to_attribute(entry.action),
        "changed": {"M": {name: {"S": value} for name, value in entry.changed.items()}},
    }


def read_audit_entry(item: Item) -> AuditEntry:
    """The audit entry in an item."""
    row = from_item(item)
    return AuditEntry(float(row["at"]), row["by"], row["action"], row["changed"])


def _read_lease(row: Mapping[str, Any]) -> Lease:
    # The first version of Tollgate wrote longer names, and its holds reserved no tokens and no money.
    opened_at, expires_at = row.get("o", row.get("opened_at")), row.get("e", row.get("expires_at"))
    return Lease(float(opened_at or 0), float(expires_at or 0), int(row.get("t", 0)), int(row.get("m", 0)))


def _attributes(row: Mapping[str, Scalar]) -> "dict[str, AttributeValueTypeDef]":
    return {name: to_attribute(value) for name, value in row.items() if value is not None}
