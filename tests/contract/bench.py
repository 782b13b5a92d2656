"""What a contract test holds in its hands: a store, and the time it goes by."""

from dataclasses import dataclass

from contract.examples import KEY_ID, NOW
from tollgate.gateway.admission import Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import Balance
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store

FOREVER = (0.0, 2.0**34)


@dataclass
class Time:
    """Unix time, as a test sets it."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


async def admitted(store: Store, asked: Hold) -> str:
    """`admitted`, or why not."""
    try:
        await store.admit(asked)
    except RefusedError as refused:
        return refused.kind
    except AuthenticationError:
        return "unauthorized"
    return "admitted"


async def balance(store: Store, key_id: str = KEY_ID) -> Balance:
    """How a key stands; the key must be there."""
    account = await store.get(key_id)
    assert account is not None
    return account.balance


async def held(store: Store, key_id: str = KEY_ID) -> set[str]:
    """The open holds of a key; none where there is no such key."""
    account = await store.get(key_id)
    return set(account.balance.leases) if account else set()


async def records(
    store: Store, key_id: str = KEY_ID, start: float = FOREVER[0], end: float = FOREVER[1]
) -> list[UsageRecord]:
    """The usage records of a key, as the store yields them."""
    return [record async for record in store.usage(key_id, start, end)]
