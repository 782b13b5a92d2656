"""The hosts that images are fetched from, and those that are never contacted.

Loopback is not public: a host that must be contacted is trusted by name, and one that must not be is not.
"""

import asyncio
import threading

import pytest

from support.image_fetching import HERE, NOT_PUBLIC, PAGES, Names, fetch, fetching, refusal
from support.image_host import DATA_URL, ImageHost, page
from tollgate.upstream.images import is_public
from tollgate.upstream.resolver import MAX_WAITING, THREADS, Resolver


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
async def test_address_that_is_not_public_is_not_contacted(host: ImageHost, address: str) -> None:
    assert not is_public(address)
    names = Names(
        {"inside.test": [[address]], "both.test": [["8.8.8.8", address]], "both-6.test": [[address, "8.8.8.8"]]}
    )
    async with fetching(host, names=names) as fetcher:
        assert [await refusal(fetcher, f"https://{name}/") for name in names.results] == [NOT_PUBLIC] * 3
    async with fetching(host) as fetcher:
        literal = f"[{address}]" if ":" in address else address
        assert await refusal(fetcher, host.url("/cat.png", literal)) == NOT_PUBLIC
    assert host.connections == 0


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "2001:4860:4860::8888", "2606:4700::1111", "::ffff:8.8.8.8"],
)
def test_public_address_is_public(address: str) -> None:
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
async def test_loopback_is_not_contacted_in_any_notation(host: ImageHost, name: str) -> None:
    async with fetching(host) as fetcher:
        assert await refusal(fetcher, host.url("/cat.png", name)) == NOT_PUBLIC
    assert host.connections == 0


@pytest.mark.parametrize("authority", ["0177.0.0.1", "\u2460\u2461\u2466.0.0.1", "a" * 300, "\ud800"])
async def test_invalid_host_is_not_contacted(host: ImageHost, authority: str) -> None:
    async with fetching(host) as fetcher:
        assert await refusal(fetcher, host.url("/cat.png", authority)) in (NOT_PUBLIC, "its URL is not valid")
    assert host.connections == 0


async def test_unknown_and_private_names_have_the_same_error(host: ImageHost) -> None:
    names = Names({"inside.test": [["10.0.0.1"]], "empty.test": [[]]})
    async with fetching(host, names=names) as fetcher:
        assert {await refusal(fetcher, f"https://{name}.test/") for name in ("inside", "outside", "empty")} == {
            NOT_PUBLIC
        }


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "ftp://localhost/", "file:///etc/passwd", "https:///x", "https:x", "//localhost/", "x", ""],
)
async def test_only_https_is_supported(host: ImageHost, url: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refusal(fetcher, url) == "only https URLs are supported"


@pytest.mark.parametrize(
    "url", ["https://localhost:x/", "https://localhost/\ud800", "https://localhost/\n", "https://[x]/"]
)
async def test_invalid_url_is_refused(host: ImageHost, url: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refusal(fetcher, url) == "its URL is not valid"


@pytest.mark.parametrize(
    ("port", "reason"),
    [*((n, "its host does not respond") for n in (0, 1)), *((n, "its URL is not valid") for n in (65536, 99999))],
)
async def test_closed_port_does_not_respond(host: ImageHost, port: int, reason: str) -> None:
    async with fetching(host, "localhost") as fetcher:
        assert await refusal(fetcher, f"https://localhost:{port}/") == reason


async def test_private_host_is_refused_on_every_port(host: ImageHost) -> None:
    async with fetching(host) as fetcher:
        for port in (80, 443, 8443, 9001, host.port):
            assert await refusal(fetcher, f"https://localhost:{port}/") == NOT_PUBLIC


async def test_connection_is_made_to_the_address_that_was_checked(host: ImageHost) -> None:
    """The name is looked up once; the result of a second lookup is not used."""
    names = Names({"images.test": [[HERE], ["10.0.0.1"]]})
    async with fetching(host, "images.test", names=names) as fetcher:
        assert await fetch(fetcher, host.url("/cat.png", "images.test")) == DATA_URL
    assert names.looked_up == ["images.test"]
    assert host.requests[0].sni == "images.test"
    assert host.requests[0].headers["host"] == f"images.test:{host.port}"


async def test_every_connection_has_a_lookup_of_its_own(host: ImageHost) -> None:
    """The host of a redirect is checked too: a result is valid for one connection only."""
    names = Names({"images.test": [["8.8.8.8", HERE]], "localhost": [[HERE]]})
    PAGES["/to-images"] = page(b"", "302 X", location=host.url("/cat.png", "images.test"))
    async with fetching(host, "localhost", names=names) as fetcher:
        assert await refusal(fetcher, host.url("/to-images")) == NOT_PUBLIC
    assert names.looked_up == ["localhost", "images.test"]
    assert len(host.requests) == 1


async def test_names_that_do_not_resolve_block_no_shared_thread() -> None:
    """While all threads of the resolver are blocked, the default executor has free threads."""
    release = threading.Event()

    def lookup(host: str) -> list[str]:
        release.wait(60)
        return []

    resolver = Resolver(lookup)
    stuck = [asyncio.ensure_future(resolver(f"{number}.example")) for number in range(THREADS + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many"):
        await resolver("another.example")
    assert await asyncio.to_thread(lambda: "free") == "free"
    release.set()
    assert await asyncio.gather(*stuck) == [[]] * len(stuck)
    assert await resolver("again.example") == []
    resolver.close()
