"""Requests without a translation: files in them are estimated as files and not as text."""

from typing import Any

import pytest

from support.families import route
from tollgate.adapters.clients.untranslated import whole_text
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_estimate import IMAGE_TOKENS, estimate_usage, prompt_bytes

DATA = "iVBORw0K" * 100_000
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
TEXT = {"type": "text", "text": "12345678" * 1000}


@pytest.mark.parametrize(
    ("value", "files", "text_tokens"),
    [
        ([{"role": "user", "content": [IMAGE, TEXT]}], 1, 2000),
        ([{"type": "tool_result", "content": [IMAGE, IMAGE]}], 2, 0),
        ([{"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}}], 1, 0),
        ([{"type": "document", "source": {"type": "text", "data": "12345678" * 1000}}], 0, 2000),
        ([{"type": "input_image", "image_url": "data:image/png;base64," + DATA}, TEXT], 1, 2000),
        ([{"type": "input_file", "file_data": DATA}], 1, 0),
        ([{"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": DATA}}], 1, 0),
        ("data:image/png;base64," + DATA, 0, 200_000),
    ],
)
def test_files_are_estimated_as_in_chat(value: Any, files: int, text_tokens: int) -> None:
    request = ChatRequest.of({"model": "m", "messages": [whole_text(value)]})
    expected = text_tokens + files * IMAGE_TOKENS
    assert expected <= estimate_usage(request, route("openai").model).input_tokens <= expected + 50
    assert prompt_bytes(request) < 4 * expected + 200


def test_many_files_are_no_error() -> None:
    assert ChatRequest.of({"model": "m", "messages": [whole_text([IMAGE] * 10_000)]})
