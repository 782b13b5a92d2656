"""Calls of DynamoDB over the project's own HTTP client: signed JSON 1.0 requests, made again after a passing error."""

import asyncio
import json
import random
import time
import zlib
from collections.abc import Mapping
from typing import Any, cast

from tollgate.http_client.errors import HttpClientError
from tollgate.http_client.pool import ConnectionPool
from tollgate.http_client.response import Response
from tollgate.stores.dynamodb.credentials import CredentialSource, credential_source
from tollgate.stores.dynamodb.endpoint import Endpoint, endpoint_of_environment
from tollgate.stores.dynamodb.errors import DynamoDBError, response_error
from tollgate.stores.dynamodb.retries import max_pause
from tollgate.stores.dynamodb.signature import RequestSigner

Json = Mapping[str, Any]

OK = 200
MAX_RESPONSE_BYTES = 32 * 1024 * 1024  # BatchGetItem returns up to 16 MB of items (API reference)
MAX_RESPONSE_SECONDS = 10.0
MIN_SKEW = 240.0
"""Seconds. AWS accepts five minutes; a smaller difference of the clocks does not explain a refused signature."""
EXPIRED_TOKEN_CODES = frozenset({"ExpiredToken", "ExpiredTokenException"})
SKEW_CODES = frozenset({"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"})

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class DynamoDBClient:
    """Calls DynamoDB at `endpoint`, on one event loop, over the connections of `pool`, which it closes.

    A call is made at most twice. Each time it waits at most `response_timeout` seconds for the beginning of the
    response, and as long for each further part, but at most MAX_RESPONSE_SECONDS for all of it.
    """

    def __init__(
        self, endpoint: Endpoint, credentials: CredentialSource, pool: ConnectionPool, response_timeout: float
    ) -> None:
        self.region = endpoint.region
        self._url = endpoint.url
        self._signer = RequestSigner(endpoint)
        self._credentials = credentials
        self._pool = pool
        self._response_timeout = response_timeout
        self._clock_offset = 0.0  # seconds by which AWS's clock is ahead of this machine's

    async def call(self, operation: str, parameters: Json) -> dict[str, Any]:
        """The response of an operation (API reference, "Actions"). Raises DynamoDBError."""
        body = _encode(parameters).encode()
        clock_offset = self._clock_offset
        try:
            return await self._send(operation, body)
        except DynamoDBError as error:
            if not await self._prepare_retry(error, clock_offset):
                raise
        return await self._send(operation, body)

    def close(self) -> None:
        """Close the connections. May be called more than once."""
        self._pool.close()

    async def _send(self, operation: str, body: bytes) -> dict[str, Any]:
        credentials = await self._credentials.get()
        headers = self._signer.headers(operation, body, credentials, time.time() + self._clock_offset)
        first_byte_by = asyncio.get_running_loop().time() + self._response_timeout
        try:
            response = await self._pool.request("POST", self._url, headers, body, first_byte_by=first_byte_by)
            try:
                content = await self._read(response)
            finally:
                response.close()
        except HttpClientError as error:
            raise DynamoDBError(str(error)) from error
        return _parsed(response.status, response.headers, content)

    async def _read(self, response: Response) -> bytes:
        """The body. A page of items has up to a megabyte, so it may take longer than the timeout while it arrives."""
        loop = asyncio.get_running_loop()
        pieces: list[bytes] = []
        size = 0
        end = loop.time() + MAX_RESPONSE_SECONDS
        while piece := await response.receive(min(loop.time() + self._response_timeout, end)):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_RESPONSE_BYTES:
                raise DynamoDBError("The response is too large.", status=response.status)
        return b"".join(pieces)

    async def _prepare_retry(self, error: DynamoDBError, clock_offset: float) -> bool:
        """Correct what AWS has refused, or wait. False if the same call would fail again."""
        if error.code in EXPIRED_TOKEN_CODES:
            await self._credentials.reload()
            return True
        if error.code in SKEW_CODES:
            return self._correct_clock(error, clock_offset)
        pause = max_pause(error)
        if pause is None:
            return False
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, so that clients do not retry together
        return True

    def _correct_clock(self, error: DynamoDBError, clock_offset: float) -> bool:
        """Sign by AWS's clock from now on. False if the request was signed by it: then the signature is wrong."""
        from email.utils import parsedate_to_datetime  # hardly ever needed

        try:
            offset = parsedate_to_datetime(error.date).timestamp() - time.time()
        except ValueError:
            return False
        if abs(offset - clock_offset) < MIN_SKEW:
            return False
        self._clock_offset = offset
        return True


def connect(connect_timeout: float = 0.3, response_timeout: float = 1) -> DynamoDBClient:
    """A client for the region, credentials and endpoint of the environment.

    The default timeouts, in seconds, suit calls within a region, because a client waits for each call. Raises
    ConfigurationError if the environment names no region, or something that does not exist.
    """
    pool = ConnectionPool(connect_timeout=connect_timeout)
    return DynamoDBClient(endpoint_of_environment(), credential_source(), pool, response_timeout)


def _parsed(status: int, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """The JSON object of a response. Raises DynamoDBError: what the response says, or that it is damaged."""
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(content)):
        raise DynamoDBError("The checksum of the response does not match.")
    try:
        body: Any = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise DynamoDBError("The response is not a JSON object.", status=status)
    body = cast("dict[str, Any]", body)
    if status != OK:
        raise response_error(status, headers, body)
    return body
