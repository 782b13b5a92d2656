"""Shared documents as items of the table."""

import base64
import secrets
from collections.abc import Mapping

from tollgate.gateway.documents import Document
from tollgate.stores.dynamodb.attribute_values import Item, from_item, to_attribute
from tollgate.stores.dynamodb.base import TableStore, in_full
from tollgate.stores.dynamodb.table import ConditionFailedError


class DynamoDBDocuments(TableStore):
    """`gateway.documents.Documents` on the table. DynamoDB deletes expired items some time later."""

    @in_full
    async def read(self, collection: str, name: str) -> Document | None:
        """See `Documents.read`."""
        item = await self._table.get(_primary_key(collection, name))
        return self._current(item) if item else None

    @in_full
    async def read_all(self, collection: str) -> Mapping[str, Document]:
        """See `Documents.read_all`."""
        pages = self._table.query(_partition(collection), " ", "~", consistent=False)
        found = {from_item(item)["sk"]: self._current(item) async for page in pages for item in page}
        return {name: document for name, document in found.items() if document is not None}

    @in_full
    async def write(
        self, collection: str, name: str, body: bytes, expires_at: float, replaces: Document | None
    ) -> bool:
        """See `Documents.write`."""
        item: Item = {
            **_primary_key(collection, name),
            "body": {"B": base64.b64encode(body).decode()},  # pyright: ignore[reportAssignmentType]
            "ttl": to_attribute(int(expires_at)),
            "made": to_attribute(secrets.token_hex(8)),
        }
        if replaces is None:
            condition, values = "attribute_not_exists(pk) OR #ttl <= :now", {":now": to_attribute(int(self._now()))}
        else:
            condition, values = "#made = :made", {":made": to_attribute(replaces.revision)}
        try:
            await self._table.put_if(item, condition, values)
        except ConditionFailedError:
            return False
        return True

    def _current(self, item: Item) -> Document | None:
        row = from_item(item)
        document = Document(base64.b64decode(row["body"]), float(row["ttl"]), row["made"])
        return document if document.expires_at > int(self._now()) else None


def _partition(collection: str) -> str:
    return f"DOC#{collection}"


def _primary_key(collection: str, name: str) -> Item:
    return {"pk": {"S": _partition(collection)}, "sk": {"S": name}}
