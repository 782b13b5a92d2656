"""Items that an earlier version wrote."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contract.examples import BY, hold, key
from contract.store_state import balance
from tollgate.stores.dynamodb.store import DynamoDBStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


async def test_key_of_the_first_version_is_unlimited(
    client: "DynamoDBClient", table: str, dynamodb_store: DynamoDBStore
) -> None:
    old: Any = {
        "pk": {"S": "KEY#ffffffffffff"},
        "sk": {"S": "META"},
        "key_hash": {"S": key("ffffffffffff").key_hash},
        "name": {"S": "old"},
        "status": {"S": "active"},
        "created_at": {"N": "1700000000"},
        "listed": {"S": "key"},
        "leases": {"M": {"req_1": {"M": {"opened_at": {"N": "1.5"}, "expires_at": {"N": "900.5"}}}}},
    }
    client.put_item(TableName=table, Item=old)
    api_key = replace(hold().key, key_id="ffffffffffff")
    assert "old" in [record.name for record in await dynamodb_store.list()]
    account = await dynamodb_store.get("ffffffffffff")
    assert account is not None
    for i in range(3):
        admitted = await dynamodb_store.admit(replace(hold(f"hold {i}"), key=api_key))
        assert admitted.record == account.record
    assert set((await balance(dynamodb_store, "ffffffffffff")).leases) == {f"hold {i}" for i in range(3)}
    client.put_item(TableName=table, Item=old)
    await dynamodb_store.update("ffffffffffff", lambda record: replace(record, name="older"), BY)
    await dynamodb_store.delete("ffffffffffff", BY)
    assert await dynamodb_store.get("ffffffffffff") is None
