"""The bound of sending a trace, whatever it waits for."""

import asyncio
from typing import cast

import pytest

from tollgate.gateway.errors import UpstreamTimeoutError
from tollgate.upstream.auth import Credentials
from tollgate.upstream.otlp import OtlpClient


class SilentCredentials:
    """A store that never responds."""

    async def get(self, name: str) -> str | None:
        return await cast("asyncio.Future[str]", asyncio.get_running_loop().create_future())

    async def reread(self, name: str) -> bool:
        return False

    def is_missing(self, name: str) -> bool:
        return False


async def test_store_of_credentials_that_is_silent_ends_as_a_silent_collector_does() -> None:
    credentials: Credentials = SilentCredentials()
    client = OtlpClient("http://127.0.0.1:9/v1/traces", credentials, "HEADERS")
    with pytest.raises(UpstreamTimeoutError):
        await client.send(b"{}")
    await client.aclose()
