"""The error of a DynamoDB call, and hints about errors that the owner can correct."""

from collections.abc import Mapping, Sequence
from typing import Any

from tollgate.stores.dynamodb.attribute_values import Item

NO_CREDENTIALS = "NoCredentials"
"""Code of the error that there are no credentials to sign a request with."""
# Codes of rejected credentials ("Common Error Types" of the DynamoDB API reference).
REJECTED_CREDENTIALS = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


class DynamoDBError(Exception):
    """DynamoDB refuses a call, or does not answer it.

    `code` is that of the response, or empty. `status` is 0 if no whole response came. `item` is the item on which a
    condition failed, if DynamoDB returns it. `cancellation_codes` has a code for each action of a cancelled
    transaction. `date` is that header of the response. The message is AWS's own, which can name accounts.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        item: Item | None = None,
        cancellation_codes: Sequence[str] = (),
        date: str = "",
    ) -> None:
        super().__init__(f"{code or status}: {message}")
        self.code = code
        self.status = status
        self.item = item
        self.cancellation_codes = cancellation_codes
        self.date = date


def response_error(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> DynamoDBError:
    """The error in a response with an error status (developer guide, "Error handling with DynamoDB")."""
    reasons: Sequence[Mapping[str, Any]] = body.get("CancellationReasons") or ()
    return DynamoDBError(
        str(body.get("message") or body.get("Message") or ""),
        code=str(body.get("__type", "")).rpartition("#")[2],
        status=status,
        item=body.get("Item"),
        cancellation_codes=[reason.get("Code") or "" for reason in reasons],
        date=headers.get("date", ""),
    )


def configuration_hint(error: Exception, table: str) -> str | None:
    """What is wrong with the owner's settings for `table`, or None. AWS's own messages name accounts and are left out.

    `table` is the description of the table in the hint.
    """
    code = error.code if isinstance(error, DynamoDBError) else ""
    if code == NO_CREDENTIALS:
        return "There are no AWS credentials here that can be used."
    if code == "ResourceNotFoundException":
        return f"There is no table {table}."
    if code in REJECTED_CREDENTIALS:
        return f"AWS rejects these credentials for the table {table} ({code})."
    return None
