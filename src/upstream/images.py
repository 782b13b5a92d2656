"""Images that clients name by URL, fetched for providers that fetch none: from the public internet, and nowhere else.

A URL in a request must not become a way into the network the gateway runs in. So its host is looked up here, every
address it has must be a public one, and the connection goes to the address that was looked at, under the host's name:
a name that is looked up twice may have changed in between. Each redirect is a new URL, and is treated as one.
"""

import asyncio
import base64
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from tollgate.gateway.errors import BadRequestError
from tollgate.upstream.resolver import Resolver

MAX_IMAGE_BYTES = 8 * 1024 * 1024
MAX_REQUEST_BYTES = 32 * 1024 * 1024
"""The most that all images of one request may have: what is made of them must fit into a function's memory."""
SECONDS = 10.0
"""How long one image may take, redirects and all."""
MAX_REDIRECTS = 3
MAX_HOSTS = 8
LOOK_UPS_AT_ONCE = 2
"""Of one request: a name whose servers are dead keeps a thread of the resolver for long."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]+")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
"""The IETF's own; some versions of Python take most of it for public, and a cloud has its metadata there."""
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is handed out of IPv6 for use on the internet (IANA, "IPv6 Global Unicast Address Assignments")."""

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError where it has none."""


class FetchError(Exception):
    """Why an image cannot be had, in words for the client: nothing of what is behind the name."""


class ImageFetcher:
    """Fetches images over https. `trusted_hosts` may have addresses that are not public: the owner vouches for them.

    `tls` is the trust in certificates, by default in the well-known authorities, or in those that SSL_CERT_FILE names.
    `seconds` is how long one image may take.
    """

    def __init__(
        self,
        trusted_hosts: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        look_up: LookUp | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._trusted = frozenset(map(_bare, trusted_hosts))
        self._tls = tls
        self._resolver = Resolver()
        self._look_up = look_up or self._resolver
        self._seconds = seconds
        self._client: httpx.AsyncClient | None = None

    async def fetch_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[str]:
        """See gateway.ports.Images; all at once. Where one is not to be had, the others are not waited for.

        The error's code is `image_download_failed`.
        """
        if len({_host(url) for _, url in wanted}) > MAX_HOSTS:
            text = f"The images of a request may come from {MAX_HOSTS} hosts at the most."
            raise BadRequestError(text, param=wanted[0][0], code="image_download_failed")
        room = _Room()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._fetch(url, param, room)) for param, url in wanted]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def aclose(self) -> None:
        """Close every connection."""
        self._resolver.close()
        if self._client is not None:
            await self._client.aclose()

    async def _fetch(self, url: str, param: str, room: "_Room") -> str:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(httpx.URL(url), room)
        except FetchError as error:
            reason = str(error)
        except TimeoutError:
            reason = "its host took too long"
        except (httpx.HTTPError, OSError):
            reason = "its host does not answer"
        except (httpx.InvalidURL, ValueError):
            reason = "its URL is not valid"
        raise BadRequestError(f"The image cannot be fetched: {reason}.", param=param, code="image_download_failed")

    async def _follow(self, url: httpx.URL, room: "_Room") -> str:
        for _ in range(1 + MAX_REDIRECTS):
            answer = await self._get(url, room)
            if isinstance(answer, str):
                return answer
            url = answer
        raise FetchError("it is redirected too often")

    async def _get(self, url: httpx.URL, room: "_Room") -> str | httpx.URL:
        """The image, or where else it is."""
        if url.scheme != "https" or not url.host:
            raise FetchError("only https URLs are fetched")
        if (url.port or 443) > 65535:
            raise FetchError("its URL is not valid")
        address = await self._address(url, room)
        client = self._client or self._open()
        request = client.build_request(
            "GET",
            url.copy_with(host=address, userinfo=b""),
            headers={"host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": _bare(url.raw_host.decode("ascii"))},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS:
                return url.join(response.headers.get("location", ""))
            return await _read(response, room)
        finally:
            await response.aclose()

    async def _address(self, url: httpx.URL, room: "_Room") -> str:
        """The first address of the host. Raises FetchError where any of them is not public.

        A name that is known nowhere is told in the same words: which names a private network has is nobody's business.
        """
        addresses: Sequence[str] = ()
        with suppress(OSError):
            async with room.look_ups:
                addresses = await self._look_up(url.raw_host.decode("ascii"))
        if not addresses or not (_bare(url.host) in self._trusted or all(map(is_public, addresses))):
            raise FetchError("its host is not on the public internet")
        return addresses[0]

    def _open(self) -> httpx.AsyncClient:
        """The client, once it is needed: it costs a cold start some milliseconds.

        It keeps no connection, because it would use one again for any name at the same address, whatever name the
        certificate was for; and no cookie, which would go with another client's request.
        """
        self._client = httpx.AsyncClient(
            timeout=self._seconds,
            headers={"user-agent": "tollgate", "accept": "image/*", "accept-encoding": "identity"},
            trust_env=False,
            verify=self._tls or httpx.create_ssl_context(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return self._client


class _Room:
    """What the images of one request may still take: `left` bytes, and `look_ups` of names at once."""

    def __init__(self) -> None:
        self.left = MAX_REQUEST_BYTES
        self.look_ups = asyncio.Semaphore(LOOK_UPS_AT_ONCE)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; an IPv4 address may be wrapped in an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        if wrapped is None:
            return ip in _UNICAST and ip.is_global
        ip = wrapped
    return ip.is_global and not ip.is_multicast and ip not in _ASSIGNMENTS


async def _read(response: httpx.Response, room: _Room) -> str:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise FetchError(f"its host answers with HTTP status {response.status_code}")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise FetchError("it is no image")
    if response.headers.get("content-encoding", "identity") != "identity":  # a few bytes could become very many
        raise FetchError("its host has compressed it")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        room.left -= len(piece)
        if size > MAX_IMAGE_BYTES:
            raise FetchError(f"it is larger than {MAX_IMAGE_BYTES} bytes")
        if room.left < 0:
            raise FetchError(f"the images of a request may have {MAX_REQUEST_BYTES} bytes in all")
    return f"data:{media_type};base64,{base64.b64encode(b''.join(pieces)).decode('ascii')}"


def _host(url: str) -> str:
    """Whose image it is; all URLs that are none count as one."""
    try:
        return _bare(httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):
        return ""


def _bare(host: str) -> str:
    """A host's name as it is compared, and as certificates have it."""
    return host.lower().rstrip(".")
