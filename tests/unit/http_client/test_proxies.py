"""Proxies that the environment sets."""

import base64

import pytest

from tollgate.http_client.errors import ConnectError
from tollgate.http_client.proxies import Proxies, Proxy
from tollgate.http_client.request import Origin

HTTP, HTTPS = Origin("http", "a.test", 80), Origin("https", "a.test", 443)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies; a test can set some."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def test_no_variable_is_no_proxy(environment: pytest.MonkeyPatch) -> None:
    assert Proxies().of(HTTPS) is None
    environment.setenv("HTTPS_PROXY", "")
    assert Proxies().of(HTTPS) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://p.test:3128", Origin("http", "p.test", 3128)),
        ("http://P.test/", Origin("http", "p.test", 80)),
        ("https://p.test", Origin("https", "p.test", 443)),
        ("p.test:3128", Origin("http", "p.test", 3128)),
        ("http://[::1]:3128", Origin("http", "::1", 3128)),
    ],
)
def test_url_of_a_proxy_is_its_address(environment: pytest.MonkeyPatch, url: str, expected: Origin) -> None:
    environment.setenv("HTTPS_PROXY", url)
    assert Proxies().of(HTTPS) == Proxy(expected, {})
    assert Proxies().of(HTTP) is None


def test_user_and_password_are_sent_in_a_header(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("all_proxy", "http://us%40er:p%3Ass@p.test:3128")
    expected = f"Basic {base64.b64encode(b'us@er:p:ss').decode()}"
    for origin in (HTTP, HTTPS):
        assert Proxies().of(origin) == Proxy(Origin("http", "p.test", 3128), {"proxy-authorization": expected})


def test_proxy_of_the_scheme_comes_before_the_one_for_all(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://all.test:1")
    environment.setenv("http_proxy", "http://http.test:2")
    hosts = [proxy.origin.host for origin in (HTTP, HTTPS) if (proxy := Proxies().of(origin))]
    assert hosts == ["http.test", "all.test"]


@pytest.mark.parametrize(
    ("no_proxy", "without"),
    [
        ("*", True),
        ("a.test", True),
        (".test", True),
        ("b.test, a.test", True),
        ("a.test:443", True),
        ("a.test:80", False),
    ],
)
def test_no_proxy_names_what_goes_without(environment: pytest.MonkeyPatch, no_proxy: str, without: bool) -> None:
    environment.setenv("HTTPS_PROXY", "http://p.test:3128")
    environment.setenv("NO_PROXY", no_proxy)
    assert (Proxies().of(HTTPS) is None) == without


@pytest.mark.parametrize(
    "url", ["socks5://p.test:1", "http://", "http://p.test:x", "http://p.test:70000", "http://[", "ftp://p.test"]
)
def test_invalid_url_of_a_proxy_is_an_error_without_its_password(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("HTTPS_PROXY", url.replace("://", "://user:s3cret@"))
    with pytest.raises(ConnectError) as raised:
        Proxies().of(HTTPS)
    assert "s3cret" not in str(raised.value)
