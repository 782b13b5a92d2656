"""Proxy JSON for buffered responses: the two payload formats, text and binary bodies."""

import binascii
import json
from typing import Any

import pytest

from streaming_runtime.events import EventFormat
from streaming_runtime.response_head import ResponseHead, proxy_json

HEAD = ResponseHead(201, (("content-type", "application/json"), ("x-tag", "a"), ("x-tag", "b"), ("set-cookie", "c=1")))


def parsed(head: ResponseHead, body: bytes, event_format: EventFormat) -> dict[str, Any]:
    response: dict[str, Any] = json.loads(proxy_json(head, body, event_format))
    return response


def test_payload_2_has_joined_headers_and_cookies() -> None:
    assert parsed(HEAD, b"{}", "http_api") == {
        "statusCode": 201,
        "headers": {"content-type": "application/json", "x-tag": "a, b"},
        "cookies": ["c=1"],
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_payload_1_has_multi_value_headers() -> None:
    assert parsed(HEAD, b"{}", "rest") == {
        "statusCode": 201,
        "multiValueHeaders": {"content-type": ["application/json"], "x-tag": ["a", "b"], "set-cookie": ["c=1"]},
        "body": "{}",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ((("content-type", "image/png"),), b"plain"),
        ((("content-type", "text/plain"),), b"\xff\xfe"),
        ((("content-type", "text/plain"), ("content-encoding", "gzip")), b"plain"),
        ((), b"plain"),
    ],
)
def test_body_that_may_be_binary_is_base64(fields: tuple[tuple[str, str], ...], body: bytes) -> None:
    response = parsed(ResponseHead(200, fields), body, "rest")
    assert response["isBase64Encoded"] is True
    assert binascii.a2b_base64(response["body"]) == body


@pytest.mark.parametrize(
    "media_type", ["text/event-stream", "application/json; charset=utf-8", "application/problem+json"]
)
def test_text_body_is_a_string(media_type: str) -> None:
    response = parsed(ResponseHead(200, (("content-type", media_type),)), "é".encode(), "rest")
    assert (response["body"], response["isBase64Encoded"]) == ("é", False)
