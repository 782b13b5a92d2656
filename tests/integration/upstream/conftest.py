"""An image host on loopback."""

from collections.abc import Iterator

import pytest

from support.image_fetching import HERE, PAGES
from support.image_host import ImageHost, image_host, page


@pytest.fixture(scope="module")
def running_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageHost]:
    names = ("localhost", HERE, "images.test")
    with image_host(tmp_path_factory.mktemp("host"), PAGES, names) as running:
        PAGES["/4"] = page(b"", "308 X", location=f"//localhost:{running.port}/cat.png")
        yield running


@pytest.fixture
def host(running_host: ImageHost) -> ImageHost:
    """The host, without the requests of other tests."""
    running_host.requests.clear()
    running_host.connections = 0
    return running_host
