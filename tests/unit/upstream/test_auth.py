"""How a provider's secret gets onto a request."""

from dataclasses import dataclass
from typing import Any

import pytest

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError
from tollgate.upstream.auth import credential_headers


@dataclass
class Safe:
    """Keeps one secret, or none, and remembers what it was asked for."""

    secret: str | None
    asked: str | None = None

    async def get(self, name: str) -> str | None:
        self.asked = name
        return self.secret

    def is_missing(self, name: str) -> bool:
        return not self.secret


def provider(auth: str, **more: Any) -> Provider:
    return Provider.model_validate({"name": "p", "family": "f", "auth": auth, "credential": "P_KEY", **more})


async def test_bearer_goes_into_authorization() -> None:
    safe = Safe("s3cret")
    assert await credential_headers(provider("bearer"), safe) == {"authorization": "Bearer s3cret"}
    assert safe.asked == "P_KEY"


async def test_header_carries_the_bare_secret() -> None:
    headers = await credential_headers(provider("header", auth_header="api-key"), Safe("s3cret"))
    assert headers == {"api-key": "s3cret"}


async def test_provider_that_needs_none_is_not_asked_for_one() -> None:
    safe = Safe("s3cret")
    assert await credential_headers(provider("none"), safe) == {}
    assert safe.asked is None


@pytest.mark.parametrize("secret", [None, "", " ", "\n"])
async def test_missing_credential_is_the_owners_trouble(secret: str | None) -> None:
    with pytest.raises(UpstreamAuthError, match="no credential for the provider 'p'"):
        await credential_headers(provider("bearer"), Safe(secret))


async def test_line_end_that_a_file_left_is_not_part_of_the_secret() -> None:
    assert await credential_headers(provider("bearer"), Safe(" s3cret\r\n")) == {"authorization": "Bearer s3cret"}


@pytest.mark.parametrize("secret", ["s3\ncret", "s3\x00cret", "s3cr\u00e9t", "\u201cs3cret\u201d"])
@pytest.mark.parametrize("auth", ["bearer", "header"])
async def test_secret_that_no_header_can_carry_is_refused_and_not_told(secret: str, auth: str) -> None:
    with pytest.raises(UpstreamAuthError) as caught:
        await credential_headers(provider(auth), Safe(secret))
    assert "cr" not in caught.value.message.replace("credential", "")
