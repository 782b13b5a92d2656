"""What both stores hold to when a key is changed: what may change at all, and what the audit says of it."""

from tollgate.gateway import limits
from tollgate.gateway.errors import BadRequestError, KeyExistsError, KeyNotFoundError
from tollgate.gateway.keys import AuditEntry, KeyRecord, differences

MAX_SHARDS = 20


def checked(old: KeyRecord | None, new: KeyRecord) -> KeyRecord:
    """The new record, if a store can keep it. Raises BadRequestError."""
    if not 1 <= new.shards <= MAX_SHARDS:
        raise BadRequestError(f"A key has between 1 and {MAX_SHARDS} shards.", param="shards")
    if old is not None and (old.key_id, old.shards) != (new.key_id, new.shards):
        raise BadRequestError("A key keeps its id and its shards for life; make a new key.", param="shards")
    if old is None or old.limits != new.limits:  # a key that has others already can still be revoked
        limits.check(new.limits, new.shards)
    return new


def entry(old: KeyRecord | None, new: KeyRecord | None, by: str, at: float) -> AuditEntry:
    """The audit's words for a change: create, update, rotate, revoke or delete."""
    return AuditEntry(at, by, _action(old, new), {} if new is None else differences(old, new))


def reset(by: str, at: float) -> AuditEntry:
    """The audit's words for a balance that is full again."""
    return AuditEntry(at, by, "reset", {})


def missing(key_id: str) -> KeyNotFoundError:
    """No key has this id."""
    return KeyNotFoundError(f"There is no key {key_id}.", param="key_id")


def taken(key_id: str) -> KeyExistsError:
    """A key has this id already."""
    return KeyExistsError(f"There is a key {key_id} already.", param="key_id")


def _action(old: KeyRecord | None, new: KeyRecord | None) -> str:
    if old is None:
        return "create"
    if new is None:
        return "delete"
    if old.key_hash != new.key_hash:
        return "rotate"
    return "revoke" if (old.status, new.status) == ("active", "revoked") else "update"
