"""Images by URL end to end: fetched by the gateway if the provider does not fetch them."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from support.families import ALL
from support.image_host import DATA_URL, ImageHost, image_host, page
from support.running_gateway import RunningGateway, run_gateway
from support.scenarios import response
from support.upstream import Script, ScriptedUpstream, scripted_upstream

PARAM = "messages[0].content[1].image_url.url"
BASE64 = DATA_URL.partition(",")[2]
INLINE: dict[str, Any] = {
    "gemini": {"inlineData": {"mimeType": "image/png", "data": BASE64}},
    "bedrock": {"image": {"format": "png", "source": {"bytes": BASE64}}},
}
SCRIPTS = {name: Script([response() if name == "openai" else family.whole("text")]) for name, family in ALL.items()}
PAGES = {
    "/cat.png": page(),
    "/page.html": page(b"<html>", content_type="text/html"),
    "/inside.png": page(b"", "302 Found", location="https://169.254.169.254/cat.png"),
}


def overlay(url: str) -> str:
    return "".join(
        f'[providers.{name}]\nfamily = "{name}"\nbase_url = "{url}/v1"\nauth = "none"\n'
        f'[models.{name}]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'routes = [{{ provider = "{name}", model = "{name}" }}]\n'
        f"prices = {{ input_usd_per_mtok = 2, output_usd_per_mtok = 8, source = 'tests', date = 2026-01-01 }}\n"
        for name in SCRIPTS
    )


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedUpstream]:
    with scripted_upstream(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageHost]:
    with image_host(tmp_path_factory.mktemp("host"), PAGES) as running:
        yield running


@pytest.fixture(scope="module", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest,
    provider: ScriptedUpstream,
    host: ImageHost,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningGateway]:
    env = {"TOLLGATE_ECHO": "off", "TOLLGATE_IMAGE_HOSTS": "localhost", "SSL_CERT_FILE": str(host.authority)}
    with run_gateway(request.param, tmp_path_factory.mktemp("images"), overlay(provider.url), env) as running:
        yield running


def messages_with_image(url: str) -> list[Any]:
    """The example of the API documents: a text and an image."""
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [{"type": "text", "text": "What's in this image?"}, image]}]


def image_sent(provider: ScriptedUpstream, family: str) -> Any:
    """The image part of the last request to the provider."""
    body = provider.requests[-1].body
    return body["contents"][0]["parts"][1] if family == "gemini" else body["messages"][0]["content"][1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("family", INLINE)
@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:{port}/cat.png", "https://localhost:{port}/inside.png", "https://localhost:{port}/page.html"],
)
def test_image_that_cannot_be_fetched_costs_nothing(
    client: OpenAI,
    gateway: RunningGateway,
    provider: ScriptedUpstream,
    host: ImageHost,
    family: str,
    url: str,
    stream: bool,
) -> None:
    requests_before, connections = len(provider.requests), host.connections
    with pytest.raises(BadRequestError, match="The image cannot be fetched") as raised:
        client.chat.completions.create(
            model=family, messages=messages_with_image(url.format(port=host.port)), stream=stream
        )
    assert (raised.value.param, raised.value.code) == (PARAM, "image_download_failed")
    assert "169.254" not in raised.value.message
    assert host.connections == connections + ("localhost" in url)
    record = gateway.settled(raised.value.response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == (400, "image_download_failed")
    assert (record["cost_micro_usd"], record["input_tokens"], record["output_tokens"]) == (0, None, None)
    assert not record["estimated"]
    assert len(provider.requests) == requests_before


@pytest.mark.parametrize("by_url", [False, True])
@pytest.mark.parametrize("family", INLINE)
def test_image_is_inlined_in_the_request(
    client: OpenAI, provider: ScriptedUpstream, host: ImageHost, family: str, by_url: bool
) -> None:
    completion = client.chat.completions.create(
        model=family, messages=messages_with_image(host.url("/cat.png") if by_url else DATA_URL)
    )
    assert completion.choices[0].message.content
    assert image_sent(provider, family) == INLINE[family]


@pytest.mark.parametrize("family", sorted({*ALL} - {*INLINE}))
def test_url_is_passed_to_a_provider_that_fetches_images(
    client: OpenAI, provider: ScriptedUpstream, host: ImageHost, family: str
) -> None:
    connections, url = host.connections, host.url("/cat.png", "10.0.0.1")
    client.chat.completions.create(model=family, messages=messages_with_image(url))
    assert url in str(image_sent(provider, family))
    assert host.connections == connections
