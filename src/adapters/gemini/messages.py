"""Writes a conversation as contents and parts of the Gemini API.

Facts are from Google's "Gemini API reference", Content, and the guides "Function calling", "Thought signatures",
"Image understanding", "Audio understanding" and "Document processing".
"""

import re
from collections.abc import Sequence

from tollgate.adapters import tool_call_state
from tollgate.adapters.attachments import Attachment, read_attachment
from tollgate.adapters.cache_control import read_cache_control
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, parse_object, text
from tollgate.adapters.messages import MessageFormat
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

FORMAT = MessageFormat(
    assistant_role="model", content_field="parts", user_parts=("text", "image_url", "file", "input_audio")
)
THINKING_FORMAT = "google-gemini-v1"
"""OpenRouter's name for Gemini's signatures in `reasoning_details`."""
UNSIGNED = "skip_thought_signature_validator"
"""Google's placeholder for the signature of a call that no Gemini model made (guide "Thought signatures", FAQ)."""
FILES_URL = "https://generativelanguage.googleapis.com/"
"""Where Google stores uploaded files (Gemini API reference, "Files")."""

_INVALID_IN_NAMES = re.compile(r"^[^a-zA-Z_]|[^a-zA-Z0-9_.:-]")
_MAX_NAME_LENGTH = 128
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mp3"}
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH", "original": "MEDIA_RESOLUTION_HIGH",
}  # fmt: skip


def tool_name(name: str) -> str:
    """A tool's name as Google accepts it: it begins with a letter or an underscore."""
    return sanitize(name, _INVALID_IN_NAMES, _MAX_NAME_LENGTH)


def thinks_by_level(capabilities: Capabilities) -> bool:
    """Whether the model is Gemini 3 or later: these think by level and sign their calls, earlier ones by a budget."""
    return capabilities.thinking in ("adaptive", "always")


def sign_calls(contents: Sequence[Json]) -> None:
    """Add a signature to each step's first call in the current turn: models that check signatures require one.

    A turn begins with a user message that is not a tool result; a step is the calls of one response.
    """
    for content in reversed(contents):
        parts: list[Json] = content["parts"]
        if content["role"] == "user" and not any("functionResponse" in part for part in parts):
            return
        for part in [part for part in parts if "functionCall" in part][:1]:
            part.setdefault("thoughtSignature", UNSIGNED)


