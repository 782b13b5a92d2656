"""Images over OpenAI's API: what a response without usage is taken for."""

import json

import pytest

from support.families import route
from tollgate.adapters.openai.images import ImagesCall
from tollgate.gateway.image_generation import ImagesRequest, expected_usage
from tollgate.gateway.metering import estimate_tokens


@pytest.mark.parametrize("returned", [1, 2, 3])
def test_uncounted_images_are_measured_by_how_many_come_back(returned: int) -> None:
    request = ImagesRequest.of({"model": "m", "prompt": "A gate", "n": 3, "quality": "low", "size": "1024x1024"})
    whole = expected_usage(request, route("openai")).output_tokens
    body = json.dumps({"data": [{"b64_json": "AA=="}] * returned}).encode()
    images = ImagesCall(request, route("openai")).parse_response(body)
    assert (images.usage, estimate_tokens(images.text_bytes)) == (None, whole * returned // 3)
