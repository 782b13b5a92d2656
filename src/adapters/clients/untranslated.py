"""What is read of a request that has no translation, so that admission can estimate its size."""

from typing import Any, cast

from tollgate.gateway.chat import MAX_PARTS
from tollgate.gateway.types import Json

_FILES = frozenset({
    "base64", "url", "file",
    "input_image", "input_file", "input_audio", "computer_screenshot", "image_generation_call",
})  # fmt: skip
"""Types of objects that are a file: Anthropic's sources of images and documents (API reference, "Messages", `source`),
and OpenAI's content parts and items ("Responses", `input`)."""


def whole_text(*values: Any) -> Json:
    """One user message with every text in these JSON values, and a part for each image, document or sound in them."""
    pieces: list[str] = []
    files = 0
    rest = [*values]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            pieces.append(value)
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, dict):
            fields = cast(Json, value)
            kind: Any = fields.get("type")
            if isinstance(kind, str) and kind in _FILES:
                files += 1
            else:
                rest += fields.values()
    text: Json = {"type": "text", "text": "\n".join(pieces)}
    return {"role": "user", "content": [text, *[{"type": "file"}] * min(files, MAX_PARTS - 1)]}
