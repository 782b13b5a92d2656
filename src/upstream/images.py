"""Fetches images by URL, for providers that do not fetch them, from the public internet only.

A URL in a request must not give access to the network that the gateway runs in (server-side request forgery). So the
host is resolved here, all its addresses must be public, and the connection is made to the address that was checked: a
second lookup may return another one. Each redirect is treated as a new URL.
"""

import asyncio
import base64
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tollgate.gateway.errors import BadRequestError
from tollgate.upstream.resolver import Resolver

if TYPE_CHECKING:
    import httpx  # each function that needs it imports it: most processes fetch no image, and the import is slow

MAX_IMAGE_BYTES = 8 * 1024 * 1024
MAX_REQUEST_BYTES = 32 * 1024 * 1024
"""Maximum size of all images of one request: their base64 must fit into a function's memory."""
FETCH_TIMEOUT = 10.0
"""Seconds for one image, redirects included."""
MAX_REDIRECTS = 3
MAX_HOSTS = 8
CONCURRENT_LOOKUPS = 2
"""DNS lookups of one request: a name whose servers do not respond blocks a thread of the resolver for long."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]+")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IETF_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
"""IETF protocol assignments. Some versions of Python treat most of it as public; one cloud has its metadata there."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All IPv6 addresses assigned for the internet (IANA, "IPv6 Global Unicast Address Assignments")."""

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a host. Raises OSError if it has none."""


class FetchError(Exception):
    """An image cannot be fetched. The message is for the client and reveals nothing about private networks."""


class ImageFetcher:
    """Fetches images over https. Only `trusted_hosts` may have addresses that are not public.

    `tls` verifies certificates; by default with the usual authorities, or those of SSL_CERT_FILE. `timeout` is in
    seconds for one image.
    """

    def __init__(
        self,
        trusted_hosts: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
        timeout: float = FETCH_TIMEOUT,
    ) -> None:
        self._trusted = frozenset(map(_normalised, trusted_hosts))
        self._tls = tls
        self._resolver = Resolver()
        self._lookup = lookup or self._resolver
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    async def fetch_all(self, requested: Sequence[tuple[str, str]]) -> Sequence[str]:
        """See gateway.ports.Images. Images are fetched concurrently; if one fails, the others are cancelled.

        The error's code is `image_download_failed`.
        """
        if len({_host(url) for _, url in requested}) > MAX_HOSTS:
            text = f"The images of a request may come from at most {MAX_HOSTS} hosts."
            raise BadRequestError(text, param=requested[0][0], code="image_download_failed")
        limits = _RequestLimits()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._fetch(url, param, limits)) for param, url in requested]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def aclose(self) -> None:
        """Close every connection."""
        self._resolver.close()
        if self._client is not None:
            await self._client.aclose()

    async def _fetch(self, url: str, param: str, limits: "_RequestLimits") -> str:
        import httpx

        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(httpx.URL(url), limits)
        except FetchError as error:
            reason = str(error)
        except TimeoutError:
            reason = "its host took too long"
        except (httpx.HTTPError, OSError):
            reason = "its host does not respond"
        except (httpx.InvalidURL, ValueError):
            reason = "its URL is not valid"
        raise BadRequestError(f"The image cannot be fetched: {reason}.", param=param, code="image_download_failed")

    async def _follow(self, url: "httpx.URL", limits: "_RequestLimits") -> str:
        for _ in range(1 + MAX_REDIRECTS):
            image = await self._get(url, limits)
            if isinstance(image, str):
                return image
            url = image
        raise FetchError("it is redirected too often")

    async def _get(self, url: "httpx.URL", limits: "_RequestLimits") -> "str | httpx.URL":
        """The image as a data URL, or the URL of a redirect."""
        if url.scheme != "https" or not url.host:
            raise FetchError("only https URLs are supported")
        if (url.port or 443) > 65535:
            raise FetchError("its URL is not valid")
        address = await self._address(url, limits)
        client = self._client or self._create_client()
        request = client.build_request(
            "GET",
            url.copy_with(host=address, userinfo=b""),
            headers={"host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": _normalised(url.raw_host.decode("ascii"))},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS:
                return url.join(response.headers.get("location", ""))
            return await _read(response, limits)
        finally:
            await response.aclose()

    async def _address(self, url: "httpx.URL", limits: "_RequestLimits") -> str:
        """The first address of the host. Raises FetchError if one of its addresses is not public.

        A host that does not exist has the same error, so that clients cannot find out the names in a private network.
        """
        addresses: Sequence[str] = ()
        with suppress(OSError):
            async with limits.lookups:
                addresses = await self._lookup(url.raw_host.decode("ascii"))
        if not addresses or not (_normalised(url.host) in self._trusted or all(map(is_public, addresses))):
            raise FetchError("its host is not on the public internet")
        return addresses[0]

    def _create_client(self) -> "httpx.AsyncClient":
        """Create the HTTP client, at the first image, because it takes some milliseconds.

        It pools no connections: it would reuse one for every host at the same address, whatever the certificate's
        name. It stores no cookies: they would be sent with other clients' requests.
        """
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        self._client = httpx.AsyncClient(
            timeout=self._timeout,
            headers={"user-agent": "tollgate", "accept": "image/*", "accept-encoding": "identity"},
            trust_env=False,
            verify=self._tls or httpx.create_ssl_context(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return self._client


class _RequestLimits:
    """The limits of one request: the bytes that are left for images, and a semaphore for DNS lookups."""

    def __init__(self) -> None:
        self.bytes_left = MAX_REQUEST_BYTES
        self.lookups = asyncio.Semaphore(CONCURRENT_LOOKUPS)


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet. An IPv4 address embedded in an IPv6 address is checked."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        if embedded is None:
            return ip in _GLOBAL_UNICAST and ip.is_global
        ip = embedded
    return ip.is_global and not ip.is_multicast and ip not in _IETF_ASSIGNMENTS


async def _read(response: "httpx.Response", limits: _RequestLimits) -> str:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise FetchError(f"its host returns HTTP status {response.status_code}")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise FetchError("it is not an image")
    if response.headers.get("content-encoding", "identity") != "identity":  # it could decompress to a very large body
        raise FetchError("its host has compressed it")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        limits.bytes_left -= len(piece)
        if size > MAX_IMAGE_BYTES:
            raise FetchError(f"it is larger than {MAX_IMAGE_BYTES} bytes")
        if limits.bytes_left < 0:
            raise FetchError(f"the images of a request are limited to {MAX_REQUEST_BYTES} bytes in total")
    return f"data:{media_type};base64,{base64.b64encode(b''.join(pieces)).decode('ascii')}"


def _host(url: str) -> str:
    """The host of a URL; empty for an invalid URL."""
    import httpx

    try:
        return _normalised(httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):
        return ""


def _normalised(host: str) -> str:
    """A host name in the form that is compared, and that certificates have."""
    return host.lower().rstrip(".")
