"""The credentials of providers, and the request headers that carry them."""

from collections.abc import Mapping
from typing import Protocol

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError


class Credentials(Protocol):
    """A store of providers' secrets, by the credential names of the catalog."""

    async def get(self, name: str) -> str | None:
        """The secret, or None if there is none."""
        ...

    async def reread(self, name: str) -> bool:
        """Read the secret again, unless that was done a moment ago. Returns whether it has changed."""
        ...

    def is_missing(self, name: str) -> bool:
        """True if the secret is missing as far as this can be determined without I/O; otherwise False."""
        ...


async def credential_headers(provider: Provider, credentials: Credentials) -> Mapping[str, str]:
    """The authentication header of a provider. Raises UpstreamAuthError if its credential is missing or not valid."""
    if provider.auth == "none" or provider.credential is None:
        return {}
    secret = (await credentials.get(provider.credential) or "").strip()  # files and consoles add a newline
    if not secret:
        raise UpstreamAuthError(f"The gateway has no credential for the provider {provider.name!r}.")
    if not (secret.isascii() and secret.isprintable()):
        raise UpstreamAuthError(
            f"The gateway's credential for the provider {provider.name!r} is not a valid header value."
        )
    if provider.auth == "bearer":
        return {"authorization": f"Bearer {secret}"}
    return {provider.auth_header: secret}
