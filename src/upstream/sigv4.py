"""The region of calls to AWS, and Signature Version 4 (AWS, IAM User Guide, "AWS Signature Version 4").

A request is signed right before it is sent: the signature covers its URL, headers and body, so they must not change.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError
from tollgate.gateway.types import UpstreamRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

BEDROCK = "bedrock"
"""The service name in the signature (AWS, Service Authorization Reference). The host name has bedrock-runtime."""

_REGION_PLACEHOLDER = "{region}"
_CREDENTIAL_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_CREDENTIAL_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
"""Sources of credentials (AWS SDKs and Tools Reference Guide, "Standardized credential providers")."""


def region_of(provider: Provider) -> str | None:
    """The AWS region in which a provider is called: its own, or that of this process; None if neither is set."""
    return provider.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def lacks_region(provider: Provider) -> bool:
    """Whether a provider requires a region and none is set."""
    return (provider.auth == "sigv4" or _REGION_PLACEHOLDER in provider.base_url) and not region_of(provider)


def lacks_credentials() -> bool:
    """Whether neither environment variables nor files configure AWS credentials.

    On EC2, the metadata service may still have credentials; it is not queried here.
    """
    if any(os.environ.get(name) for name in _CREDENTIAL_VARIABLES):
        return False
    files = (Path(os.environ.get(name) or default).expanduser() for name, default in _CREDENTIAL_FILES.items())
    return not any(file.exists() for file in files)


def in_region(request: UpstreamRequest, provider: Provider) -> UpstreamRequest:
    """The request with the region in its URL. Raises UpstreamAuthError if no region is set."""
    if lacks_region(provider):
        raise UpstreamAuthError(f"The gateway has no AWS region for the provider {provider.name!r}.")
    if _REGION_PLACEHOLDER not in provider.base_url:
        return request
    return replace(request, url=request.url.replace(_REGION_PLACEHOLDER, region_of(provider) or "", 1))


class Signer:
    """Signs requests to a service with the AWS credentials of this process; in Lambda, those of the function's role."""

    def __init__(self, service: str = BEDROCK) -> None:
        self._service = service
        self._credentials: Credentials | None = None

    async def headers(self, request: UpstreamRequest, provider: Provider) -> Mapping[str, str]:
        """The request's headers with the signature. Raises UpstreamAuthError if there are no credentials."""
        if self._credentials is None or _expire_soon(self._credentials):
            frozen = await asyncio.to_thread(self._load)  # it reads files, or calls AWS
        else:
            frozen = self._credentials.get_frozen_credentials()
        if frozen is None:
            raise UpstreamAuthError(f"The gateway has no AWS credentials for the provider {provider.name!r}.")
        return _sign(request, self._service, region_of(provider) or "", frozen)

    def _load(self) -> "ReadOnlyCredentials | None":
        """Load the credentials, or new ones if they expire. Raises UpstreamAuthError."""
        # Imported at the first signature, because most gateways have no such provider and imports are slow.
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session

        try:
            self._credentials = self._credentials or Session().get_credentials()
            return self._credentials and self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: still expired after a refresh
            raise UpstreamAuthError("The gateway's AWS credentials cannot be loaded.") from error


def _expire_soon(credentials: "Credentials") -> bool:
    """Whether botocore would refresh the credentials before it returns them."""
    from botocore.credentials import RefreshableCredentials

    return isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed()


def _sign(request: UpstreamRequest, service: str, region: str, credentials: "ReadOnlyCredentials") -> Mapping[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    signed = AWSRequest(request.method, request.url, headers=dict(request.headers), data=request.body)
    SigV4Auth(credentials, service, region).add_auth(signed)
    return {name.lower(): value for name, value in signed.headers.items()}
