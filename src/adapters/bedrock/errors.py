"""Reads Bedrock's exceptions as the client's errors (AWS, Amazon Bedrock API Reference, "Converse", "Errors")."""

from collections.abc import Mapping

from tollgate.adapters.error_bodies import read_error, read_error_body
from tollgate.adapters.json_access import parse_object, text
from tollgate.adapters.provider_errors import provider_error, retry_after
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.types import Json

_STATUSES = {
    "validationexception": 400,
    "accessdeniedexception": 403,
    "unrecognizedclientexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelnotreadyexception": 429,
    "servicequotaexceededexception": 429,
    "throttlingexception": 429,
    "internalserverexception": 500,
    "unknownoperationexception": 502,
    "serviceunavailableexception": 503,
}
"""The HTTP status of each exception, in a stream too; ServiceQuotaExceededException is sent with status 400."""


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The error for `{"message"}` and an exception named in `x-amzn-errortype`, or for the body of a proxy."""
    exception = headers.get("x-amzn-errortype") or text(object_or_empty(body), "__type") or ""
    status = _STATUSES.get(_exception_name(exception), status)
    return provider_error(read_error_body(body), status, retry_after(headers))


def exception_error(exception: str, body: Json) -> GatewayError:
    """The error for an exception under status 200."""
    return provider_error(read_error(body), _STATUSES.get(_exception_name(exception)))


def object_or_empty(body: bytes) -> Json:
    """The JSON object of an error; empty if the body is none, because an exception without a message is an error."""
    try:
        return parse_object(body)
    except UpstreamError:
        return {}


def _exception_name(value: str) -> str:
    """The bare name in lower case: `namespace#ThrottlingException:http://...` equals `throttlingException`."""
    return value.partition(":")[0].rpartition("#")[2].strip().lower()
