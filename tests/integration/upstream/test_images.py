"""Fetching images by URL from a host on loopback over TLS: responses, redirects, limits, certificates.

Loopback is not public: a host that must be contacted is trusted by name, and one that must not be is not.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence

import pytest

from support.image_fetching import HERE, LARGE, NOT_PUBLIC, Names, fetch, fetching, refusal
from support.image_host import DATA_URL, ImageHost
from tollgate.gateway.errors import BadRequestError
from tollgate.upstream.images import CONCURRENT_LOOKUPS, MAX_HOSTS, ImageFetcher

# --- an image ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/cat.png", "/cat.png?size=1%20x", "/typed", "/cat.png#part"])
async def test_image_is_returned_as_a_data_url(host: ImageHost, path: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await fetch(fetcher, host.url(path)) == DATA_URL
    (received,) = host.requests
    assert received.path == path.removesuffix("#part")
    assert received.headers["host"] == f"localhost:{host.port}"
    assert received.sni == "localhost"
    assert not {"cookie", "authorization", "referer"} & {*received.headers}


async def test_images_are_returned_in_order(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        requested = [(f"p{i}", host.url(path)) for i, path in enumerate(["/large", "/cat.png", "/typed"])]
        large, *small = await fetcher.fetch_all(requested)
    assert len(large) > len(LARGE)
    assert small == [DATA_URL, DATA_URL]


async def test_error_names_the_failed_image_and_cancels_the_others(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        start = time.monotonic()
        with pytest.raises(BadRequestError) as caught:
            await fetcher.fetch_all([("first", host.url("/slow")), ("second", host.url("/404"))])
        assert caught.value.param == "second"
        assert time.monotonic() - start < 5
        assert len(asyncio.all_tasks()) == 1


async def test_cookies_of_a_response_are_not_sent_with_other_requests(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        await fetch(fetcher, host.url("/cookie"))
        await fetch(fetcher, host.url("/cat.png"))
    assert "cookie" not in host.requests[-1].headers


@pytest.mark.parametrize("name", ["LocalHost", "localhost.", "user:secret@localhost", "10.0.0.1:1@localhost"])
async def test_host_name_is_normalised(host: ImageHost, name: str) -> None:
    names = Names({"localhost": [[HERE]], "localhost.": [[HERE]]})
    async with fetching(host, "LOCALHOST.", names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", name)) == DATA_URL
    assert host.requests[-1].sni == "localhost"
    assert "authorization" not in host.requests[-1].headers


# --- redirects --------------------------------------------------------------------------------------------------------


async def test_relative_and_absolute_redirects_are_followed(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await fetch(fetcher, host.url("/2")) == DATA_URL
    assert [request.path for request in host.requests] == ["/2", "/3", "/4", "/cat.png"]


@pytest.mark.parametrize(
    ("path", "reason", "requests"),
    [
        ("/1", "it is redirected too often", 4),
        ("/loop", "it is redirected too often", 4),
        ("/without-location", "it is redirected too often", 4),
        ("/to-http", "only https URLs are supported", 1),
        ("/to-file", "only https URLs are supported", 1),
        ("/to-private", NOT_PUBLIC, 1),
        ("/to-metadata", NOT_PUBLIC, 1),
        ("/to-invalid", "its host does not respond", 1),
    ],
)
async def test_target_of_a_redirect_is_checked(host: ImageHost, path: str, reason: str, requests: int) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refusal(fetcher, host.url(path)) == reason
    assert len(host.requests) == requests


# --- responses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/html", "it is not an image"),
        ("/untyped", "it is not an image"),
        ("/mistyped", "it is not an image"),
        ("/404", "its host returns HTTP status 404"),
        ("/500", "its host returns HTTP status 500"),
        ("/204", "its host returns HTTP status 204"),
        ("/gzip", "its host has compressed it"),
        ("/cut", "its host does not respond"),
        ("/larger", "it is larger than 8388608 bytes"),
        ("/larger-without-length", "it is larger than 8388608 bytes"),
        ("/larger-in-chunks", "it is larger than 8388608 bytes"),
    ],
)
async def test_response_that_is_no_image_is_refused(host: ImageHost, path: str, reason: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refusal(fetcher, host.url(path)) == reason
    assert host.requests[0].headers["accept-encoding"] == "identity"


async def test_images_of_one_request_have_a_total_limit(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        four, five = ([(f"p{i}", host.url("/large")) for i in range(n)] for n in (4, 5))
        assert len(await fetcher.fetch_all(four)) == 4
        with pytest.raises(BadRequestError, match="limited to 33554432 bytes in total"):
            await fetcher.fetch_all(five)
        assert len(await fetcher.fetch_all(four)) == 4  # each request has its own limit


@pytest.mark.parametrize("path", ["/slow", "/to-slow"])
async def test_slow_host_times_out(host: ImageHost, path: str) -> None:
    async with fetching(host, "localhost", seconds=0.3) as fetcher:
        assert await refusal(fetcher, host.url(path)) == "its host took too long"


async def test_slow_lookup_times_out(host: ImageHost) -> None:
    async def never(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    fetcher = ImageFetcher(lookup=never, timeout=0.1)
    assert await refusal(fetcher, "https://images.test/") == "its host took too long"


async def test_unused_fetcher_can_be_closed() -> None:
    fetcher = ImageFetcher()
    assert await fetcher.fetch_all([]) == []
    await fetcher.aclose()


# --- certificates -----------------------------------------------------------------------------------------------------


async def test_certificate_of_an_unknown_authority_is_refused(host: ImageHost) -> None:
    async with fetching(host, "localhost", tls=ssl.create_default_context()) as fetcher:
        assert await refusal(fetcher, host.url("/cat.png")) == "its host does not respond"
    assert host.requests == []


async def test_certificate_must_be_for_the_host_of_the_url(host: ImageHost) -> None:
    """Also right after a connection to another name at the same address: connections are not shared by names."""
    names = Names({name: [[HERE]] for name in ("images.test", "other.test", HERE)})
    async with fetching(host, *names.results, names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", "images.test")) == DATA_URL
        assert await refusal(fetcher, host.url("/cat.png", "other.test")) == "its host does not respond"
        assert await fetch(fetcher, host.url("/cat.png", HERE)) == DATA_URL
    assert [request.sni for request in host.requests] == ["images.test", None]


async def test_concurrent_lookups_of_one_request_are_limited() -> None:
    running = maximum = 0

    async def lookup(host: str) -> list[str]:
        nonlocal running, maximum
        running += 1
        maximum = max(maximum, running)
        await asyncio.sleep(0.001)
        running -= 1
        return []

    fetcher = ImageFetcher(lookup=lookup)
    with pytest.raises(BadRequestError):
        await fetcher.fetch_all([(f"p{number}", f"https://{number}.example/") for number in range(MAX_HOSTS)])
    assert maximum <= CONCURRENT_LOOKUPS


async def test_hosts_of_one_request_are_limited() -> None:
    with pytest.raises(BadRequestError, match="hosts") as refused:
        await ImageFetcher().fetch_all([("p", f"https://{number}.example/") for number in range(MAX_HOSTS + 1)])
    assert refused.value.code == "image_download_failed"
