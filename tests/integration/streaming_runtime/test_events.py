"""Conversion of Lambda events of each format to ASGI scopes."""

import binascii
from collections.abc import Callable
from typing import Any

import pytest

from streaming_runtime.events import UnsupportedEventError, read_event

MakeEvent = Callable[..., dict[str, Any]]


def http_api_event(path: str, stage: str = "$default", **more: Any) -> dict[str, Any]:
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7"}
    context = {"domainName": "abc.execute-api.eu-west-1.amazonaws.com", "http": http, "stage": stage}
    return {"version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {}, "requestContext": context, **more}


def test_formats_are_distinguished(url_event: MakeEvent, rest_event: MakeEvent) -> None:
    formats = [read_event(event).format for event in (url_event(), http_api_event("/"), rest_event())]
    assert formats == ["function_url", "http_api", "rest"]


def test_scope_of_a_function_url(url_event: MakeEvent) -> None:
    request = read_event(url_event("post", "/v1/a%20b%2Fc", rawQueryString="q=a%20b&q=c", body="text"))
    scope = dict(request.scope)
    assert scope.pop("headers") == [(b"host", b"abc.lambda-url.eu-west-1.on.aws"), (b"x-forwarded-proto", b"https")]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/v1/a b/c",
        "raw_path": b"/v1/a%20b%2Fc",
        "query_string": b"q=a%20b&q=c",
        "root_path": "",
        "client": ("192.0.2.7", 0),
        "server": ("abc.lambda-url.eu-west-1.on.aws", 443),
    }
    assert request.take_body() == b"text"


def test_decoded_path_is_encoded_again_in_raw_path() -> None:
    scope = read_event(http_api_event("/a b/é")).scope
    assert (scope["path"], scope["raw_path"]) == ("/a b/é", b"/a%20b/%C3%A9")


def test_cookies_become_one_header(url_event: MakeEvent) -> None:
    event = url_event(cookies=["a=1", "b=2"], headers={"cookie": "a=1; b=2", "X-Tag": "t"})
    assert read_event(event).scope["headers"] == [(b"x-tag", b"t"), (b"cookie", b"a=1; b=2")]


def test_base64_body_is_decoded(url_event: MakeEvent) -> None:
    body = binascii.b2a_base64(bytes(range(256)), newline=False).decode()
    assert read_event(url_event(body=body, isBase64Encoded=True)).take_body() == bytes(range(256))


def test_missing_body_is_empty(url_event: MakeEvent, rest_event: MakeEvent) -> None:
    assert read_event(url_event()).take_body() == read_event(rest_event(body=None)).take_body() == b""


def test_named_stage_is_removed_from_an_http_api_path() -> None:
    assert read_event(http_api_event("/dev/v1/models", "dev")).scope["path"] == "/v1/models"
    assert read_event(http_api_event("/dev", "dev")).scope["path"] == "/"
    assert read_event(http_api_event("/developers", "dev")).scope["path"] == "/developers"
    assert read_event(http_api_event("/v1/models")).scope["path"] == "/v1/models"


def test_base_path_is_removed_from_a_rest_path(rest_event: MakeEvent) -> None:
    assert read_event(rest_event(path="/prod/x")).scope["path"] == "/prod/x"
    assert read_event(rest_event(path="/shop/v1/models"), "/shop").scope["path"] == "/v1/models"


def test_decoded_rest_query_is_encoded_again(rest_event: MakeEvent) -> None:
    several = rest_event(multiValueQueryStringParameters={"q": ["a b&c", "é"], "n": ["1"]})
    single = rest_event(queryStringParameters={"q": "a=b"}, multiValueQueryStringParameters=None)
    assert read_event(several).scope["query_string"] == b"q=a+b%26c&q=%C3%A9&n=1"
    assert read_event(single).scope["query_string"] == b"q=a%3Db"
    assert read_event(rest_event(queryStringParameters=None)).scope["query_string"] == b""


def test_repeated_rest_headers_are_kept(rest_event: MakeEvent) -> None:
    event = rest_event(headers={"X-Tag": "b"}, multiValueHeaders={"X-Tag": ["a", "b"]})
    assert read_event(event).scope["headers"] == [(b"x-tag", b"a"), (b"x-tag", b"b")]


def test_rest_headers_without_multi_value_headers_are_read(rest_event: MakeEvent) -> None:
    assert read_event(rest_event(headers={"X-Tag": "b"})).scope["headers"] == [(b"x-tag", b"b")]


@pytest.mark.parametrize(
    "malformed",
    [
        {"rawPath": "/", "requestContext": {"http": {}}},
        {"rawPath": "/", "requestContext": "http"},
        {"httpMethod": "GET", "path": "/", "multiValueHeaders": ["x"]},
        {"httpMethod": "GET", "path": "/", "body": "x", "isBase64Encoded": True},
        {"httpMethod": None, "path": "/"},
    ],
)
def test_malformed_event_is_unsupported(malformed: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEventError):
        read_event(malformed)
