"""OpenAI's Chat Completions (API reference, "Create chat completion"): the chat operation as most clients speak it."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from json.encoder import encode_basestring_ascii
from typing import Any

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, TextChunk, TextPlace
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import DONE, KEEP_ALIVE, encode
from tollgate.gateway.types import Json, Usage

_MARK = secrets.token_hex(16)
"""Stands for the text when what surrounds it is written. It is random, so that no provider's field contains it."""
_JSON_MARK = f'"{_MARK}"'.encode("ascii")


class OpenAIChat:
    """See `gateway.client_format.ClientFormat`."""

    operation = CHAT
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ChatRequest, Callable[[ResponseInfo], Encoder]]:
        """The request, with deprecated functions as tools. Raises BadRequestError."""
        request = parse_json(headers, body, ChatRequest)
        encoder = partial(ChatEncoder, with_usage=request.wants_usage_chunk, has_functions=request.has_functions)
        return with_tools(request), encoder


class ChatEncoder:
    """`chat.completion` and `chat.completion.chunk` objects with one id, one created and one model.

    `provider` is a field that OpenRouter's clients read (its API reference, "Chat completion"). With `has_functions` a
    tool call is written as the deprecated `function_call`.
    """

    media_type = "application/json"
    stream_media_type = "text/event-stream"
    keep_alive = KEEP_ALIVE

    def __init__(self, info: ResponseInfo, *, with_usage: bool = False, has_functions: bool = False) -> None:
        self._id = f"chatcmpl-{info.request_id.removeprefix('req_')}"
        self._info = info
        self._with_usage = with_usage
        self._has_functions = has_functions
        self._text_place: TextPlace | None = None
        self._around_text: list[bytes] = []

    def result(self, result: Completion, usage: Usage | None) -> bytes:
        """A `chat.completion` object."""
        body = self._object("chat.completion", result)
        if usage is not None:
            body["usage"] = usage.to_wire()
        return dump(body)

    def chunk(self, chunk: Chunk) -> bytes:
        """A `chat.completion.chunk` event; if usage is requested, every chunk but the last has `usage: null`."""
        if isinstance(chunk, TextChunk):
            return self._text_event(chunk)
        return encode(self._chunk_object(chunk))

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """The usage chunk, which has no choices, if it is requested and known; then `[DONE]`."""
        if not self._with_usage or usage is None:
            return DONE
        return encode({**self._object("chat.completion.chunk", Chunk(extra=extra)), "usage": usage.to_wire()}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """An error event; no `[DONE]` follows it."""
        return encode(error_body(error))

    def _chunk_object(self, chunk: Chunk) -> Json:
        body = self._object("chat.completion.chunk", chunk)
        if self._with_usage:
            body["usage"] = None
        return body

    def _text_event(self, chunk: TextChunk) -> bytes:
        """The event of a text chunk: what surrounds the text is nearly always the same as in the chunk before it."""
        if chunk.place is not self._text_place:
            marked = encode(self._chunk_object(TextChunk(chunk.place, _MARK)))
            self._text_place, self._around_text = chunk.place, marked.split(_JSON_MARK)
        return encode_basestring_ascii(chunk.text).encode("ascii").join(self._around_text)

    def _object(self, kind: str, part: Completion | Chunk) -> Json:
        return {
            "id": self._id,
            "object": kind,
            "created": self._info.created,
            "model": self._info.model,
            "choices": [self._choice(choice) for choice in part.choices],
            **part.extra,
            "provider": self._info.provider,
        }

    def _choice(self, choice: Json) -> Json:
        """The choice with its reasoning under both names: DeepSeek's `reasoning_content`, OpenRouter's `reasoning`."""
        part_name = "delta" if "delta" in choice else "message"
        message = choice[part_name]
        if "reasoning_content" in message and "reasoning" not in message:
            choice = {**choice, part_name: {**message, "reasoning": message["reasoning_content"]}}
        return _with_function_call(choice, part_name) if self._has_functions else choice


def _with_function_call(choice: Json, part_name: str) -> Json:
    """The choice with its first tool call as the deprecated `function_call`, which has room for one."""
    message: Json = {**choice[part_name]}
    calls: list[Json] = message.pop("tool_calls", [])
    first = [call for call in calls if call.get("index", 0) == 0][:1]
    if first:
        message["function_call"] = first[0]["function"]
    is_called = choice.get("finish_reason") == "tool_calls"
    return {**choice, part_name: message, **({"finish_reason": "function_call"} if is_called else {})}
