"""The admission decision: whether a key may have what a request reserves. Every store makes it in its own terms.

If the key belongs to a team, the same decision is made on the team's account. A request passes both or takes nothing.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tollgate.gateway import keys, limits
from tollgate.gateway.errors import GatewayError, InsufficientQuotaError, PermissionDeniedError, RateLimitError
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import Balance, ExceededError, Kind, Lease, Limits

Refusal = Kind | Literal["model", "unpriced"]

OF_KEY = "/"  # between a key_id and a request id

CONCURRENCY_RETRY = (0.5, 1.5)
"""Seconds after which a client over its limit of requests at once may retry: nobody knows when a request will end. Each
client gets another number between the two, so that they do not all return at the same moment."""


@dataclass(frozen=True, slots=True)
class Account:
    """A key and its balance. If not `checked`, the store did not respond and this is the last known state.

    `team` is the account of the key's team, if a request was admitted to it or refused by it.
    """

    record: KeyRecord
    balance: Balance
    checked: bool = True
    team: "Account | None" = None

    @property
    def has_budget(self) -> bool:
        """Whether a budget pays for the requests: the key's or the team's."""
        return any(each.record.limits.budget is not None for each in self.each)

    @property
    def refuses_unpriced(self) -> bool:
        """Whether a model without a price is refused, by the key or the team."""
        return any(keys.refuses_unpriced(each.record) for each in self.each)

    @property
    def each(self) -> "Sequence[Account]":
        """This account, and the team's."""
        return (self,) if self.team is None else (self, self.team)


@dataclass(frozen=True, slots=True)
class Hold:
    """What a request reserves until it is settled. `hold_id` is the request's id; times are Unix seconds.

    `tokens` and `micro_usd` are the expected maximum; `priced` says whether the second is known. Of a smaller budget it
    gets what is left, down to `minimum_micro_usd` (None: all or nothing). With `at_most_half` it leaves half of the
    budget to other requests, if the other half has the least. A `forced` hold is reserved whatever is left, for a
    request that was already answered. `other_models` are further models that the request names. `team` is the team that
    the request was admitted to along with the key.
    """

    hold_id: str
    key: ApiKey
    model: str
    opened_at: float
    expires_at: float
    tokens: int = 0
    micro_usd: int = 0
    priced: bool = True
    forced: bool = False
    minimum_micro_usd: int | None = None
    at_most_half: bool = False
    other_models: tuple[str, ...] = ()
    team: str | None = None

    def of_team(self, team: str, micro_usd: int) -> "Hold":
        """The hold on the team's account: as much, with this amount of money.

        Its id names the key, whose usage record says what was used: see `usage_of_hold`.
        """
        hold_id = f"{self.key.key_id}{OF_KEY}{self.hold_id}"
        return replace(self, hold_id=hold_id, key=ApiKey(team, keys.NO_HASH), micro_usd=micro_usd, team=None)

    @property
    def lease(self) -> Lease:
        """What the key's balance records of it, if the budget has enough."""
        return Lease(self.opened_at, self.expires_at, self.tokens, self.micro_usd)

    @property
    def ample_micro_usd(self) -> int:
        """The hold gets all it wants if this much of a budget is left."""
        return self.micro_usd * 2 if self.at_most_half else self.micro_usd

    def lease_of(self, balance: Balance, limits: Limits) -> Lease:
        """What it reserves of this balance; not whether that much is left."""
        if limits.budget is None or self.minimum_micro_usd is None or self.forced:
            return self.lease
        left = balance.budget_left // 2 if self.at_most_half else balance.budget_left
        return replace(self.lease, micro_usd=max(min(self.micro_usd, left), self.minimum_micro_usd))


def usage_of_hold(account_id: str, hold_id: str) -> tuple[str, str]:
    """The key_id and the request id of the usage record of a hold on the account of a key or a team."""
    key_id, separator, request_id = hold_id.partition(OF_KEY)
    return (key_id, request_id) if separator else (account_id, hold_id)


class RefusedError(Exception):
    """The key is valid, but the request is refused; `account` is the key's state, and nothing was reserved.

    With `by_team`, a limit of `account.team` is the reason.
    """

    def __init__(self, kind: Refusal, account: Account, *, by_team: bool = False) -> None:
        super().__init__(kind)
        self.kind: Refusal = kind
        self.account = account
        self.by_team = by_team


def refused_by_team(refused: RefusedError, account: Account, hold: Hold) -> RefusedError:
    """The refusal of a request that this key's account had admitted, and its team's refused."""
    balance = limits.cancel(account.balance, account.record.limits, hold.hold_id)
    return RefusedError(refused.kind, replace(account, balance=balance, team=refused.account), by_team=True)


