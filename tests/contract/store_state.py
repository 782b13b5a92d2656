"""The clock of a test, and reads of a store's state."""

from collections.abc import Callable
from dataclasses import dataclass

from contract.examples import KEY_ID, NOW
from tollgate.gateway.admission import Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import Balance
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore

OpenDynamoDBStore = Callable[[], DynamoDBStore]

FOREVER = (0.0, 2.0**34)


@dataclass
class FakeClock:
    """A clock whose Unix time is set by the test."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


async def outcome_of_admission(store: Store, requested: Hold) -> str:
    """Admit a hold: `admitted`, `unauthorized` or the kind of the refusal."""
    try:
        await store.admit(requested)
    except RefusedError as refused:
        return refused.kind
    except AuthenticationError:
        return "unauthorized"
    return "admitted"


async def balance(store: Store, key_id: str = KEY_ID) -> Balance:
    """The balance of a key, which must exist."""
    account = await store.get(key_id)
    assert account is not None
    return account.balance


async def open_holds(store: Store, key_id: str = KEY_ID) -> set[str]:
    """The ids of a key's open holds; empty if the key does not exist."""
    account = await store.get(key_id)
    return set(account.balance.leases) if account else set()


async def records(
    store: Store, key_id: str = KEY_ID, start: float = FOREVER[0], end: float = FOREVER[1]
) -> list[UsageRecord]:
    """The usage records of a key, as the store yields them."""
    return [record async for record in store.usage(key_id, start, end)]
