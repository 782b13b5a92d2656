"""Images by URL: which hosts are asked and which never, against a real host on loopback over TLS.

Loopback is not public, so a host that is to answer is trusted by name, and one that must not be asked is not.
"""

import asyncio
import contextlib
import gzip
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

import pytest

from support.image_host import DATA_URL, PNG, ImageHost, image_host, page
from tollgate.gateway.errors import BadRequestError
from tollgate.upstream import images
from tollgate.upstream.images import LOOK_UPS_AT_ONCE, MAX_HOSTS, ImageFetcher, is_public
from tollgate.upstream.resolver import MAX_WAITING, THREADS, Resolver

NOT_PUBLIC = "its host is not on the public internet"
HERE = "127.0.0.1"
LARGE = bytes(images.MAX_IMAGE_BYTES)

PAGES: dict[str, bytes | None] = {
    "/cat.png": page(),
    "/cat.png?size=1%20x": page(),
    "/typed": page(content_type="Image/PNG; charset=binary"),
    "/cookie": page(set_cookie="id=1"),
    "/html": page(b"<html>", content_type="text/html"),
    "/untyped": page(content_type=""),
    "/mistyped": page(content_type="image/png,x"),
    "/404": page(b"no", "404 Not Found"),
    "/500": page(b"secret", "500 Oops"),
    "/204": page(b"", "204 No Content", content_length=""),
    "/gzip": page(gzip.compress(bytes(1000)), content_encoding="gzip"),
    "/large": page(LARGE),
    "/larger": page(LARGE + b"x"),
    "/larger-unsaid": page(LARGE + b"x", content_length=""),
    "/larger-in-chunks": page(
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE) + 1, LARGE + b"x"), content_length="", transfer_encoding="chunked"
    ),
    "/cut": page(PNG, content_length="1000", connection="close")[:-5],
    "/slow": None,
    "/to-slow": page(b"", "302 Found", location="/slow"),
    "/nowhere": page(b"", "302 Found"),
    "/to-http": page(b"", "301 Moved", location="http://localhost/cat.png"),
    "/to-private": page(b"", "302 Found", location="https://10.0.0.1/cat.png"),
    "/to-metadata": page(b"", "307 Found", location="//169.254.169.254/latest/meta-data"),
    "/to-file": page(b"", "302 Found", location="file:///etc/passwd"),
    "/to-nonsense": page(b"", "302 Found", location="https://x:y/"),
    "/1": page(b"", "301 X", location="/2"),
    "/2": page(b"", "302 X", location="3"),
    "/3": page(b"", "303 X", location="./4#part"),
    "/4": page(b"", "308 X", location="//localhost/cat.png"),
    "/round": page(b"", "302 X", location="/round"),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageHost]:
    names = ("localhost", HERE, "images.test")
    with image_host(tmp_path_factory.mktemp("host"), PAGES, names) as running:
        PAGES["/4"] = page(b"", "308 X", location=f"//localhost:{running.port}/cat.png")
        yield running


@pytest.fixture(autouse=True)
def forget(host: ImageHost) -> None:
    host.asked.clear()
    host.connections = 0


