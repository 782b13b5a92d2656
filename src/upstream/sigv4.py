"""AWS's way in: the region of a call, and Signature Version 4 (AWS, IAM User Guide, "AWS Signature Version 4").

A request is signed as it goes out: over its very URL, headers and body, so nothing may change them any more.
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
    from botocore.credentials import Credentials

SERVICE = "bedrock"
"""The name it is signed for (AWS, Service Authorization Reference); the host is called bedrock-runtime."""

_PLACEHOLDER = "{region}"
_TOLD_BY = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_KEPT_IN = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
"""Where AWS's tools look for credentials (AWS SDKs and Tools Reference Guide, "Standardized credential providers")."""


def region_of(provider: Provider) -> str | None:
    """The AWS region a provider is called in: its own, or the one this process runs in; None where neither is known."""
    return provider.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def lacks_region(provider: Provider) -> bool:
    """Whether a provider cannot be called because its region is not known."""
    return (provider.auth == "sigv4" or _PLACEHOLDER in provider.base_url) and not region_of(provider)


def lacks_credentials() -> bool:
    """True only where it is known, without asking anybody, that this process has no AWS credentials.

    A machine in EC2 may yet be given some by its metadata service, but that would have to be asked.
    """
    kept = (os.environ.get(name) or path for name, path in _KEPT_IN.items())
    return not any(os.environ.get(name) for name in _TOLD_BY) and not any(Path(p).expanduser().exists() for p in kept)


def in_region(request: UpstreamRequest, provider: Provider) -> UpstreamRequest:
    """The request with its region in the URL. Raises UpstreamAuthError where that is not known."""
    if lacks_region(provider):
        raise UpstreamAuthError(f"The gateway knows no AWS region for the provider {provider.name!r}.")
    if _PLACEHOLDER not in provider.base_url:
        return request
    return replace(request, url=request.url.replace(_PLACEHOLDER, region_of(provider) or "", 1))


class Signer:
    """Signs with the AWS credentials of this process, in Lambda those of the function's role."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    async def headers(self, request: UpstreamRequest, provider: Provider) -> Mapping[str, str]:
        """The headers of this request, signed. Raises UpstreamAuthError where there are no credentials."""
        return await asyncio.to_thread(self._headers, request, provider)  # credentials may have to be fetched anew

    def _headers(self, request: UpstreamRequest, provider: Provider) -> Mapping[str, str]:
        # Imported with the first signature: a gateway without such a provider does not pay for it.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session

        try:
            self._credentials = self._credentials or Session().get_credentials()
            frozen = self._credentials and self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: refreshed, and expired all the same
            raise UpstreamAuthError("The gateway's AWS credentials cannot be had.") from error
        if frozen is None:
            raise UpstreamAuthError(f"The gateway has no AWS credentials for the provider {provider.name!r}.")
        signed = AWSRequest(request.method, request.url, headers=dict(request.headers), data=request.body)
        SigV4Auth(frozen, SERVICE, region_of(provider) or "").add_auth(signed)
        return {name.lower(): value for name, value in signed.headers.items()}
