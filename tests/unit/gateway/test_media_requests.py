"""Empty inputs and headers that cannot be true, in requests with files."""

import pytest

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.image_generation import ImageEditRequest
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.transcriptions import BYTES_PER_SECOND, seconds_of
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


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"image": [file(b"x"), file(b"")]}, "image[1]"), ({"image": [file(b"x")], "mask": file(b"")}, "mask")],
)
def test_empty_file_is_refused(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        ImageEditRequest.of({"model": "m", "prompt": "x", **fields}, from_text=True)
    assert raised.value.param == param


@pytest.mark.parametrize("value", ["", [""], [], ["a"] * 2049])
def test_empty_or_endless_moderation_is_refused(value: object) -> None:
    with pytest.raises(BadRequestError) as raised:
        ModerationsRequest.of({"input": value})
    assert (raised.value.param or "").startswith("input")
