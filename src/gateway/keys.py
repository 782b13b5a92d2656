"""API keys: how they are generated, parsed and verified. Only the SHA-256 of a key is stored."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import inf
from typing import Literal, cast

from tollgate.gateway.errors import AuthenticationError, BadRequestError
from tollgate.gateway.limits import Limits

KEY_ID_BYTES = 6
NO_HASH = "0" * 64  # no text has it
TEAM_PREFIX = "team-"
SECRET_BYTES = 32  # 256 bits: no list of guesses, however fast SHA-256 is, gets through them
_ID_FORM = re.compile(r"[0-9a-f]{12}", re.ASCII)
_OWN_NAME = re.compile(r"(.+)__[0-9a-f]{12}", re.ASCII)
_FORM = re.compile(r"sk-tg-([0-9a-f]{12})-([0-9a-f]{64})", re.ASCII)

NO_LIMITS = Limits()
KeyStatus = Literal["active", "revoked"]
Role = Literal["user", "admin"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key that a client sends: its public id, and the hash of its secret."""

    key_id: str
    key_hash: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is stored of a key. Times are Unix seconds; `expires_at` None means that it never expires.

    `models` are globs of the model names that it may use; none means all. `guardrails` are rules of the catalog that
    check its requests beside those of the models. `limits` apply; `tier` is the name of the tier that they were copied
    from. A key with a budget is refused a model without a price unless `allow_unpriced`. The secret before the last
    rotation works until `previous_until`. `shards` is how many items share the limits. `team` is the id of a team whose
    limits apply as well. Its responses may be served from the cache for `cache_seconds`; 0 means not at all.
    `credentials` are those of the catalog for which it has secrets of its own.

    A team is stored in the same way, as a key without a secret: see `new_team`.
    """

    key_id: str
    key_hash: str
    name: str
    status: KeyStatus
    created_at: int
    expires_at: int | None = None
    owner: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    tier: str | None = None
    role: Role = "user"
    models: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    allow_unpriced: bool = False
    shards: int = 1
    previous_hash: str | None = None
    previous_until: int | None = None
    team: str | None = None
    cache_seconds: int = 0
    credentials: tuple[str, ...] = ()


Change = Callable[[KeyRecord], KeyRecord]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of a key: when (Unix seconds), by whom, which action, and the new values of the changed fields."""

    at: float
    by: str
    action: str
    changed: Mapping[str, str]


def differences(old: KeyRecord | None, new: KeyRecord | None) -> Mapping[str, str]:
    """The fields that a change gave new values, as text; never a hash."""
    fields = [name for name in KeyRecord.__slots__ if not name.endswith("_hash")]
    before, after = ({name: getattr(record, name, None) for name in fields} for record in (old, new))
    changed = [name for name in fields if before[name] != after[name]]
    return {name: _as_text(after[name], "*" if name == "models" else "-") for name in changed}


def _as_text(value: object, if_empty: str) -> str:
    if isinstance(value, tuple):
        return ", ".join(cast("tuple[str, ...]", value)) or if_empty
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={text}" for name, text in cast("Mapping[str, str]", value).items()) or "-"
    return "-" if value is None else str(value)


def generate(random_bytes: Callable[[int], bytes], key_id: str | None = None) -> tuple[str, ApiKey]:
    """A new key `sk-tg-<key_id>-<secret>`: the text to show once, and what to store of it.

    With a `key_id`, a new secret for that key.
    """
    text = f"sk-tg-{key_id or random_bytes(KEY_ID_BYTES).hex()}-{random_bytes(SECRET_BYTES).hex()}"
    return text, read(text)


def rotated(record: KeyRecord, key: ApiKey, until: int, now: int) -> KeyRecord:
    """The record with a new secret; the old one works until `until`, in Unix seconds.

    Raises BadRequestError if the secret before that still works: a key keeps two. If `until` is `now`, both end.
    """
    if until > now and (record.previous_until or 0) > now:
        text = "The secret before the last rotation still works. Wait for its end, or end both now with --overlap 0m."
        raise BadRequestError(text, param="overlap")
    return replace(record, key_hash=key.key_hash, previous_hash=record.key_hash, previous_until=until)


