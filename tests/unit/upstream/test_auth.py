"""The authentication header of a provider."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import convert

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError
from tollgate.upstream.auth import credential_headers


@dataclass
class FixedCredentials:
    """Has one secret, or none, and records the name that was requested."""

    secret: str | None
    requested: str | None = None

    async def get(self, name: str) -> str | None:
        self.requested = name
        return self.secret

    async def reread(self, name: str) -> bool:
        return False

    def is_missing(self, name: str) -> bool:
        return not self.secret


def provider(auth: str, **more: Any) -> Provider:
    return convert({"name": "p", "family": "f", "auth": auth, "credential": "P_KEY", **more}, Provider)


async def test_bearer_is_sent_in_authorization() -> None:
    credentials = FixedCredentials("s3cret")
    assert await credential_headers(provider("bearer"), credentials) == {"authorization": "Bearer s3cret"}
    assert credentials.requested == "P_KEY"


async def test_header_is_the_secret_alone() -> None:
    headers = await credential_headers(provider("header", auth_header="api-key"), FixedCredentials("s3cret"))
    assert headers == {"api-key": "s3cret"}


async def test_no_secret_is_requested_for_a_provider_without_authentication() -> None:
    credentials = FixedCredentials("s3cret")
    assert await credential_headers(provider("none"), credentials) == {}
    assert credentials.requested is None


@pytest.mark.parametrize("secret", [None, "", " ", "\n"])
async def test_missing_credential_is_an_upstream_auth_error(secret: str | None) -> None:
    with pytest.raises(UpstreamAuthError, match="no credential for the provider 'p'"):
        await credential_headers(provider("bearer"), FixedCredentials(secret))


async def test_newline_is_not_part_of_the_secret() -> None:
    assert await credential_headers(provider("bearer"), FixedCredentials(" s3cret\r\n")) == {
        "authorization": "Bearer s3cret"
    }


@pytest.mark.parametrize("secret", ["s3\ncret", "s3\x00cret", "s3cr\u00e9t", "\u201cs3cret\u201d"])
@pytest.mark.parametrize("auth", ["bearer", "header"])
async def test_secret_that_is_no_header_value_is_refused_without_revealing_it(secret: str, auth: str) -> None:
    with pytest.raises(UpstreamAuthError) as caught:
        await credential_headers(provider(auth), FixedCredentials(secret))
    assert "cr" not in caught.value.message.replace("credential", "")
