"""URLs and heads of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.http_client.errors import HttpClientError, InvalidRequestError, InvalidUrlError
from tollgate.http_client.request import Origin, Url, encode_head, parse_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", Url(Origin("http", "a", 80), "/", "a")),
        ("HTTPS://A.Example:443/B?c=%20#d", Url(Origin("https", "a.example", 443), "/B?c=%20", "a.example")),
        ("https://a:80", Url(Origin("https", "a", 80), "/", "a:80")),
        ("http://127.0.0.1:8080?x", Url(Origin("http", "127.0.0.1", 8080), "/?x", "127.0.0.1:8080")),
        ("http://[::1]:8080/", Url(Origin("http", "::1", 8080), "/", "[::1]:8080")),
        ("https://[2001:DB8::1]/", Url(Origin("https", "2001:db8::1", 443), "/", "[2001:db8::1]")),
        ("http://a//b/../c:d@e{f}", Url(Origin("http", "a", 80), "//b/../c:d@e{f}", "a")),
    ],
)
def test_url_is_split_and_its_target_is_unchanged(url: str, expected: Url) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "/v1", "a", "http:", "http://", "http:///a", "http://[", "http://[::1", "http://:80/", "ftp://x/", " http://a/",
     "http://a b/", "http://a/b c", "http://a/\r\nb: c", "http://a\r\n/", "http://a/\n", "http://\u2028/", "http://a/\xe9",
     "http://a/\0", "http://a:0/", "http://a:65536/", "http://a:x/", "http://a:/", "http://b:c@a/", "http://a@b/"],
)  # fmt: skip
def test_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        parse_url(url)


def test_head_has_host_and_length() -> None:
    assert (
        encode_head("POST", "/a?b", "c:1", {"x-y": "z", "Empty": ""}, 3)
        == b"POST /a?b HTTP/1.1\r\nhost: c:1\r\nx-y: z\r\nEmpty: \r\ncontent-length: 3\r\n\r\n"
    )
    assert b"content-length: 0\r\n" in encode_head("POST", "/", "a", {}, 0)
    assert encode_head("GET", "/", "a", {}, 0) == b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", "b\r\nc: d"), ("a", "b\n"), ("a", "b\rc"), ("a", "\0"), ("a", "\xe9"), ("a", "\u2028"), ("a", "\x7f"),
     ("a\r\nb", "c"), ("a: b", "c"), ("", "a"), ("a ", "b"), ("a\n", "b"), ("\xe9", "a"),
     ("Host", "a"), ("content-length", "1"), ("Transfer-Encoding", "chunked"), ("connection", "close")],
)  # fmt: skip
def test_invalid_header_is_refused_without_its_value(name: str, value: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        encode_head("POST", "/", "a", {name: f"s3cret{value}"}, 0)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("method", ["", "get", "GET /", "GET\r\n"])
def test_invalid_method_is_refused(method: str) -> None:
    with pytest.raises(InvalidRequestError):
        encode_head(method, "/", "a", {}, 0)


@given(st.text(), st.text(), st.text())
def test_no_text_adds_a_line(path: str, name: str, value: str) -> None:
    try:
        url = parse_url(f"http://a/{path}")
        head = encode_head("GET", url.target, url.authority, {name: value}, 0)
    except HttpClientError:
        return
    assert head.count(b"\n") == head.count(b"\r\n") == 4
