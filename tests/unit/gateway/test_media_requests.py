"""Empty inputs and headers that cannot be true, in requests with files."""

import pytest

from support.families import route
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.image_generation import ImageEditRequest
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.transcriptions import BYTES_PER_SECOND, TRANSCRIPTIONS, TranscriptionRequest, seconds_of
from tollgate.gateway.types import Usage
from tollgate.gateway.uploads import File


def file(content: bytes) -> File:
    return File("a", "audio/wav", memoryview(content))


def wav(bytes_per_second: int, content: bytes) -> File:
    head = b"RIFF\0\0\0\0WAVEfmt " + bytes(12) + bytes_per_second.to_bytes(4, "little") + bytes(12)
    return file(head + content)


@pytest.mark.parametrize(("stated", "seconds"), [(32_000, 10), (192_000, 2), (0, 80), (1, 80), (2**32 - 1, 80)])
def test_length_of_wav_is_its_headers_if_that_can_be_true(stated: int, seconds: int) -> None:
    assert seconds_of(wav(stated, bytes(320_000))) == seconds


def test_unknown_audio_is_as_long_as_speech_usually_is() -> None:
    assert seconds_of(file(bytes(44 + 10 * BYTES_PER_SECOND))) == 10


@pytest.mark.parametrize(("stream", "unfinished"), [("false", Usage(600, 450)), ("true", Usage(600))])
def test_transcription_by_tokens_reserves_its_text_too(stream: str, unfinished: Usage) -> None:
    fields = {"model": "m", "file": wav(32_000, bytes(60 * 32_000)), "stream": stream}
    request = TranscriptionRequest.of(fields, from_text=True)
    reservation = TRANSCRIPTIONS.reserve(request, route("openai"))
    assert (reservation.usual, reservation.unfinished) == (Usage(600, 450), unfinished)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"image": [file(b"x"), file(b"")]}, "image[1]"), ({"image": [file(b"x")], "mask": file(b"")}, "mask")],
)
def test_empty_file_is_refused(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        ImageEditRequest.of({"model": "m", "prompt": "x", **fields}, from_text=True)
    assert raised.value.param == param


IN_FORM: list[tuple[str, object, str]] = [
    ("n", "two", "it is not an integer"),
    ("temperature", "hot", "it is not a number"),
    ("stream", "maybe", "it is not true or false"),
    ("n", ["1", "2"], "it is given more than once"),
    ("prompt", file(b"x"), "it is a file"),
    ("user", file(b"x"), "it is a file"),
    ("mask", "x", "it is not a file: its part has no file name"),
    ("file", [file(b"x"), file(b"x")], "it is given more than once"),
]


@pytest.mark.parametrize(("name", "value", "reason"), IN_FORM)
def test_fault_of_a_form_is_said_in_its_own_terms(name: str, value: object, reason: str) -> None:
    request = TranscriptionRequest if name in ("temperature", "file") else ImageEditRequest
    fields = {"model": "m", "prompt": "x", "image": [file(b"x")], "file": file(b"x"), name: value}
    with pytest.raises(BadRequestError) as raised:
        request.of(fields, from_text=True)
    assert (raised.value.param, raised.value.message) == (name, f"Invalid value for '{name}': {reason}.")


@pytest.mark.parametrize("value", ["", [""], [], ["a"] * 2049])
def test_empty_or_endless_moderation_is_refused(value: object) -> None:
    with pytest.raises(BadRequestError) as raised:
        ModerationsRequest.of({"input": value})
    assert (raised.value.param or "").startswith("input")