class GeminiBlocks:
    """See `adapters.messages.BlockWriter`; blocks are Gemini's parts."""

    def __init__(self, capabilities: Capabilities, dropped: DroppedParams) -> None:
        self._capabilities = capabilities
        self._dropped = dropped
        self._by_level = thinks_by_level(capabilities)
        self._image_details: set[str] = set()

    def media_resolution(self) -> str | None:
        """Google's value for the `detail` of all images; None if they differ, because the API has one for all."""
        if self._image_details <= {"auto"}:
            return None
        resolutions = {_RESOLUTIONS.get(detail) for detail in self._image_details}
        if len(resolutions) > 1 or None in resolutions:
            self._dropped.drop("image_url.detail")
            return None
        return resolutions.pop()

    def text(self, value: str, part: Json) -> list[Json]:
        """See BlockWriter. The API caches by itself and has no cache breakpoints."""
        if read_cache_control(part) is not None:
            self._dropped.drop("cache_control")
        return [{"text": value}]

    def file(self, part: Json, path: str) -> list[Json]:
        """See BlockWriter."""
        if part["type"] == "image_url":
            return [self._image(child(part, "image_url"), f"{path}.image_url.url")]
        if part["type"] == "input_audio":
            return [_audio(child(part, "input_audio"), f"{path}.input_audio")]
        return [_document(child(part, "file"), f"{path}.file")]

    def tool_call(self, call: Json, name: str, native_id: str, arguments: Json) -> Json:
        """See BlockWriter. A signature comes back in Google's own field, or else in the id."""
        part: Json = {"functionCall": {**self._id(native_id), "name": tool_name(name), "args": arguments}}
        google = child(child(call, "extra_content"), "google")
        in_id = tool_call_state.read_state(text(call, "id") or "", tool_call_state.GEMINI)
        signature = text(google, "thought_signature") or in_id
        if signature and self._capabilities.thinking != "none":
            part["thoughtSignature"] = signature
        return part

    def tool_result(self, name: str, native_id: str, content: list[Json]) -> list[Json]:
        """See BlockWriter. Images are part of the result from Gemini 3 on, and separate parts before."""
        output = "\n".join(part["text"] for part in content if "text" in part)
        media = [part for part in content if "text" not in part]
        result: Json = {**self._id(native_id), "name": tool_name(name), "response": _response(output)}
        if media and self._by_level:
            return [{"functionResponse": {**result, "parts": media}}]
        return [{"functionResponse": result}, *media]

    def thinking(self, details: Sequence[Json]) -> list[Json]:
        """See BlockWriter. Gemini does not take its thinking back."""
        return []

    def with_message_fields(self, blocks: list[Json], message: Json) -> list[Json]:
        """See BlockWriter. The signature of the assistant's text is on the last text."""
        texts = [part for part in blocks if "text" in part]
        for detail in children(message, "reasoning_details"):
            data = text(detail, "data")
            if texts and data and detail.get("format") == THINKING_FORMAT and self._capabilities.thinking != "none":
                texts[-1]["thoughtSignature"] = data
        return blocks

    def _id(self, native_id: str) -> Json:
        """The id of a call, from Gemini 3 on; before, a result is matched by its position."""
        return {"id": native_id} if self._by_level else {}

    def _image(self, image: Json, param: str) -> Json:
        self._image_details.add(text(image, "detail") or "auto")
        attachment = read_attachment(text(image, "url") or "", param)
        if attachment.url:
            return _file_data(attachment.url, param)
        if attachment.media_type not in _IMAGE_TYPES:
            message = f"'{param}' must be a PNG, JPEG, WebP or HEIC image."
            raise BadRequestError(message, param=param, code="invalid_value")
        return _inline_data(attachment)


def _audio(audio: Json, param: str) -> Json:
    media_type = _AUDIO_TYPES.get(text(audio, "format") or "")
    if media_type is None:
        message = f"'{param}.format' must be 'wav' or 'mp3'."
        raise BadRequestError(message, param=f"{param}.format", code="invalid_value")
    attachment = read_attachment(text(audio, "data") or "", f"{param}.data")
    if attachment.url:
        message = f"'{param}.data' must be base64 data."
        raise BadRequestError(message, param=f"{param}.data", code="invalid_value")
    return _inline_data(Attachment(media_type, attachment.data))


def _document(file: Json, param: str) -> Json:
    data = text(file, "file_data")
    if data is None:
        raise unsupported(f"{param}.file_id", "The gateway stores no files; send the content in file_data.")
    param = f"{param}.file_data"
    attachment = read_attachment(data, param)
    if attachment.url:
        return _file_data(attachment.url, param)
    if attachment.media_type.startswith("text/"):
        return _inline_data(Attachment("text/plain", attachment.data))
    if attachment.media_type != "application/pdf":
        raise unsupported(param, "The model supports PDF and text files only.")
    return _inline_data(attachment)


def _inline_data(attachment: Attachment) -> Json:
    return {"inlineData": {"mimeType": attachment.media_type, "data": attachment.data}}


def _file_data(url: str, param: str) -> Json:
    """A file that Google stores; it fetches no other URLs."""
    if not url.startswith(FILES_URL):
        message = f"'{param}' must be a data URL: the model does not fetch URLs."
        raise BadRequestError(message, param=param, code="invalid_value")
    return {"fileData": {"fileUri": url}}


def _response(output: str) -> Json:
    """A tool's output as the object that the API requires. A `$ref` in an object would refer to a missing part."""
    if '"$ref"' in output:
        return {"result": output}
    try:
        return parse_object(output)
    except UpstreamError:  # any other text
        return {"result": output}
