"""The texts of requests and answers: each of them is converted, whatever the operation.

Images, sounds and files are no texts. Fields of an answer that repeat its text are left out: `logprobs` and
`reasoning_details`. What is sent is the translation of a request, so that no text of it is overlooked.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from tollgate.gateway.chat import ChatRequest, Chunk, Completion, NativeChunk, NativeCompletion, TextField
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json

Convert = Callable[[str], str]
Piece = tuple[TextField, int, str]
"""Where a text belongs, see `gateway.chat.TextPlace`, and the text."""
Req = TypeVar("Req")

_NO_TEXT = frozenset({
    "role", "type", "id", "tool_call_id", "index", "signature", "data", "image_url", "input_audio", "file",
})  # fmt: skip
"""Fields of a message and of its parts that are identifiers, signatures or files."""
_WITH_FILES = ("messages", "input")
_OF_TOKENS = ("input", "prompt")
"""Fields that may have tokens in place of texts."""
OF_CHOICE = ("index", "finish_reason", "native_finish_reason")
_OF_MESSAGE = ("role", "images")
"""Fields of a choice and of its message that are kept."""
_TEXTS: Mapping[str, TextField] = {
    "reasoning": "reasoning_content",
    "reasoning_content": "reasoning_content",
    "content": "content",
    "refusal": "refusal",
}
"""Fields with text, and the one name under which each is kept."""
_KEPT = ("service_tier", "system_fingerprint")


def translated(request: Req) -> Req:
    """The request without the client's own body, unless it is a legacy completion: no provider gets what is unknown."""
    native = request.native if isinstance(request, ChatRequest) else None
    if native is None or native.api == "completions":
        return request
    return cast(Req, replace(cast(ChatRequest, request), native=dataclasses.replace(native, api=None)))


def convert_request(request: Req, fields: Sequence[str], convert: Convert) -> Req:
    """The request with each of its texts converted. Raises BadRequestError for tokens, which nobody here can read."""
    request = translated(request)
    assert isinstance(request, RequestBody)
    changed: Json = {"extra": _converted(request.extra, convert)}
    for name in fields:
        value = getattr(request, name)
        _refuse_tokens(name, value)
        changed[name] = _converted(value, convert, _NO_TEXT if name in _WITH_FILES else frozenset())
    native = request.native if isinstance(request, ChatRequest) else None
    if native is not None and native.api == "completions":
        _refuse_tokens("prompt", native.body["prompt"])
        changed["native"] = dataclasses.replace(native, body=_converted(native.body, convert))
    return cast(Req, replace(request, **changed))


def convert_answer(result: Any, convert: Convert) -> Any:
    """A whole answer with each of its texts converted; an answer that is no text as it is."""
    if isinstance(result, Completion):
        if isinstance(result, NativeCompletion):
            return NativeCompletion(result, _legacy_body(result.body, convert))
        return Completion(
            [_whole_choice(each, convert) for each in result.choices], result.usage, _only(_KEPT, result.extra)
        )
    body: Any = getattr(result, "body", None)
    if body is None:
        return result
    if isinstance(body, dict):  # a transcript; its words and segments repeat the text
        body = {name: value for name, value in cast(Json, body).items() if not isinstance(value, list)}
    return dataclasses.replace(result, body=_converted(body, convert))


def blocked_answer(result: Any, reason: str) -> Completion | None:
    """The answer with this reason in place of its text; None if it has no field for one."""
    if not isinstance(result, Completion):
        return None
    choices = [
        {"index": each.get("index", 0), "message": {"role": "assistant", "content": None, "refusal": reason}}
        for each in result.choices
    ]
    ended = [{**choice, "finish_reason": "content_filter"} for choice in choices]
    if not isinstance(result, NativeCompletion):
        return Completion(ended, result.usage, _only(_KEPT, result.extra))
    legacy = [
        {"index": each["index"], "text": "", "logprobs": None, "finish_reason": "content_filter"} for each in choices
    ]
    kept = _only(("usage", *_KEPT), result.body)
    return NativeCompletion(Completion(ended, result.usage), {**kept, "choices": legacy})


def split_choice(choice: Json) -> tuple[Json | None, list[Piece]]:
    """What else a choice of a chunk has than text, None if nothing; and its texts."""
    delta: Json = choice.get("delta") or {}
    kept = _only(_OF_MESSAGE, delta)
    texts: dict[TextField, Any] = {known: delta[name] for name, known in _TEXTS.items() if delta.get(name)}
    pieces: list[Piece] = [(name, 0, text) for name, text in texts.items() if isinstance(text, str)]
    starts: list[Json] = []
    for call in cast("list[Json]", delta.get("tool_calls") or []):
        function: Json = call.get("function") or {}
        index = call.get("index") or 0
        if call.get("id") or function.get("name"):
            starts.append({**call, "function": {**function, "arguments": ""}})
        if arguments := function.get("arguments"):
            pieces.append(("arguments", index, arguments))
    if starts:
        kept["tool_calls"] = starts
    reasons = {name: choice[name] for name in OF_CHOICE if choice.get(name) is not None}
    if not kept and "finish_reason" not in reasons:
        return None, pieces
    return {"index": 0, **reasons, "delta": kept, "finish_reason": choice.get("finish_reason")}, pieces


def as_chat(chunk: Chunk) -> Chunk:
    """The chunk as one of chat, if it is an event of a legacy completion."""
    if not isinstance(chunk, NativeChunk):
        return Chunk(chunk.choices, extra=_only(_KEPT, chunk.extra))
    choices: list[Json] = json.loads(chunk.data).get("choices") or []
    return Chunk([{**choice, "delta": {"content": choice.get("text")}} for choice in choices])


def _only(names: Sequence[str], fields: Mapping[str, Any]) -> Json:
    return {name: fields[name] for name in names if name in fields}


def _whole_choice(choice: Json, convert: Convert) -> Json:
    message: Json = choice.get("message") or {}
    texts = {known: _converted(message[name], convert) for name, known in _TEXTS.items() if name in message}
    if calls := message.get("tool_calls"):
        texts["tool_calls"] = _converted(calls, convert, _NO_TEXT)
    return {**_only(OF_CHOICE, choice), "message": {**_only(_OF_MESSAGE, message), **texts}}


def _legacy_body(body: Json, convert: Convert) -> Json:
    choices = [
        {**_only(OF_CHOICE, choice), "text": convert(choice.get("text") or ""), "logprobs": None}
        for choice in body.get("choices", ())
    ]
    return {**_only(("usage", *_KEPT), body), "choices": choices}


def _refuse_tokens(name: str, value: Any) -> None:
    items = cast("list[Any]", value) if isinstance(value, list) and name in _OF_TOKENS else []
    if any(isinstance(item, int | list) for item in items):
        text = "A guardrail of this gateway checks the request, and it cannot read tokens: send texts."
        raise BadRequestError(text, param=name, code="unsupported_value")


def _converted(value: Any, convert: Convert, without: frozenset[str] = frozenset()) -> Any:
    """A JSON value with each of its texts converted, but those in fields with such a name."""
    if isinstance(value, str):
        return convert(value)
    if isinstance(value, list):
        return [_converted(item, convert, without) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        fields = cast(Json, value)
        return {
            name: inner if name in without else _converted(inner, convert, without) for name, inner in fields.items()
        }
    return value
