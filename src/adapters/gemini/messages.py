"""A conversation in Gemini's contents and parts.

Facts are from Google's "Gemini API reference", Content, and the guides "Function calling", "Thought signatures",
"Image understanding", "Audio understanding" and "Document processing".
"""

import re

from tollgate.adapters import tool_call_state
from tollgate.adapters.attachments import Attachment, read_attachment
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, parse_object, text
from tollgate.adapters.messages import Turns
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

THINKING_FORMAT = "google-gemini-v1"
"""OpenRouter's name for Gemini's signatures in `reasoning_details`."""
UNSIGNED = "skip_thought_signature_validator"
"""Google's stand-in for the signature of a call that no Gemini has made (guide "Thought signatures", FAQ)."""

_FOREIGN = re.compile(r"^[^a-zA-Z_]|[^a-zA-Z0-9_.:-]")
_LONGEST_NAME = 128
FILES = "https://generativelanguage.googleapis.com/"
"""Where Google keeps the files it was given (Gemini API reference, "Files")."""
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3"}
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH", "original": "MEDIA_RESOLUTION_HIGH",
}  # fmt: skip


def tool_name(name: str) -> str:
    """A tool's name in Google's alphabet, which begins with a letter or an underscore."""
    return sanitize(name, _FOREIGN, _LONGEST_NAME)


def thinks_by_level(model: Capabilities) -> bool:
    """Whether it is of Gemini 3 or later: these think by level and sign their calls, those before by a budget."""
    return model.thinking in ("adaptive", "always")


class Conversation(Turns):
    """See Turns; blocks are Gemini's parts."""

    assistant = "model"
    content = "parts"
    user_parts = (*Turns.user_parts, "input_audio")

    def __init__(self, capabilities: Capabilities, dropped: DroppedParams) -> None:
        super().__init__(capabilities, dropped, replay=False)  # summaries of thinking are not taken back
        self._by_level = thinks_by_level(capabilities)
        self._details: set[str] = set()

    def media_resolution(self) -> str | None:
        """Google's word for the `detail` of the images; it is one word for all, and for details that differ none."""
        if self._details <= {"auto"}:
            return None
        resolutions = {_RESOLUTIONS.get(detail) for detail in self._details}
        if len(resolutions) > 1 or None in resolutions:
            self.dropped.drop("image_url.detail")
            return None
        return resolutions.pop()

    def sign_calls(self) -> None:
        """Sign what a model that checks signatures would refuse unsigned: each step's first call in the turn going on.

        A turn begins with a user who says something; a step is the calls of one answer.
        """
        if not self._by_level:
            return
        for turn in reversed(self.messages):
            parts: list[Json] = turn["parts"]
            if turn["role"] == "user" and not any("functionResponse" in part for part in parts):
                return
            for part in [part for part in parts if "functionCall" in part][:1]:
                part.setdefault("thoughtSignature", UNSIGNED)

    def text_blocks(self, said: str, marked: Json) -> list[Json]:
        """See Turns. The API caches by itself, and has no marks for it."""
        if marked.get("cache_control") or marked.get("prompt_cache_breakpoint"):
            self.dropped.drop("cache_control")
        return [{"text": said}]

    def file_blocks(self, part: Json, place: str) -> list[Json]:
        """See Turns."""
        if part["type"] == "image_url":
            return [self._image(child(part, "image_url"), f"{place}.image_url.url")]
        if part["type"] == "input_audio":
            return [_sound(child(part, "input_audio"), f"{place}.input_audio")]
        return [_document(child(part, "file"), f"{place}.file")]

    def call_block(self, call: Json, name: str, native_id: str, given: Json) -> Json:
        """See Turns; a signature comes back in Google's own field, or else in the id."""
        block: Json = {"functionCall": {**self._id(native_id), "name": tool_name(name), "args": given}}
        google = child(child(call, "extra_content"), "google")
        signature = text(google, "thought_signature") or tool_call_state.read_state(
            text(call, "id") or "", tool_call_state.GEMINI
        )
        if signature and self.capabilities.thinking != "none":
            block["thoughtSignature"] = signature
        return block

    def result_blocks(self, name: str, native_id: str, blocks: list[Json]) -> list[Json]:
        """See Turns; images in a result are part of it from Gemini 3 on, and beside it before."""
        said = "\n".join(block["text"] for block in blocks if "text" in block)
        media = [block for block in blocks if "text" not in block]
        result: Json = {**self._id(native_id), "name": tool_name(name), "response": _response(said)}
        if media and self._by_level:
            return [{"functionResponse": {**result, "parts": media}}]
        return [{"functionResponse": result}, *media]

    def mark(self, blocks: list[Json], message: Json) -> list[Json]:
        """See Turns; the only mark here is the signature of what the assistant said, on the last of its texts."""
        said = [block for block in blocks if "text" in block]
        for detail in children(message, "reasoning_details"):
            data = text(detail, "data")
            if said and data and detail.get("format") == THINKING_FORMAT and self.capabilities.thinking != "none":
                said[-1]["thoughtSignature"] = data
        return blocks

    def _id(self, native_id: str) -> Json:
        """Ids are of Gemini 3 and later; before, a result is known by its place."""
        return {"id": native_id} if self._by_level else {}

    def _image(self, image: Json, param: str) -> Json:
        self._details.add(text(image, "detail") or "auto")
        attachment = read_attachment(text(image, "url") or "", param)
        if attachment.url:
            return _file(attachment.url, param)
        if attachment.media_type not in _IMAGES:
            raise BadRequestError(f"'{param}' is no PNG, JPEG, WebP or HEIC image.", param=param, code="invalid_value")
        return _inline(attachment)


def _sound(audio: Json, param: str) -> Json:
    media_type = _SOUNDS.get(text(audio, "format") or "")
    if media_type is None:
        raise BadRequestError(f"'{param}' is no wav or mp3.", param=f"{param}.format", code="invalid_value")
    attachment = read_attachment(text(audio, "data") or "", f"{param}.data")
    if attachment.url:
        raise BadRequestError("Sound is sent as base64.", param=f"{param}.data", code="invalid_value")
    return _inline(Attachment(media_type, attachment.data))


def _document(file: Json, param: str) -> Json:
    given = text(file, "file_data")
    if given is None:
        raise unsupported(f"{param}.file_id", "Files are not stored here; send the file itself in file_data.")
    param = f"{param}.file_data"
    attachment = read_attachment(given, param)
    if attachment.url:
        return _file(attachment.url, param)
    if attachment.media_type.startswith("text/"):
        return _inline(Attachment("text/plain", attachment.data))
    if attachment.media_type != "application/pdf":
        raise unsupported(param, "The model reads PDF files and texts only.")
    return _inline(attachment)


def _inline(attachment: Attachment) -> Json:
    return {"inlineData": {"mimeType": attachment.media_type, "data": attachment.data}}


def _file(url: str, param: str) -> Json:
    """A file that Google itself keeps; it fetches no others."""
    if not url.startswith(FILES):
        raise BadRequestError(
            f"'{param}' must be a data URL: the model fetches none.", param=param, code="invalid_value"
        )
    return {"fileData": {"fileUri": url}}


def _response(said: str) -> Json:
    """What a tool answered, as the object it must be. In one, `$ref` would name a part that is not there."""
    if '"$ref"' in said:
        return {"result": said}
    try:
        return parse_object(said)
    except UpstreamError:  # any other text
        return {"result": said}
