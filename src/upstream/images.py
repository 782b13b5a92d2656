"""Images that clients name by URL, fetched for providers that fetch none: from the public internet, and nowhere else.

A URL in a request must not become a way into the network the gateway runs in. So its host is looked up here, every
address it has must be a public one, and the connection goes to the address that was looked at, under the host's name:
a name that is looked up twice may have changed in between. Each redirect is a new URL, and is treated as one.
"""

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Collection, Sequence
from urllib.parse import urljoin

import httpx

from gateway.errors import BadRequestError

MAX_IMAGE_BYTES = 8 * 1024 * 1024
SECONDS = 10.0
"""How long one image may take, redirects and all."""
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchError(Exception):
    """Why an image cannot be had, in words for the client: nothing of what is behind the name."""


class ImageFetcher:
    """Fetches images over https. `trusted_hosts` may have addresses that are not public: the owner vouches for them.

    `tls` is the trust in certificates, the well-known authorities' by default.
    """

    def __init__(self, trusted_hosts: Collection[str] = (), tls: ssl.SSLContext | None = None) -> None:
        self._trusted = frozenset(host.lower().rstrip(".") for host in trusted_hosts)
        self._tls = tls
        self._client: httpx.AsyncClient | None = None

    async def fetch_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[str]:
        """See gateway.ports.Images; all at once."""
        return await asyncio.gather(*(self.fetch(url, param) for param, url in wanted))

    async def fetch(self, url: str, param: str) -> str:
        """The image as a data URL. Raises BadRequestError `image_download_failed`, naming `param`."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._follow(url)
        except FetchError as error:
            reason = str(error)
        except TimeoutError:
            reason = "its host took too long"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            reason = "its host does not answer"
        raise BadRequestError(f"The image cannot be fetched: {reason}.", param=param, code="image_download_failed")

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _follow(self, url: str) -> str:
        for _ in range(1 + MAX_REDIRECTS):
            answer = await self._get(httpx.URL(url))
            if isinstance(answer, str):
                return answer
            url = urljoin(url, answer.location)
        raise FetchError("it is redirected too often")

    async def _get(self, url: httpx.URL) -> "str | _Redirect":
        if url.scheme != "https" or not url.host:
            raise FetchError("only https URLs are fetched")
        address = await self._address(url)
        client = self._client or self._open()
        request = client.build_request(
            "GET",
            url.copy_with(host=address, userinfo=b""),
            headers={"host": url.netloc.decode("ascii"), "accept": "image/*"},
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS:
                return _Redirect(response.headers.get("location", ""))
            return await _read(response)
        finally:
            await response.aclose()

    async def _address(self, url: httpx.URL) -> str:
        """The first address of the host. Raises FetchError where any of them is not public."""
        found = await asyncio.get_running_loop().getaddrinfo(url.raw_host, url.port or 443, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        is_trusted = url.host.lower().rstrip(".") in self._trusted
        if not addresses or not (is_trusted or all(map(is_public, addresses))):
            raise FetchError("its host is not a public one")
        return addresses[0]

    def _open(self) -> httpx.AsyncClient:
        """The client, once it is needed: it costs a cold start some milliseconds."""
        self._client = httpx.AsyncClient(
            timeout=SECONDS, headers={"user-agent": "tollgate"}, trust_env=False, verify=self._tls or True
        )
        return self._client


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; an IPv4 address may be wrapped in an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        ip = wrapped or ip
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def _read(response: httpx.Response) -> str:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise FetchError(f"its host answers with HTTP status {response.status_code}")
    if not media_type.startswith("image/"):
        raise FetchError("it is no image")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_IMAGE_BYTES:
            raise FetchError(f"it is larger than {MAX_IMAGE_BYTES} bytes")
    return f"data:{media_type};base64,{base64.b64encode(b''.join(pieces)).decode('ascii')}"