def decide(account: Account, hold: Hold) -> Account:
    """The account with the hold in it. Raises AuthenticationError, RefusedError.

    The store closes ended leases before this: only it knows whether their requests left a record.
    """
    record = keys.verify(account.record, hold.key, hold.opened_at)
    standing = replace(account, balance=limits.refreshed(account.balance, record.limits, hold.opened_at))
    refusal = None if hold.forced else permanent_refusal(record, hold)
    if refusal is not None:
        raise RefusedError(refusal, standing)
    try:
        lease = hold.lease_of(standing.balance, record.limits)
        balance = limits.reserve(standing.balance, record.limits, hold.hold_id, lease, forced=hold.forced)
    except ExceededError as exceeded:
        raise RefusedError(exceeded.kind, standing) from None
    return replace(standing, balance=balance)


def permanent_refusal(record: KeyRecord, hold: Hold) -> Literal["model", "unpriced"] | None:
    """Why the key may never have this, whatever is left of its limits; None if it may."""
    if not all(keys.allows_model(record, model) for model in (hold.model, *hold.other_models)):
        return "model"
    if not hold.priced and keys.refuses_unpriced(record):
        return "unpriced"
    return None


def refusal_error(refused: RefusedError, hold: Hold) -> GatewayError:
    """The client's error: 429 with the limit as its code, 402 for the budget, 403 for what the key may never have."""
    account, who, owner = refused.account, "key", ""
    if refused.by_team and account.team is not None:
        account, who = account.team, "team"
        owner = f" of the team {account.record.name}"
    of = account.record.limits
    wait = max(0.001, limits.window_ends(account.balance) - hold.opened_at)
    match refused.kind:
        case "requests":
            text = f"Limit of {of.rpm} requests per minute{owner} reached."
            return RateLimitError(text, code="requests", retry_after=wait)
        case "tokens":
            text = f"Limit of {of.tpm} tokens per minute{owner} reached: this request may need {hold.tokens}."
            return RateLimitError(text, code="tokens", retry_after=wait)
        case "concurrency":
            text = f"Limit of {of.concurrency} requests at once{owner} reached."
            return RateLimitError(text, code="concurrency", retry_after=_soon())
        case "open":
            most = limits.MAX_OPEN * account.record.shards
            text = f"{most} requests of this {who} are open, which is the most it can hold; a {who} made with --shards"
            return RateLimitError(f"{text} can hold more.", code="concurrency", retry_after=_soon())
        case "budget":
            return InsufficientQuotaError(f"{budget_of(account)} is used up, or too small for this request.")
        case "model":
            return _not_allowed(account.record, hold)
        case "unpriced":
            text = f"This {who} has a budget, and the model {hold.model!r} has no price."
            return PermissionDeniedError(text, param="model", code="model_without_price")


def budget_of(account: Account) -> str:
    """The budget of the account in words, as an error begins."""
    record = account.record
    return f"The budget of {f'the team {record.name}' if keys.is_team_id(record.key_id) else 'this key'}"


def _soon() -> float:
    return random.uniform(*CONCURRENCY_RETRY)  # noqa: S311 - no secret, only evenly spread


def _not_allowed(record: KeyRecord, hold: Hold) -> PermissionDeniedError:
    """The error for the first model that the key may not use."""
    own = not keys.allows_model(record, hold.model)
    model = hold.model if own else next(name for name in hold.other_models if not keys.allows_model(record, name))
    return model_not_allowed(model, "model" if own else "models")


def model_not_allowed(model: str, param: str = "model") -> PermissionDeniedError:
    """The error for a model that a key may not use."""
    text = f"This key may not use the model {model[:200]!r}."
    return PermissionDeniedError(text, param=param, code="model_not_allowed")


def rate_limit_headers(account: Account, now: float) -> Mapping[str, str]:
    """The limits of the key and its team in OpenAI's `x-ratelimit-*` (the reset as an ISO 8601 time) and in the IETF's
    `RateLimit` fields: of each limit that both have, the one with less left.

    IETF: draft-ietf-httpapi-ratelimit-headers, "RateLimit-Policy" (quota `q` per window of `w` seconds) and "RateLimit"
    (what remains, `r`, for another `t` seconds). Empty if the state is not known.
    """
    if not account.checked:
        return {}
    known: dict[str, tuple[int, int]] = {}
    ends = 0
    for each in account.each:
        of, balance = each.record.limits, limits.refreshed(each.balance, each.record.limits, now)
        ends = max(ends, limits.window_ends(balance))
        for name, limit, left in (("requests", of.rpm, balance.requests_left), ("tokens", of.tpm, balance.tokens_left)):
            if limit is not None and (name not in known or left < known[name][1]):
                known[name] = limit, max(0, left)
    headers: dict[str, str] = {}
    for name, (limit, left) in known.items():
        headers[f"x-ratelimit-limit-{name}"] = str(limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(left)
        headers[f"x-ratelimit-reset-{name}"] = limits.iso(ends)
    if known:
        wait = max(1, round(ends - now))
        headers["ratelimit-policy"] = ", ".join(f'"{n}";q={limit};w={limits.WINDOW}' for n, (limit, _) in known.items())
        headers["ratelimit"] = ", ".join(f'"{n}";r={left};t={wait}' for n, (_, left) in known.items())
    return headers
