"""HTTP requests: the key in the headers, and the body within its size limit."""

from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.types import Message

from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway.errors import AuthenticationError, RequestTooLargeError
from tollgate.gateway.keys import generate
from tollgate.handler.http.requests import read_body
from tollgate.handler.settings import Settings

MAX_BODY_BYTES = 6 * 1024 * 1024
APP = SimpleNamespace(components=SimpleNamespace(settings=Settings(max_body_bytes=MAX_BODY_BYTES)))
KEY, _ = generate(lambda count: b"k" * count)


def request(*pieces: bytes, **headers: str) -> Request:
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    header_list = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": header_list, "app": APP}, receive)


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY}", f"Bearer {KEY} "])
def test_key_is_read_from_the_authorization_header(value: str) -> None:
    assert bearer_key(request(authorization=value).headers) == KEY


@pytest.mark.parametrize(
    "form", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer{}", "Bearer\t{}", "\xe9", "Bearer sk-1"]
)
def test_invalid_authorization_header_is_refused(form: str) -> None:
    with pytest.raises(AuthenticationError):
        bearer_key(request(authorization=form.format(KEY)).headers)


def test_missing_authorization_header_is_refused() -> None:
    with pytest.raises(AuthenticationError):
        bearer_key(request().headers)


async def test_body_is_joined_from_its_pieces() -> None:
    assert await read_body(request(b"ab", b"", b"c")) == b"abc"


async def test_body_at_the_limit_is_read_and_one_byte_more_is_refused() -> None:
    full = bytes(MAX_BODY_BYTES)
    assert await read_body(request(full, content_length=str(len(full)))) == full
    with pytest.raises(RequestTooLargeError):
        await read_body(request(full, b"x"))


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 5000])
async def test_body_with_a_declared_length_above_the_limit_is_refused_unread(length: str) -> None:
    with pytest.raises(RequestTooLargeError, match="6 MB"):
        await read_body(request(content_length=length))


@pytest.mark.parametrize("length", ["", "-1", "x", "\xb2", "0", "0x7fffffff"])
async def test_wrong_or_invalid_content_length_is_ignored(length: str) -> None:
    assert await read_body(request(b"abc", content_length=length)) == b"abc"