class Names:
    """A resolver that knows these names; one with several answers gives them one after the other."""

    def __init__(self, answers: Mapping[str, Sequence[list[str]]]) -> None:
        self.answers = {name: list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        left = self.answers.get(name, [])
        if not left:
            raise OSError(-2, "Name or service not known")
        return left.pop(0) if len(left) > 1 else left[0]


@contextlib.asynccontextmanager
async def fetching(
    host: ImageHost,
    *trusted: str,
    names: Names | None = None,
    tls: ssl.SSLContext | None = None,
    seconds: float = 10,
) -> AsyncGenerator[ImageFetcher]:
    fetcher = ImageFetcher(trusted, tls or host.trust, names, seconds)
    try:
        yield fetcher
    finally:
        await fetcher.aclose()


async def fetch(fetcher: ImageFetcher, url: str) -> str:
    (image,) = await fetcher.fetch_all([("p", url)])
    return image


async def refused(fetcher: ImageFetcher, url: str) -> str:
    """Why this is not fetched, with nothing of the URL or of what it leads to."""
    with pytest.raises(BadRequestError) as caught:
        await fetch(fetcher, url)
    error = caught.value
    assert (error.param, error.code, error.status) == ("p", "image_download_failed", 400)
    return error.message.removeprefix("The image cannot be fetched: ").removesuffix(".")


# --- an image ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/cat.png", "/cat.png?size=1%20x", "/typed", "/cat.png#part"])
async def test_image_comes_as_a_data_url(host: ImageHost, path: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await fetch(fetcher, host.url(path)) == DATA_URL
    (asked,) = host.asked
    assert asked.path == path.removesuffix("#part")
    assert asked.headers["host"] == f"localhost:{host.port}"
    assert asked.sni == "localhost"
    assert not {"cookie", "authorization", "referer"} & {*asked.headers}


async def test_images_come_all_at_once_and_in_order(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        wanted = [(f"p{i}", host.url(path)) for i, path in enumerate(["/large", "/cat.png", "/typed"])]
        large, *small = await fetcher.fetch_all(wanted)
    assert len(large) > len(LARGE)
    assert small == [DATA_URL, DATA_URL]


async def test_one_that_fails_is_named_and_the_others_are_not_waited_for(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        start = time.monotonic()
        with pytest.raises(BadRequestError) as caught:
            await fetcher.fetch_all([("first", host.url("/slow")), ("second", host.url("/404"))])
        assert caught.value.param == "second"
        assert time.monotonic() - start < 5
        assert len(asyncio.all_tasks()) == 1


async def test_cookies_of_one_answer_go_with_no_other_request(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        await fetch(fetcher, host.url("/cookie"))
        await fetch(fetcher, host.url("/cat.png"))
    assert "cookie" not in host.asked[-1].headers


@pytest.mark.parametrize("name", ["LocalHost", "localhost.", "user:secret@localhost", "10.0.0.1:1@localhost"])
async def test_hosts_name_is_what_it_is_however_it_is_written(host: ImageHost, name: str) -> None:
    names = Names({"localhost": [[HERE]], "localhost.": [[HERE]]})
    async with fetching(host, "LOCALHOST.", names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", name)) == DATA_URL
    assert host.asked[-1].sni == "localhost"
    assert "authorization" not in host.asked[-1].headers


# --- hosts that are not asked -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.255"),
        *(
            "169.254.169.254",
            "169.254.100.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.0.1",
        ),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.2.3", "224.0.1.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fc00::1", "fd00:ec2::254", "fec0::1"),
        *("ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::", "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
        *("2001:db8::1", "100::1", "5f00::1", "4000::1", "8000::1", "fe00::1", "::ffff:224.0.0.1"),
    ],
)
async def test_address_that_is_not_public_is_not_asked(host: ImageHost, address: str) -> None:
    assert not is_public(address)
    names = Names(
        {"inside.test": [[address]], "both.test": [["8.8.8.8", address]], "both-6.test": [[address, "8.8.8.8"]]}
    )
    async with fetching(host, names=names) as fetcher:
        assert [await refused(fetcher, f"https://{name}/") for name in names.answers] == [NOT_PUBLIC] * 3
    async with fetching(host) as fetcher:
        literal = f"[{address}]" if ":" in address else address
        assert await refused(fetcher, host.url("/cat.png", literal)) == NOT_PUBLIC
    assert host.connections == 0


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "2001:4860:4860::8888", "2606:4700::1111", "::ffff:8.8.8.8"],
)
def test_address_that_is_public_is_one(address: str) -> None:
    assert is_public(address)
    assert is_public("64:ff9b::8.8.8.8")
    assert is_public("2002:808:808::1")


@pytest.mark.parametrize(
    "name",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.1", "127.0.1", "2130706433"),
        *(
            "0x7f000001",
            "0x7F.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
        ),
        *("[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "8.8.8.8@127.0.0.1", "images.example:443@localhost"),
        *("images.example\\@localhost", "images.example%2f@127.0.0.1", "@localhost"),
    ],
)
async def test_this_machine_is_not_asked_however_it_is_spelled(host: ImageHost, name: str) -> None:
    async with fetching(host) as fetcher:
        assert await refused(fetcher, host.url("/cat.png", name)) == NOT_PUBLIC
    assert host.connections == 0


@pytest.mark.parametrize("authority", ["0177.0.0.1", "\u2460\u2461\u2466.0.0.1", "a" * 300, "\ud800"])
async def test_host_that_is_none_is_not_asked(host: ImageHost, authority: str) -> None:
    async with fetching(host) as fetcher:
        assert await refused(fetcher, host.url("/cat.png", authority)) in (NOT_PUBLIC, "its URL is not valid")
    assert host.connections == 0


async def test_name_that_nobody_knows_is_told_from_no_private_one(host: ImageHost) -> None:
    names = Names({"inside.test": [["10.0.0.1"]], "empty.test": [[]]})
    async with fetching(host, names=names) as fetcher:
        assert {await refused(fetcher, f"https://{name}.test/") for name in ("inside", "outside", "empty")} == {
            NOT_PUBLIC
        }


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "ftp://localhost/", "file:///etc/passwd", "https:///x", "https:x", "//localhost/", "x", ""],
)
async def test_only_https_is_spoken(host: ImageHost, url: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refused(fetcher, url) == "only https URLs are fetched"


@pytest.mark.parametrize(
    "url", ["https://localhost:x/", "https://localhost/\ud800", "https://localhost/\n", "https://[x]/"]
)
async def test_url_that_is_none_is_refused(host: ImageHost, url: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refused(fetcher, url) == "its URL is not valid"


@pytest.mark.parametrize(
    ("port", "reason"),
    [*((n, "its host does not answer") for n in (0, 1)), *((n, "its URL is not valid") for n in (65536, 99999))],
)
async def test_port_where_nobody_is_does_not_answer(host: ImageHost, port: int, reason: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refused(fetcher, f"https://localhost:{port}/") == reason


async def test_port_opens_no_door_to_a_private_host(host: ImageHost) -> None:
    async with fetching(host) as fetcher:
        for port in (80, 443, 8443, 9001, host.port):
            assert await refused(fetcher, f"https://localhost:{port}/") == NOT_PUBLIC


async def test_connection_goes_to_the_address_that_was_looked_at(host: ImageHost) -> None:
    """The name is looked up once; what it would be the next time does not matter."""
    names = Names({"images.test": [[HERE], ["10.0.0.1"]]})
    async with fetching(host, "images.test", names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", "images.test")) == DATA_URL
    assert names.asked == ["images.test"]
    assert host.asked[0].sni == "images.test"
    assert host.asked[0].headers["host"] == f"images.test:{host.port}"


async def test_name_that_has_moved_inside_is_not_asked_again(host: ImageHost) -> None:
    """Every URL is looked up anew, that of a redirect too: a good answer counts for one connection only."""
    names = Names({"images.test": [["8.8.8.8", HERE]], "localhost": [[HERE]]})
    PAGES["/to-images"] = page(b"", "302 X", location=host.url("/cat.png", "images.test"))
    async with fetching(host, "localhost", names=names) as fetcher:
        assert await refused(fetcher, host.url("/to-images")) == NOT_PUBLIC
    assert names.asked == ["localhost", "images.test"]
    assert len(host.asked) == 1


# --- redirects --------------------------------------------------------------------------------------------------------


async def test_redirects_are_followed_relative_or_whole(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await fetch(fetcher, host.url("/2")) == DATA_URL
    assert [asked.path for asked in host.asked] == ["/2", "/3", "/4", "/cat.png"]


@pytest.mark.parametrize(
    ("path", "reason", "asked"),
    [
        ("/1", "it is redirected too often", 4),
        ("/round", "it is redirected too often", 4),
        ("/nowhere", "it is redirected too often", 4),
        ("/to-http", "only https URLs are fetched", 1),
        ("/to-file", "only https URLs are fetched", 1),
        ("/to-private", NOT_PUBLIC, 1),
        ("/to-metadata", NOT_PUBLIC, 1),
        ("/to-nonsense", "its host does not answer", 1),
    ],
)
async def test_redirect_is_as_good_as_what_it_leads_to(host: ImageHost, path: str, reason: str, asked: int) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refused(fetcher, host.url(path)) == reason
    assert len(host.asked) == asked


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/html", "it is no image"),
        ("/untyped", "it is no image"),
        ("/mistyped", "it is no image"),
        ("/404", "its host answers with HTTP status 404"),
        ("/500", "its host answers with HTTP status 500"),
        ("/204", "its host answers with HTTP status 204"),
        ("/gzip", "its host has compressed it"),
        ("/cut", "its host does not answer"),
        ("/larger", "it is larger than 8388608 bytes"),
        ("/larger-unsaid", "it is larger than 8388608 bytes"),
        ("/larger-in-chunks", "it is larger than 8388608 bytes"),
    ],
)
async def test_answer_that_is_no_image_is_not_had(host: ImageHost, path: str, reason: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refused(fetcher, host.url(path)) == reason
    assert host.asked[0].headers["accept-encoding"] == "identity"


async def test_images_of_one_request_have_a_size_in_all(host: ImageHost) -> None:
    async with fetching(host, "localhost") as fetcher:
        four, five = ([(f"p{i}", host.url("/large")) for i in range(n)] for n in (4, 5))
        assert len(await fetcher.fetch_all(four)) == 4
        with pytest.raises(BadRequestError, match="may have 33554432 bytes in all"):
            await fetcher.fetch_all(five)
        assert len(await fetcher.fetch_all(four)) == 4  # each request has its own


@pytest.mark.parametrize("path", ["/slow", "/to-slow"])
async def test_host_that_takes_too_long_is_not_waited_for(host: ImageHost, path: str) -> None:
    async with fetching(host, "localhost", seconds=0.3) as fetcher:
        assert await refused(fetcher, host.url(path)) == "its host took too long"


async def test_lookup_that_takes_too_long_is_not_waited_for(host: ImageHost) -> None:
    async def never(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    fetcher = ImageFetcher(look_up=never, seconds=0.1)
    assert await refused(fetcher, "https://images.test/") == "its host took too long"


async def test_fetcher_that_fetched_nothing_has_nothing_to_close() -> None:
    fetcher = ImageFetcher()
    assert await fetcher.fetch_all([]) == []
    await fetcher.aclose()


# --- certificates -----------------------------------------------------------------------------------------------------


async def test_certificate_of_an_unknown_authority_is_not_taken(host: ImageHost) -> None:
    async with fetching(host, "localhost", tls=ssl.create_default_context()) as fetcher:
        assert await refused(fetcher, host.url("/cat.png")) == "its host does not answer"
    assert host.asked == []


async def test_certificate_must_be_for_the_urls_host_not_for_its_address(host: ImageHost) -> None:
    """Even right after another name at the same address was good: no connection is used for two."""
    names = Names({name: [[HERE]] for name in ("images.test", "other.test", HERE)})
    async with fetching(host, *names.answers, names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", "images.test")) == DATA_URL
        assert await refused(fetcher, host.url("/cat.png", "other.test")) == "its host does not answer"
        assert await fetch(fetcher, host.url("/cat.png", HERE)) == DATA_URL
    assert [asked.sni for asked in host.asked] == ["images.test", None]


async def test_dead_names_keep_no_thread_that_others_need() -> None:
    """While every thread of the resolver waits for a name, the threads that a process shares are free."""
    release = threading.Event()

    def look_up(host: str) -> list[str]:
        release.wait(60)
        return []

    resolver = Resolver(look_up)
    stuck = [asyncio.ensure_future(resolver(f"{number}.example")) for number in range(THREADS + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many"):
        await resolver("one.too.many")
    assert await asyncio.to_thread(lambda: "free") == "free"
    release.set()
    assert await asyncio.gather(*stuck) == [[]] * len(stuck)
    assert await resolver("again.example") == []
    resolver.close()


async def test_one_request_looks_up_few_names_at_once() -> None:
    now = most = 0

    async def look_up(host: str) -> list[str]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return []

    fetcher = ImageFetcher(look_up=look_up)
    with pytest.raises(BadRequestError):
        await fetcher.fetch_all([(f"p{number}", f"https://{number}.example/") for number in range(MAX_HOSTS)])
    assert most <= LOOK_UPS_AT_ONCE


async def test_images_of_one_request_come_from_few_hosts() -> None:
    with pytest.raises(BadRequestError, match="hosts") as refused:
        await ImageFetcher().fetch_all([("p", f"https://{number}.example/") for number in range(MAX_HOSTS + 1)])
    assert refused.value.code == "image_download_failed"
