"""The rules for changes of a key that both stores enforce, and the audit entries of changes."""

from tollgate.gateway import limits
from tollgate.gateway.errors import BadRequestError, KeyExistsError, KeyNotFoundError
from tollgate.gateway.keys import AuditEntry, KeyRecord, differences

MAX_SHARDS = 20


def check(old: KeyRecord | None, new: KeyRecord) -> KeyRecord:
    """Return the new record if a store can keep it. `old` is None for a new key. Raises BadRequestError."""
    if not 1 <= new.shards <= MAX_SHARDS:
        raise BadRequestError(f"A key has between 1 and {MAX_SHARDS} shards.", param="shards")
    if old is not None and (old.key_id, old.shards) != (new.key_id, new.shards):
        raise BadRequestError("The id and the shards of a key cannot change. Create a new key.", param="shards")
    if old is None or old.limits != new.limits:  # a key whose limits are no longer valid can still be revoked
        limits.check(new.limits, new.shards)
    return new


def change_entry(old: KeyRecord | None, new: KeyRecord | None, by: str, at: float) -> AuditEntry:
    """The audit entry of a change: create, update, rotate, revoke or delete."""
    return AuditEntry(at, by, _action(old, new), {} if new is None else differences(old, new))


def reset_entry(by: str, at: float) -> AuditEntry:
    """The audit entry of a balance that was reset."""
    return AuditEntry(at, by, "reset", {})


def key_not_found(key_id: str) -> KeyNotFoundError:
    """The error for a key_id that does not exist."""
    return KeyNotFoundError(f"There is no key {key_id}.", param="key_id")


def key_exists(key_id: str) -> KeyExistsError:
    """The error for a key_id that exists already."""
    return KeyExistsError(f"There is a key {key_id} already.", param="key_id")


def _action(old: KeyRecord | None, new: KeyRecord | None) -> str:
    if old is None:
        return "create"
    if new is None:
        return "delete"
    if old.key_hash != new.key_hash:
        return "rotate"
    return "revoke" if (old.status, new.status) == ("active", "revoked") else "update"
