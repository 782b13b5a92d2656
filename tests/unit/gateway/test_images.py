"""Images put in the place of their URLs: which of them, where, and how many."""

from collections.abc import Sequence
from typing import Any

import pytest

from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.images import MAX_IMAGES, inline_images

URL = "https://images.example/cat.png"
DATA = "data:image/png;base64,aWNo"


class Album:
    """Has an image for every URL, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def fetch_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[str]:
        self.asked += wanted
        return [f"data:image/png;base64,{url.rpartition('/')[2]}" for _, url in wanted]


def fetches_nothing(url: str) -> bool:
    return False


def request(*messages: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": [*messages], "seed": 7})


def image(url: Any, **more: Any) -> Any:
    return {"type": "image_url", "image_url": {"url": url, **more}}


async def test_each_image_takes_the_place_of_its_url() -> None:
    text = {"type": "text", "text": "Which?"}
    given = request(
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [text, image(f"{URL}?a/1", detail="low"), image(DATA), image(f"{URL}?a/2")]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c", "content": [image("HTTPS://images.example/3")]},
    )
    album = Album()
    changed = await inline_images(given, album, fetches_nothing)
    assert album.asked == [
        ("messages[1].content[1].image_url.url", f"{URL}?a/1"),
        ("messages[1].content[3].image_url.url", f"{URL}?a/2"),
        ("messages[3].content[0].image_url.url", "HTTPS://images.example/3"),
    ]
    here = "data:image/png;base64,"
    parts = [text, image(f"{here}1", detail="low"), image(DATA), image(f"{here}2")]
    assert changed.wire() == {
        **given.wire(),
        "messages": [
            given.messages[0],
            {"role": "user", "content": parts},
            given.messages[2],
            {"role": "tool", "tool_call_id": "c", "content": [image(f"{here}3")]},
        ],
    }
    assert given.wire()["messages"][1]["content"][1] == image(f"{URL}?a/1", detail="low")  # as the client sent it


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
async def test_what_is_no_image_by_url_stays_as_it_is(part: Any) -> None:
    given, album = request({"role": "user", "content": [part]}), Album()
    assert await inline_images(given, album, fetches_nothing) is given
    assert album.asked == []

    beside = await inline_images(request({"role": "user", "content": [part, image(URL)]}), album, fetches_nothing)
    assert beside.wire()["messages"][0]["content"][0] == part
    assert len(album.asked) == 1


async def test_url_that_is_not_https_is_for_the_fetcher_to_refuse() -> None:
    album = Album()
    await inline_images(
        request({"role": "user", "content": [image("http://images.example/1")]}), album, fetches_nothing
    )
    assert [url for _, url in album.asked] == ["http://images.example/1"]


@pytest.mark.parametrize("more", [0, 1])
async def test_images_of_a_request_are_counted_over_all_its_messages(more: int) -> None:
    messages = [{"role": "user", "content": [image(URL)] * 2} for _ in range(MAX_IMAGES // 2)]
    given, album = request(*messages, {"role": "user", "content": [image(URL)] * more}), Album()
    if more:
        with pytest.raises(BadRequestError, match="At most 20 images") as caught:
            await inline_images(given, album, fetches_nothing)
        assert (caught.value.param, album.asked) == ("messages", [])
    else:
        await inline_images(given, album, fetches_nothing)
        assert len(album.asked) == MAX_IMAGES


async def test_url_that_the_provider_fetches_itself_stays() -> None:
    given = request({"role": "user", "content": [image(URL), image("https://files.example/1")]})
    album = Album()
    changed = await inline_images(given, album, lambda url: url.startswith("https://files.example/"))
    assert album.asked == [("messages[0].content[0].image_url.url", URL)]
    assert changed.messages[0].get("content")[1] == image("https://files.example/1")  # type: ignore[index]
