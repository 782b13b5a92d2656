"""Writes the head of a request (RFC 9112, sections 2 and 3)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from tollgate.http_client.errors import InvalidRequestError, InvalidUrlError

DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"([Hh][Tt][Tt][Pp][Ss]?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?([/?][!\"$-~]*)?(?:#[!-~]*)?"
)
_METHOD = re.compile(r"[A-Z]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")
_SET_HERE = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Origin(NamedTuple):
    """What a connection leads to (RFC 9110, section 4.3.1). An IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` with brackets around an IPv6 address, without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Url(NamedTuple):
    """A URL as a request needs it. `target` is path and query, as they were written; `authority` that of the origin."""

    origin: Origin
    target: str
    authority: str


@lru_cache(128)
def parse_url(url: str) -> Url:
    """Split an absolute URL. Raises InvalidUrlError: other schemes, credentials, characters that are not ASCII."""
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidUrlError("The URL is not a valid http or https URL.")
    scheme, host, target = match[1].lower(), match[2].strip("[]").lower(), match[4] or "/"
    port = DEFAULT_PORTS[scheme] if match[3] is None else int(match[3])
    if not 0 < port < 65536:
        raise InvalidUrlError("The URL has an invalid port.")
    origin = Origin(scheme, host, port)
    return Url(origin, target if target[0] == "/" else f"/{target}", origin.authority)


def encode_head(method: str, target: str, authority: str, headers: Mapping[str, str], content_length: int) -> bytes:
    """The head of a request, with `host` and, if there can be a body, `content-length`.

    Raises InvalidRequestError for a header that is set here, and for what cannot be sent as one header: a line break in
    a value would add another header, or another request.
    """
    if not _METHOD.fullmatch(method):
        raise InvalidRequestError("The method is not valid.")
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {authority}"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidRequestError(f"The header {name!r} is not valid.")
        if name.lower() in _SET_HERE:
            raise InvalidRequestError(f"The header {name!r} is set by the client.")
        lines.append(f"{name}: {value}")
    if content_length or method in _METHODS_WITH_BODY:
        lines.append(f"content-length: {content_length}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("ascii")
