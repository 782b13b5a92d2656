"""The files of the dashboard, as the server, the function and the API Gateway function send them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.api_gateway import api_gateway
from support.artifact import ARTIFACT, local_settings
from support.http import HTTP
from support.running_gateway import CHECKOUT, run_gateway

SOURCE = CHECKOUT / "src" / "dashboard"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@pytest.fixture(scope="module", params=["server", "function", "api-gateway"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the page."""
    folder: Path = tmp_path_factory.mktemp("dashboard")
    if request.param == "api-gateway":
        with api_gateway(local_settings(folder)) as url:
            yield f"{url}/dashboard"
        return
    with run_gateway(request.param, folder) as gateway:
        yield gateway.base_url.replace("/v1", "/dashboard")


def test_each_file_is_sent_as_it_is(page: str) -> None:
    for path in SOURCE.iterdir():
        response = HTTP.get(page if path.name == "index.html" else f"{page}/{path.name}")
        assert response.status_code == 200, path.name
        assert response.content == path.read_bytes()
        assert response.headers["content-type"].split(";")[0] == TYPES[path.suffix]
        assert "default-src 'none'" in response.headers["content-security-policy"]
        again = HTTP.get(str(response.url), headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_page_ends_without_a_slash(page: str) -> None:
    response = HTTP.get(f"{page}/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "../dashboard")


@pytest.mark.parametrize("name", ["none.js", "../handler/settings.py", "%2e%2e/catalog.toml", "app.js/"])
def test_other_files_are_not_sent(page: str, name: str) -> None:
    response = HTTP.get(f"{page}/{name}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


def test_artifact_has_every_file() -> None:
    assert {path.name for path in (ARTIFACT / "tollgate" / "dashboard").iterdir()} == {
        path.name for path in SOURCE.iterdir()
    }
