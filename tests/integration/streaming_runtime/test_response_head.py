"""Proxy JSON for the doors that cannot stream: the two payload formats, text and bytes."""

import binascii
import json
from typing import Any

import pytest

from streaming_runtime.events import Shape
from streaming_runtime.response_head import ResponseHead, proxy_json

HEAD = ResponseHead(201, (("content-type", "application/json"), ("x-tag", "a"), ("x-tag", "b"), ("set-cookie", "c=1")))


def written(head: ResponseHead, body: bytes, shape: Shape) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(proxy_json(head, body, shape))
    return answer


def test_payload_2_has_joined_headers_and_cookies() -> None:
    assert written(HEAD, b"{}", "http_api") == {
        "statusCode": 201,
        "headers": {"content-type": "application/json", "x-tag": "a, b"},
        "cookies": ["c=1"],
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_payload_1_has_multi_value_headers() -> None:
    assert written(HEAD, b"{}", "rest") == {
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
def test_what_may_not_be_text_is_base64(fields: tuple[tuple[str, str], ...], body: bytes) -> None:
    answer = written(ResponseHead(200, fields), body, "rest")
    assert answer["isBase64Encoded"] is True
    assert binascii.a2b_base64(answer["body"]) == body


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json; charset=utf-8", "application/problem+json"])
def test_text_is_text(kind: str) -> None:
    answer = written(ResponseHead(200, (("content-type", kind),)), "é".encode(), "rest")
    assert (answer["body"], answer["isBase64Encoded"]) == ("é", False)
