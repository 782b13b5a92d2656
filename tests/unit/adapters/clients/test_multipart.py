"""Forms: what is read of them, what they may cost, and how they are written again."""

import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters.clients.multipart import MAX_PARTS, read_form
from tollgate.adapters.form_data import encode_form
from tollgate.gateway.errors import BadRequestError, UnsupportedMediaTypeError
from tollgate.gateway.types import Json
from tollgate.gateway.uploads import File

HEADERS = {"content-type": "multipart/form-data; boundary=b"}


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: form-data; {disposition}", *headers])
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def refusal(body: bytes, headers: Mapping[str, str] = HEADERS) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        read_form(headers, body)
    return caught.value


def plain(fields: Json) -> Json:
    """The fields, with files as what can be compared."""

    def of(value: Any) -> Any:
        return (value.name, value.content_type, bytes(value.content)) if isinstance(value, File) else value

    return {name: of(value) for name, value in fields.items()}


def test_fields_are_text_and_files_keep_name_and_type() -> None:
    body = form(
        part('name="model"', b"whisper-1"),
        part('name="file"; filename="\u00e4 %22.mp3"', b"\r\n--\r\n--bb\x00", "Content-Type: audio/mpeg"),
        part('name="prompt"', "\u00e4".encode()),
        part('name="empty"', b""),
    )
    assert plain(read_form(HEADERS, body)) == {
        "model": "whisper-1",
        "file": ("\u00e4 %22.mp3", "audio/mpeg", b"\r\n--\r\n--bb\x00"),
        "prompt": "\u00e4",
        "empty": "",
    }


def test_file_name_in_an_extended_parameter_is_ignored() -> None:
    """RFC 7578, section 4.2: `filename*` must not be used, so a part with it alone is no file."""
    extended = "filename*=UTF-8''other.mp3"
    body = form(part(f'name="file"; filename="a.mp3"; {extended}', b"1"), part(f'name="text"; {extended}', b"2"))
    assert plain(read_form(HEADERS, body)) == {"file": ("a.mp3", "application/octet-stream", b"1"), "text": "2"}


def test_fields_that_are_repeated_are_lists() -> None:
    body = form(part('name="a[]"', b"1"), part('name="a"', b"2"), part('name="b[]"', b"3"), part('name="c"', b"4"))
    fields = read_form(HEADERS, form(body[:-7], part('name="c"', b"5")), {"a"})
    assert fields == {"a": ["1", "2"], "b[]": "3", "c": ["4", "5"]}


def test_a_file_is_a_view_of_the_body() -> None:
    body = form(part('name="file"; filename="f"', b"x" * 4_000_000))
    read_form(HEADERS, body)  # imports the parser
    tracemalloc.start()
    try:
        fields = read_form(HEADERS, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(fields["file"].content) == 4_000_000
    assert peak < 100_000


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=b", "\u20ac; boundary=b"])
def test_another_content_type_is_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        read_form({"content-type": content_type}, form())


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 5000}"],
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    assert refusal(form(), {"content-type": content_type}).code == "invalid_form"


FIELD = part('name="a"', b"1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        FIELD,
        FIELD + b"--b\r\n",
        form(FIELD)[:-5],
        form(FIELD).replace(b"--b", b"--c"),
        form(FIELD * (MAX_PARTS + 1)),
        form(part('filename="f"', b"1")),
        form(b"--b\r\n\r\n1\r\n"),
        form(part('name="a"', b"1", "x: " + "y" * 100_000)),
        form(part('name="a"', b"1", *(f"x{number}: y" for number in range(100)))),
        form(part('name="a"', b"1", "bad header")),
        b"--b\r\n" + b"x" * 1_000_000,
    ],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_form"


def test_text_that_is_not_utf8_names_its_field() -> None:
    assert refusal(form(part('name="file"', b"\xff"))).param == "file"


def test_what_is_malformed_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    refusal(form(part('name="a"', b"1", "secr\x00t: x")))
    assert not caplog.records


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for candidate in (body, form(body), form(part('name="a"; filename="f"', body))):
        with suppress(BadRequestError):
            read_form(HEADERS, candidate)


def test_a_written_form_is_read_as_it_was() -> None:
    file = File('a"b\r\nc.mp3', "audio/mpeg\nx: y", memoryview(b"\x00\r\n--"))
    fields = {"file": file, "n": 2, "on": True, "t": 0.5, "list": ["1", "\u00e4"], "x[y]": ["1", "2"], "text": "a\r\nb"}
    body, headers = encode_form(fields)
    assert plain(read_form(headers, body, {"list"})) == {
        "file": ("a%22b%0D%0Ac.mp3", "application/octet-stream", b"\x00\r\n--"),
        "n": "2",
        "on": "true",
        "t": "0.5",
        "list": ["1", "\u00e4"],
        "x[y]": ["1", "2"],
        "text": "a\r\nb",
    }
