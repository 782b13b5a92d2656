"""The secrets of providers: in environment variables on a laptop, in Parameter Store in AWS."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tollgate.gateway.errors import UpstreamAuthError
from tollgate.gateway.keys import read_own_name

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

CACHE_SECONDS = 300
REREAD_SECONDS = 10
"""A refused credential, or a key's own that is missing, is read again at most once in so many seconds, however many
requests it fails."""


class EnvironmentCredentials:
    """Each credential is the environment variable of its name."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._of_keys = {read_own_name(name) for name, value in environ.items() if value}

    async def get(self, name: str) -> str | None:
        """See upstream.auth.Credentials."""
        return self._environ.get(name)

    async def reread(self, name: str) -> bool:
        """See upstream.auth.Credentials. The environment of a process does not change."""
        return False

    def is_missing(self, name: str) -> bool:
        """See upstream.auth.Credentials. A credential that only some keys have is not missing."""
        return not self._environ.get(name) and name not in self._of_keys


class ParameterStoreCredentials:
    """Each credential is the SecureString `<path>/<name>`, cached for CACHE_SECONDS."""

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")
        self._provider: SSMProvider | None = None
        self._cached: dict[str, tuple[str, float]] = {}  # with the Unix time until which a value is used
        self._failed_until: dict[str, float] = {}

    async def get(self, name: str) -> str | None:
        """See upstream.auth.Credentials. Raises UpstreamAuthError if Parameter Store does not return it."""
        value, use_until = self._cached.get(name, ("", 0.0))
        if time.time() < use_until:
            return value
        return await self._read(name)

    async def reread(self, name: str) -> bool:
        """See upstream.auth.Credentials."""
        before, use_until = self._cached.get(name, ("", 0.0))
        if use_until - time.time() > CACHE_SECONDS - REREAD_SECONDS:
            return False
        with suppress(UpstreamAuthError):
            return await self._read(name) != before
        return False

    async def _read(self, name: str) -> str:
        if time.time() < self._failed_until.get(name, 0.0):
            raise _not_given(name)
        try:
            value = await asyncio.to_thread(self._fetch, name)
        except UpstreamAuthError:
            # AWS bounds the reads of an account: one key that lacks its own credential must not use them up for all.
            if read_own_name(name) is not None:
                self._failed_until[name] = time.time() + REREAD_SECONDS
            raise
        self._cached[name] = value, time.time() + CACHE_SECONDS
        return value

    def is_missing(self, name: str) -> bool:
        """See upstream.auth.Credentials; here only a call to Parameter Store could tell."""
        return False

    def _fetch(self, name: str) -> str:
        # Imported with the first credential: a function that only ever echoes, or fails, does not pay for it.
        from aws_lambda_powertools.utilities.parameters import SSMProvider
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
        from botocore.config import Config

        # A client waits behind this call: botocore's own minute, five times over, is no use to it.
        self._provider = self._provider or SSMProvider(
            boto_config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
        )
        # Powertools types what it gives by all it could give; an undecoded parameter is a string.
        get = cast("Callable[..., str]", self._provider.get)  # pyright: ignore[reportUnknownMemberType]
        try:
            return get(f"{self._path}/{name}", force_fetch=True, max_age=0, decrypt=True)
        except GetParameterError as error:
            raise _not_given(name) from error


def _not_given(name: str) -> UpstreamAuthError:
    return UpstreamAuthError(f"Parameter Store did not give the credential {name!r}.")
