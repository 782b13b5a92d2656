"""Puts images that are named by URL into the request, for providers that do not fetch them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from tollgate.gateway.chat import ChatRequest, Message
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.ports import Images

MAX_IMAGES = 20


class FetchedOnce:
    """The images of one request: each is fetched once, however many attempts need it."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._fetched: dict[str, str] = {}

    async def fetch_all(self, requested: Sequence[tuple[str, str]]) -> Sequence[str]:
        """See `gateway.ports.Images`."""
        missing = [(place, url) for place, url in requested if url not in self._fetched]
        if missing:
            data = await self._images.fetch_all(missing)
            self._fetched.update(zip((url for _, url in missing), data, strict=True))
        return [self._fetched[url] for _, url in requested]


async def inline_images(request: ChatRequest, images: Images, fetches_url: Callable[[str], bool]) -> ChatRequest:
    """The request with the image in place of each URL that the provider does not fetch itself.

    Raises BadRequestError, naming the part, if an image cannot be fetched.
    """
    requested = [(place, url) for place, url in _image_urls(request) if not fetches_url(url)]
    if len(requested) > MAX_IMAGES:
        raise BadRequestError(f"At most {MAX_IMAGES} images are fetched for a request.", param="messages")
    if not requested:
        return request
    places = [place for place, _ in requested]
    fetched = dict(zip(places, await images.fetch_all(requested), strict=True))
    messages = [_with(message, f"messages[{i}]", fetched) for i, message in enumerate(request.messages)]
    return request.with_fields(messages=messages)


def _image_urls(request: ChatRequest) -> Iterator[tuple[str, str]]:
    """The path of each image that is named by URL, and its URL."""
    for i, message in enumerate(request.messages):
        content = message.get("content")
        for j, part in enumerate(content if isinstance(content, list) else []):
            url = (part.get("image_url") or {}).get("url") if part["type"] == "image_url" else None
            if isinstance(url, str) and url[:4].lower() == "http":
                yield f"messages[{i}].content[{j}].image_url.url", url


def _with(message: Message, place: str, fetched: Mapping[str, str]) -> Message:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = list(content)
    for j, part in enumerate(parts):
        data = fetched.get(f"{place}.content[{j}].image_url.url")
        if data is not None:
            parts[j] = {**part, "image_url": {**(part.get("image_url") or {}), "url": data}}
    return {**message, "content": parts}
