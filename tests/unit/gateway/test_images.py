"""Image URLs replaced by data URLs: which parts, in which order, and how many."""

from collections.abc import Sequence
from typing import Any

import pytest

from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.images import MAX_IMAGES, inline_images

URL = "https://images.example/cat.png"
DATA = "data:image/png;base64,aWNo"


class FakeFetcher:
    """Returns an image for every URL and records the requests."""

    def __init__(self) -> None:
        self.requested: list[tuple[str, str]] = []

    async def fetch_all(self, requested: Sequence[tuple[str, str]]) -> Sequence[str]:
        self.requested += requested
        return [f"data:image/png;base64,{url.rpartition('/')[2]}" for _, url in requested]


def fetches_nothing(url: str) -> bool:
    return False


def request(*messages: Any) -> ChatRequest:
    return ChatRequest.of({"model": "m", "messages": [*messages], "seed": 7})


def image(url: Any, **extra: Any) -> Any:
    return {"type": "image_url", "image_url": {"url": url, **extra}}


async def test_each_image_url_is_replaced_by_its_data_url() -> None:
    text = {"type": "text", "text": "Which?"}
    original = request(
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [text, image(f"{URL}?a/1", detail="low"), image(DATA), image(f"{URL}?a/2")]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c", "content": [image("HTTPS://images.example/3")]},
    )
    fetcher = FakeFetcher()
    changed = await inline_images(original, fetcher, fetches_nothing)
    assert fetcher.requested == [
        ("messages[1].content[1].image_url.url", f"{URL}?a/1"),
        ("messages[1].content[3].image_url.url", f"{URL}?a/2"),
        ("messages[3].content[0].image_url.url", "HTTPS://images.example/3"),
    ]
    data_prefix = "data:image/png;base64,"
    parts = [text, image(f"{data_prefix}1", detail="low"), image(DATA), image(f"{data_prefix}2")]
    assert changed.wire() == {
        **original.wire(),
        "messages": [
            original.messages[0],
            {"role": "user", "content": parts},
            original.messages[2],
            {"role": "tool", "tool_call_id": "c", "content": [image(f"{data_prefix}3")]},
        ],
    }
    assert original.wire()["messages"][1]["content"][1] == image(
        f"{URL}?a/1", detail="low"
    )  # the client's request is unchanged


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": URL},
        {"type": "text", "text": "x", "image_url": {"url": URL}},
        {"type": "file", "file": {"file_data": URL}},
        image(DATA),
        image(None),
        image(["https://images.example"]),
        {"type": "image_url", "image_url": None},
        {"type": "image_url"},
    ],
)
async def test_part_without_an_image_url_is_unchanged(part: Any) -> None:
    original, fetcher = request({"role": "user", "content": [part]}), FakeFetcher()
    assert await inline_images(original, fetcher, fetches_nothing) is original
    assert fetcher.requested == []

    with_image = await inline_images(request({"role": "user", "content": [part, image(URL)]}), fetcher, fetches_nothing)
    assert with_image.wire()["messages"][0]["content"][0] == part
    assert len(fetcher.requested) == 1


async def test_http_url_is_passed_to_the_fetcher_which_refuses_it() -> None:
    fetcher = FakeFetcher()
    await inline_images(
        request({"role": "user", "content": [image("http://images.example/1")]}), fetcher, fetches_nothing
    )
    assert [url for _, url in fetcher.requested] == ["http://images.example/1"]


@pytest.mark.parametrize("extra", [0, 1])
async def test_images_are_counted_over_all_messages(extra: int) -> None:
    messages = [{"role": "user", "content": [image(URL)] * 2} for _ in range(MAX_IMAGES // 2)]
    original, fetcher = request(*messages, {"role": "user", "content": [image(URL)] * extra}), FakeFetcher()
    if extra:
        with pytest.raises(BadRequestError, match="At most 20 images") as raised:
            await inline_images(original, fetcher, fetches_nothing)
        assert (raised.value.param, fetcher.requested) == ("messages", [])
    else:
        await inline_images(original, fetcher, fetches_nothing)
        assert len(fetcher.requested) == MAX_IMAGES


async def test_url_that_the_provider_fetches_is_unchanged() -> None:
    original = request({"role": "user", "content": [image(URL), image("https://files.example/1")]})
    fetcher = FakeFetcher()
    changed = await inline_images(original, fetcher, lambda url: url.startswith("https://files.example/"))
    assert fetcher.requested == [("messages[0].content[0].image_url.url", URL)]
    assert changed.messages[0].get("content")[1] == image("https://files.example/1")  # type: ignore[index]
