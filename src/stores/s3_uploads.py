"""Uploads of a gateway in AWS: objects of an S3 bucket, which clients write by presigned URLs.

A URL is signed for one object, one size and one content type (Amazon S3 API reference, "Authenticating requests: query
parameters"); the bucket deletes objects after a day.
"""

import asyncio
import os
from typing import Any

from tollgate.gateway.errors import RequestTooLargeError
from tollgate.gateway.large_bodies import LIFETIME, Upload, UploadTarget
from tollgate.http_client.errors import HttpClientError, ResponseTooLargeError
from tollgate.http_client.pool import ConnectionPool
from tollgate.stores.calls import unavailable_error
from tollgate.stores.dynamodb.credentials import credential_source
from tollgate.stores.dynamodb.endpoint import domain_of, endpoint_of_environment

FIRST_BYTE_SECONDS, READ_SECONDS = 5.0, 20.0
GONE = (403, 404)
"""Statuses for an object that does not exist; 403 without the permission to list."""


class S3Uploads:
    """See `gateway.large_bodies.Uploads`."""

    def __init__(self, bucket: str) -> None:
        self._region = endpoint_of_environment().region
        substitute = os.environ.get("AWS_ENDPOINT_URL_S3")
        self._url = (
            f"{substitute}/{bucket}" if substitute else f"https://{bucket}.s3.{self._region}.{domain_of(self._region)}"
        )
        self._credentials = credential_source()
        self._pool = ConnectionPool(connect_timeout=1)

    async def target(self, upload_id: str, size: int, media_type: str) -> UploadTarget:
        """See Uploads."""
        headers = {"content-type": media_type, "content-length": str(size)}
        return UploadTarget(await self._signed("PUT", upload_id, headers, LIFETIME), headers)

    async def read(self, upload_id: str, max_bytes: int) -> Upload | None:
        """See Uploads."""
        url = await self._signed("GET", upload_id, {}, 60)
        now = asyncio.get_running_loop().time()
        try:
            response = await self._pool.request("GET", url, {}, b"", first_byte_by=now + FIRST_BYTE_SECONDS)
            try:
                content = await response.read(now + READ_SECONDS, max_bytes)
            finally:
                response.close()
        except ResponseTooLargeError:
            raise RequestTooLargeError("The upload is too large.") from None
        except HttpClientError as error:
            raise unavailable_error() from error
        if response.status in GONE:
            return None
        if response.status != 200:
            raise unavailable_error()
        return Upload(response.headers.get("content-type", "application/octet-stream"), content)

    async def _signed(self, method: str, upload_id: str, headers: dict[str, str], seconds: int) -> str:
        # Imported here: only requests with uploads need botocore.
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        access_key, secret_key, token = await self._credentials.get()
        request: Any = AWSRequest(method, f"{self._url}/{upload_id.partition('-')[0]}/{upload_id}", headers=headers)
        credentials: Any = Credentials(access_key, secret_key, token)
        S3SigV4QueryAuth(credentials, "s3", self._region, expires=seconds).add_auth(request)
        return request.url
