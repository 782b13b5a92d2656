"""Converts an HTTP request to the event of a function URL (payload format 2.0).

Source: Lambda developer guide, "Invoking Lambda function URLs" (request payload).
"""

import binascii
import time
from typing import Any
from urllib.parse import parse_qsl

from devtools.local_function_url.http1 import RequestHead

DOMAIN = "local.lambda-url.local.on.aws"

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def from_request(
    head: RequestHead, body: bytes, *, request_id: str, trace_id: str, source_ip: str, port: int
) -> dict[str, Any]:
    """Build the event. Header names are in lower case, repeated headers are joined, binary bodies are base64."""
    path, _, query = head.target.partition("?")
    headers = _headers(head) | {
        "x-forwarded-for": source_ip,
        "x-forwarded-port": str(port),
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": trace_id,
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _request_context(head, path, request_id, source_ip),
        "isBase64Encoded": False,
    }
    if cookies := [cookie for name, value in head.fields if name == "cookie" for cookie in value.split("; ")]:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if body:
        text = _as_text(head.get("content-type"), body)
        event["body"] = binascii.b2a_base64(body, newline=False).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _request_context(head: RequestHead, path: str, request_id: str, source_ip: str) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": "anonymous",
        "apiId": "local",
        "domainName": DOMAIN,
        "domainPrefix": "local",
        "http": {
            "method": head.method,
            "path": path,
            "protocol": head.version,
            "sourceIp": source_ip,
            "userAgent": head.get("user-agent"),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _headers(head: RequestHead) -> dict[str, str]:
    return _joined([(name, value) for name, value in head.fields if name not in ("cookie", "transfer-encoding")])


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _as_text(content_type: str, body: bytes) -> str | None:
    media_type = content_type.partition(";")[0].strip().lower()
    if not (media_type.startswith(_TEXT) or media_type.endswith(("+json", "+xml"))):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
