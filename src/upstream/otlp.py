"""Sends traces to a collector by OTLP over HTTP in JSON, or to X-Ray, whose endpoint takes the same with a signature.

OpenTelemetry Protocol Specification, "OTLP/HTTP"; Amazon CloudWatch User Guide, "OTLP Endpoints".
"""

import asyncio
import time
from urllib.parse import unquote

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream.auth import Credentials
from tollgate.upstream.client import Timeouts, UpstreamClient
from tollgate.upstream.sigv4 import Signer

XRAY = "xray"
XRAY_URL = "https://xray.{region}.amazonaws.com/v1/traces"
HEADERS_SECONDS = 300
SECONDS = 1
TIMEOUTS = Timeouts(connect=SECONDS, first_byte=SECONDS, idle=SECONDS, total=SECONDS)
"""A function is billed while it waits, and the end of its time may be near."""


class OtlpClient:
    """Sends to `target`: `xray`, or the URL of a collector.

    The credential `headers_name` has the headers for the collector, as `name=value,name=value` with percent-encoded
    values (OpenTelemetry, "Protocol Exporter").
    """

    def __init__(self, target: str, credentials: Credentials, headers_name: str) -> None:
        is_xray = target == XRAY
        url, auth = (XRAY_URL, "sigv4") if is_xray else (target, "none")
        self._provider = Provider(name="traces", family="otlp", base_url=url, auth=auth)
        self._credentials = None if is_xray else credentials
        self._headers_name = headers_name
        self._headers: dict[str, str] = {}
        self._headers_until = 0.0  # monotonic seconds
        self._client = UpstreamClient(credentials, TIMEOUTS, Signer(XRAY))

    async def send(self, body: bytes) -> None:
        """Send one export. Raises UpstreamError if it is not accepted within a second, reading headers included."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._send(body)
        except TimeoutError:
            raise UpstreamTimeoutError("The collector did not respond in time.") from None

    async def _send(self, body: bytes) -> None:
        headers = {"content-type": "application/json", **await self._own_headers()}
        request = UpstreamRequest(self._provider.base_url, body, headers)
        response = await self._client.send(request, self._provider, TimeLimits())
        try:
            await response.read()
        finally:
            await response.aclose()
        if not 200 <= response.status < 300:
            raise UpstreamError(f"The collector answers {response.status}.", code=f"http_{response.status}")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _own_headers(self) -> dict[str, str]:
        """The collector's headers, read every five minutes; a collector without any needs no credential."""
        if self._credentials is not None and time.monotonic() >= self._headers_until:
            try:
                text = await self._credentials.get(self._headers_name) or ""
            except UpstreamAuthError:
                text = ""
            pairs = (pair.partition("=") for pair in text.strip().split(",") if "=" in pair)
            self._headers = {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
            self._headers_until = time.monotonic() + HEADERS_SECONDS
        return self._headers
