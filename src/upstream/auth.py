"""Credentials: how a provider's secret gets onto a request, and who keeps it."""

from collections.abc import Mapping
from typing import Protocol

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError


class Credentials(Protocol):
    """Where providers' secrets are kept, by their name in the catalog."""

    async def get(self, name: str) -> str | None:
        """The secret, or None where there is none."""
        ...

    def is_missing(self, name: str) -> bool:
        """True only where it is known, without asking anybody, that there is none."""
        ...


async def credential_headers(provider: Provider, credentials: Credentials) -> Mapping[str, str]:
    """The header that opens this provider. Raises UpstreamAuthError where its credential is missing."""
    if provider.auth == "none" or provider.credential is None:
        return {}
    secret = (await credentials.get(provider.credential) or "").strip()  # files and consoles add a line's end
    if not secret:
        raise UpstreamAuthError(f"The gateway has no credential for the provider {provider.name!r}.")
    if not (secret.isascii() and secret.isprintable()):
        raise UpstreamAuthError(f"The gateway's credential for the provider {provider.name!r} is no header value.")
    if provider.auth == "bearer":
        return {"authorization": f"Bearer {secret}"}
    return {provider.auth_header: secret}
