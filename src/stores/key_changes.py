"""The rules for changes of a key that both stores enforce, and the audit entries of changes."""

from decimal import Decimal

from tollgate.gateway.errors import BadRequestError, KeyExistsError, KeyNotFoundError, TeamInUseError
from tollgate.gateway.keys import AuditEntry, KeyRecord, differences, is_team_id
from tollgate.gateway.limits import MAX_LIMIT, MAX_LIMIT_USD, MAX_OPEN, Limits

MAX_SHARDS = 20

LEAST_SHARE_TOKENS = 1000
LEAST_SHARE_USD = Decimal("0.10")
"""The minimum that each of several shards has of a key's tokens and budget: about what one usual request holds."""


def check(old: KeyRecord | None, new: KeyRecord) -> KeyRecord:
    """Return the new record if a store can keep it. `old` is None for a new key. Raises BadRequestError."""
    if not 1 <= new.shards <= MAX_SHARDS:
        raise BadRequestError(f"A key has between 1 and {MAX_SHARDS} shards.", param="shards")
    if old is not None and (old.key_id, old.shards) != (new.key_id, new.shards):
        raise BadRequestError("The id and the shards of a key cannot change. Create a new key.", param="shards")
    if new.team is not None and is_team_id(new.key_id):
        raise BadRequestError("A team cannot belong to a team.", param="team")
    if old is None or old.limits != new.limits:  # a key whose limits are no longer valid can still be revoked
        check_limits(new.limits, new.shards)
    return new


def check_limits(limits: Limits, shards: int) -> None:
    """Check that limits can be applied, and shared by so many shards. Raises BadRequestError, naming the limit at
    fault.

    A shard with less than one usual request needs would refuse requests that the whole key has enough for.
    """
    usd = None if limits.budget is None else limits.budget.usd
    rows = (
        ("rpm", limits.rpm, MAX_LIMIT, 1),
        ("tpm", limits.tpm, MAX_LIMIT, LEAST_SHARE_TOKENS),
        ("concurrency", limits.concurrency, MAX_LIMIT, 1),
        ("budget", usd, MAX_LIMIT_USD, LEAST_SHARE_USD),
    )
    for name, limit, most, share in rows:
        if limit is None:
            continue
        if limit > most:
            raise BadRequestError(f"The limit {name} can be {most} at most.", param=name)
        if name == "concurrency" and limit > MAX_OPEN * shards:
            text = f"{limit} requests at once need --shards {-(-int(limit) // MAX_OPEN)} or more."
            raise BadRequestError(text, param=name)
        if shards > 1 and limit < share * shards:
            text = f"The limit {name} is too small for {shards} shards: it must be {share * shards} at least."
            raise BadRequestError(text, param=name)


def change_entry(old: KeyRecord | None, new: KeyRecord | None, by: str, at: float) -> AuditEntry:
    """The audit entry of a change: create, update, rotate, revoke or delete."""
    return AuditEntry(at, by, _action(old, new), {} if new is None else differences(old, new))


def reset_entry(by: str, at: float) -> AuditEntry:
    """The audit entry of a balance that was reset."""
    return AuditEntry(at, by, "reset", {})


def key_not_found(key_id: str) -> KeyNotFoundError:
    """The error for the id of a key or a team that does not exist."""
    if is_team_id(key_id):
        return KeyNotFoundError(f"There is no team {key_id}.", param="team")
    return KeyNotFoundError(f"There is no key {key_id}.", param="key_id")


def key_exists(key_id: str) -> KeyExistsError:
    """The error for a key_id that exists already."""
    return KeyExistsError(f"There is a key {key_id} already.", param="key_id")


def team_in_use(team: str, members: int) -> TeamInUseError:
    """The error for the deletion of a team with so many keys."""
    has = "one key: delete or move it" if members == 1 else f"{members} keys: delete or move them"
    text = f"The team {team} has {has} first (`tollgate keys update KEY_ID --team none`)."
    return TeamInUseError(text, param="team")


def _action(old: KeyRecord | None, new: KeyRecord | None) -> str:
    if old is None:
        return "create"
    if new is None:
        return "delete"
    if old.key_hash != new.key_hash:
        return "rotate"
    return "revoke" if (old.status, new.status) == ("active", "revoked") else "update"