def revoked(record: KeyRecord) -> KeyRecord:
    """The record of a revoked key."""
    return replace(record, status="revoked")


def read(text: str) -> ApiKey:
    """Parse the key in a client's bearer token. Raises AuthenticationError if it does not have the form of a key."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise AuthenticationError
    return ApiKey(match[1], hashlib.sha256(text.encode()).hexdigest())


def is_key_id(text: str) -> bool:
    """Whether the text has the form of a key's id."""
    return _ID_FORM.fullmatch(text) is not None


def own_name(credential: str, key_id: str) -> str:
    """Where the secret of a key is found that stands for this credential of the catalog."""
    return f"{credential}__{key_id}"


def read_own_name(name: str) -> str | None:
    """The credential of the catalog that this one stands for; None if it is not a key's own."""
    match = _OWN_NAME.fullmatch(name)
    return match and match[1]


def new_team(random_bytes: Callable[[int], bytes], name: str, now: int, shards: int = 1) -> KeyRecord:
    """The record of a new team, `team-` and 12 hex digits, which no client's key matches."""
    return KeyRecord(f"{TEAM_PREFIX}{random_bytes(KEY_ID_BYTES).hex()}", NO_HASH, name, "active", now, shards=shards)


def is_team_id(text: str) -> bool:
    """Whether the text has the form of a team's id."""
    return text.startswith(TEAM_PREFIX) and is_key_id(text.removeprefix(TEAM_PREFIX))


def refuses_unpriced(record: KeyRecord) -> bool:
    """Whether a model without a price is refused, because its cost cannot be taken from the budget."""
    return record.limits.budget is not None and not record.allow_unpriced


def verify(record: KeyRecord | None, key: ApiKey, now: float) -> KeyRecord:
    """The record, if it belongs to this key and may be used; else AuthenticationError, the same for every reason.

    The comparison takes the same time wherever the hashes differ, and is also made for unknown keys.
    """
    current, previous = (record.key_hash, record.previous_hash) if record else (None, None)
    is_current = hmac.compare_digest(current or NO_HASH, key.key_hash)
    is_previous = hmac.compare_digest(previous or NO_HASH, key.key_hash)
    if record is None or not is_usable(record, now):
        raise AuthenticationError
    if not is_current and not (is_previous and now < (record.previous_until or 0)):
        raise AuthenticationError
    return record


def allows_model(record: KeyRecord, model: str) -> bool:
    """Whether the key may use this model, by the name that the client requests."""
    return not record.models or any(fnmatchcase(model, pattern) for pattern in record.models)


def is_usable(record: KeyRecord, now: float) -> bool:
    """Whether a key that matches may be used now: not revoked, not expired."""
    return record.status == "active" and (record.expires_at is None or record.expires_at > now)


class RecentKeys:
    """Keys that this process verified in the last minutes. Such a key's body is read; nothing else is granted by it."""

    SECONDS = 300
    MAX_ENTRIES = 10_000

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._seen: dict[ApiKey, tuple[float, int]] = {}

    def add(self, key: ApiKey, cache_seconds: int) -> None:
        """Remember a verified key; the oldest one is forgotten if there are too many."""
        self._seen.pop(key, None)
        self._seen[key] = self._now(), cache_seconds
        if len(self._seen) > self.MAX_ENTRIES:
            del self._seen[next(iter(self._seen))]

    def __contains__(self, key: ApiKey) -> bool:
        at, _ = self._seen.get(key, (-inf, 0))
        return self._now() - at < self.SECONDS

    def cache_seconds(self, key: ApiKey) -> int:
        """For how long responses to this key may be cached, as far as this process knows."""
        return self._seen[key][1] if key in self else 0
