"""Pages of an image host, and fetches of images from it."""

import contextlib
import gzip
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest

from support.image_host import PNG, ImageHost, page
from tollgate.gateway.errors import BadRequestError
from tollgate.upstream import images
from tollgate.upstream.images import ImageFetcher

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
    "/larger-without-length": page(LARGE + b"x", content_length=""),
    "/larger-in-chunks": page(
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE) + 1, LARGE + b"x"), content_length="", transfer_encoding="chunked"
    ),
    "/cut": page(PNG, content_length="1000", connection="close")[:-5],
    "/slow": None,
    "/to-slow": page(b"", "302 Found", location="/slow"),
    "/without-location": page(b"", "302 Found"),
    "/to-http": page(b"", "301 Moved", location="http://localhost/cat.png"),
    "/to-private": page(b"", "302 Found", location="https://10.0.0.1/cat.png"),
    "/to-metadata": page(b"", "307 Found", location="//169.254.169.254/latest/meta-data"),
    "/to-file": page(b"", "302 Found", location="file:///etc/passwd"),
    "/to-invalid": page(b"", "302 Found", location="https://x:y/"),
    "/1": page(b"", "301 X", location="/2"),
    "/2": page(b"", "302 X", location="3"),
    "/3": page(b"", "303 X", location="./4#part"),
    "/4": page(b"", "308 X", location="//localhost/cat.png"),
    "/loop": page(b"", "302 X", location="/loop"),
}


class Names:
    """A resolver for these names. A name with several results returns them one after the other."""

    def __init__(self, results: Mapping[str, Sequence[list[str]]]) -> None:
        self.results = {name: list(addresses) for name, addresses in results.items()}
        self.looked_up: list[str] = []

    async def __call__(self, name: str) -> list[str]:
        self.looked_up.append(name)
        left = self.results.get(name, [])
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


async def refusal(fetcher: ImageFetcher, url: str) -> str:
    """The reason why an image is not fetched. The message contains neither the URL nor anything it leads to."""
    with pytest.raises(BadRequestError) as caught:
        await fetch(fetcher, url)
    error = caught.value
    assert (error.param, error.code, error.status) == ("p", "image_download_failed", 400)
    return error.message.removeprefix("The image cannot be fetched: ").removesuffix(".")
