"""Proxies that the environment sets: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY for what goes without one."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from tollgate.http_client.errors import ConnectError
from tollgate.http_client.request import DEFAULT_PORTS, Origin

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


class Proxy(NamedTuple):
    """A proxy, and the headers that it needs."""

    origin: Origin
    headers: Mapping[str, str]


class Proxies:
    """The proxies of the environment, as urllib.request reads them. That module is imported only if one is set."""

    def __init__(self) -> None:
        self._urls: Mapping[str, str] = {}
        if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _VARIABLES):
            from urllib.request import getproxies_environment

            self._urls = getproxies_environment()

    def of(self, origin: Origin) -> Proxy | None:
        """The proxy for an origin. Raises ConnectError if its URL is not valid."""
        if not self._urls:
            return None
        from urllib.request import proxy_bypass

        url = self._urls.get(origin.scheme) or self._urls.get("all")
        if not url or proxy_bypass(f"{origin.host}:{origin.port}"):
            return None
        return _parse_proxy(url)


def _parse_proxy(url: str) -> Proxy:
    from base64 import b64encode
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        default_port = DEFAULT_PORTS[parts.scheme]
        origin = Origin(parts.scheme, parts.hostname or "", parts.port or default_port)
    except (KeyError, ValueError):
        raise ConnectError("The environment sets a proxy whose URL is not a valid http or https URL.") from None
    if not origin.host:
        raise ConnectError("The environment sets a proxy without a host.")
    headers: dict[str, str] = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["proxy-authorization"] = f"Basic {b64encode(secret.encode()).decode('ascii')}"
    return Proxy(origin, headers)
