"""Images over OpenAI's API: what a response without usage is taken for."""

import json

import pytest

from support.families import route
from tollgate.adapters.openai.images import ImagesCall
from tollgate.gateway.image_generation import SOURCE_TOKENS, ImageEditRequest, ImagesRequest, expected_usage
from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.quirks import Dialect, Quirks
from tollgate.gateway.types import Usage
from tollgate.gateway.uploads import File


@pytest.mark.parametrize("returned", [1, 2, 3])
def test_uncounted_images_are_measured_by_how_many_come_back(returned: int) -> None:
    request = ImagesRequest.of({"model": "m", "prompt": "A gate", "n": 3, "quality": "low", "size": "1024x1024"})
    whole = expected_usage(request, route("openai")).output_tokens
    body = json.dumps({"data": [{"b64_json": "AA=="}] * returned}).encode()
    images = ImagesCall(request, route("openai")).parse_response(body)
    assert (images.usage, estimate_tokens(images.text_bytes)) == (None, whole * returned // 3)


def test_stream_is_not_requested_of_a_provider_that_has_none() -> None:
    request = ImagesRequest.of({"model": "m", "prompt": "A gate", "stream": True})
    quirks = Quirks(images=Dialect(unsupported=("stream",)))
    assert json.loads(ImagesCall(request, route("openai")).request.body)["stream"] is True
    assert "stream" not in json.loads(ImagesCall(request, route("openai", quirks)).request.body)


def test_images_of_the_prompt_are_counted_apart() -> None:
    file = File("a.png", "image/png", memoryview(b"x"))
    request = ImageEditRequest.of({"model": "m", "prompt": "Add snow", "image": [file, file]}, from_text=True)
    assert expected_usage(request, route("openai")).input_image_tokens == 2 * SOURCE_TOKENS
    counted = {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 9}
    body = json.dumps({"data": [{"b64_json": "AA=="}], "usage": counted}).encode()
    assert ImagesCall(request, route("openai")).parse_response(body).usage == Usage(50, 9, input_image_tokens=40)
