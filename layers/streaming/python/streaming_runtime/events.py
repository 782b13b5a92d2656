"""Converts Lambda events to ASGI scopes: function URL and HTTP API (payload format 2.0), REST API (payload 1.0)."""

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import quote, unquote, urlencode

from streaming_runtime.asgi import Scope

EventFormat = Literal["function_url", "http_api", "rest"]
Event = dict[str, Any]


class UnsupportedEventError(Exception):
    """The event is not an HTTP request in a supported format."""


@dataclass(slots=True)
class Request:
    """The HTTP request in an event. The body is not part of the scope, as ASGI requires."""

    format: EventFormat
    scope: Scope = field(repr=False)
    _body: bytes = field(repr=False)

    def take_body(self) -> bytes:
        """The body. It can be taken once: whoever has it decides how long a large one is kept."""
        body, self._body = self._body, b""
        return body


def read_event(event: object, base_path: str = "") -> Request:
    """Detect the format of an event and convert it. ``base_path`` is removed from the path.

    Raises UnsupportedEventError.
    """
    if isinstance(event, dict):
        fields = cast(Event, event)
        try:
            if "http" in _mapping(fields, "requestContext") and "rawPath" in fields:
                return _payload_2(fields, base_path)
            if "httpMethod" in fields and "path" in fields:
                return _payload_1(fields, base_path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnsupportedEventError(f"The event looks like HTTP but cannot be parsed: {error!r}") from error
    raise UnsupportedEventError("The event is not an HTTP request of a function URL, an HTTP API or a REST API")


def _payload_2(event: Event, base_path: str) -> Request:
    context = event["requestContext"]
    http = context["http"]
    domain = str(context.get("domainName", ""))
    is_url = ".lambda-url." in domain and domain.endswith(".on.aws")
    headers = _headers(_mapping(event, "headers").items())
    if cookies := event.get("cookies"):
        headers = [pair for pair in headers if pair[0] != b"cookie"]
        headers.append((b"cookie", _latin("; ".join(cookies))))
    # An HTTP API with a named stage puts the stage before the path, except for $default.
    stage = str(context.get("stage") or "$default")
    path = _without_prefix(str(event["rawPath"]), "" if stage.startswith("$") else "/" + stage)
    scope = _scope(
        method=http["method"],
        path=_without_prefix(path, base_path),
        query=str(event.get("rawQueryString") or ""),
        headers=headers,
        protocol=str(http.get("protocol") or "HTTP/1.1"),
        source_ip=http.get("sourceIp"),
    )
    return Request("function_url" if is_url else "http_api", scope, _body(event))


def _payload_1(event: Event, base_path: str) -> Request:
    context = _mapping(event, "requestContext")
    multi = _mapping(event, "multiValueHeaders")
    pairs = [(name, value) for name, values in multi.items() for value in values]
    # `path` does not include the stage (requestContext.path does), but the base path mapping of a custom domain.
    scope = _scope(
        method=event["httpMethod"],
        path=_without_prefix(str(event["path"]), base_path),
        query=_encoded_query(event),
        headers=_headers(pairs or _mapping(event, "headers").items()),
        protocol=str(context.get("protocol") or "HTTP/1.1"),
        source_ip=_mapping(context, "identity").get("sourceIp"),
    )
    return Request("rest", scope, _body(event))


def _scope(
    *, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], protocol: str, source_ip: str | None
) -> Scope:
    first = dict(reversed(headers))
    scheme = first.get(b"x-forwarded-proto", b"https").decode("latin-1")
    port = first.get(b"x-forwarded-port", b"").decode("latin-1")
    default_port = 80 if scheme == "http" else 443
    host = first.get(b"host", b"localhost").decode("latin-1").partition(":")[0]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": protocol.rpartition("/")[2],
        "method": method.upper(),
        "scheme": scheme,
        "path": unquote(path),
        # Percent signs are safe: encoded characters stay as they are, decoded ones are encoded again.
        "raw_path": quote(path, safe="/%:@!$&'()*+,;=~-._").encode("ascii"),
        "query_string": quote(query, safe="%=&+/?:@!$'()*,;~-._[]").encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": (source_ip, 0) if source_ip else None,
        "server": (host, int(port) if port.isdigit() else default_port),
    }


def _mapping(event: Event, name: str) -> Event:
    # API Gateway writes null for missing mappings.
    return event.get(name) or {}


def _headers(pairs: Iterable[tuple[str, Any]]) -> list[tuple[bytes, bytes]]:
    return [(_latin(name.lower()), _latin(str(value))) for name, value in pairs]


def _latin(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _encoded_query(event: Event) -> str:
    # A REST API decodes the query, so it has to be encoded again.
    multi = _mapping(event, "multiValueQueryStringParameters")
    return urlencode(multi, doseq=True) if multi else urlencode(_mapping(event, "queryStringParameters"))


def _without_prefix(path: str, prefix: str) -> str:
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    return path or "/"


def _body(event: Event) -> bytes:
    body = event.pop("body", None) or ""  # the app receives it; the event would keep a second copy
    return binascii.a2b_base64(body) if event.get("isBase64Encoded") else body.encode()
