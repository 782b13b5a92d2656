"""OpenAI's legacy completions (API reference, "Create completion (Legacy)" and "The completion object")."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tollgate.adapters.clients.completions_request import CompletionsRequest, chat_request
from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.adapters.json_access import child, parse_object, text
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, NativeChunk, NativeCompletion
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.completions import COMPLETIONS
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import DONE, KEEP_ALIVE, encode
from tollgate.gateway.types import Json, Usage

MAX_VALUES = 220_000
"""Values of a request body: the most tokens of a prompt."""


class OpenAICompletions:
    """See `gateway.client_format.ClientFormat`."""

    operation = COMPLETIONS
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ChatRequest, Callable[[ResponseInfo], Encoder]]:
        """The request, translated, and as the client wrote it. Raises BadRequestError."""
        request = parse_json(headers, body, CompletionsRequest, MAX_VALUES)
        chat = chat_request(request)
        first = request.prompts[0]
        echoed = first if request.echo and isinstance(first, str) else ""
        return chat, partial(CompletionsEncoder, echoed=echoed, with_usage=chat.wants_usage_chunk)


class CompletionsEncoder:
    """`text_completion` objects. `echoed` is the prompt, if the client wants it before the text of a chat model."""

    media_type = "application/json"
    stream_media_type = "text/event-stream"
    keep_alive = KEEP_ALIVE

    def __init__(self, info: ResponseInfo, *, echoed: str = "", with_usage: bool = False) -> None:
        self._info = info
        self._echoed = echoed
        self._with_usage = with_usage
        self._begun: set[int] = set()

    def result(self, result: Completion, usage: Usage | None) -> bytes:
        """A `text_completion` object."""
        if isinstance(result, NativeCompletion):
            return dump({**result.body, **self._envelope()})
        choices = [self._choice(choice, child(dict(choice), "message")) for choice in result.choices]
        body = {**self._envelope(), "choices": choices}
        return dump(body if usage is None else {**body, "usage": usage.to_wire()})

    def chunk(self, chunk: Chunk) -> bytes:
        """An event with a piece of the text; nothing for a chunk without one."""
        if isinstance(chunk, NativeChunk):
            return encode({**parse_object(chunk.data), **self._envelope()})
        choices = [self._choice(choice, child(dict(choice), "delta")) for choice in chunk.choices]
        choices = [choice for choice in choices if choice["text"] or choice["finish_reason"]]
        return encode({**self._envelope(), "choices": choices}) if choices else b""

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """The usage, if it is requested and known; then `[DONE]`."""
        if not self._with_usage or usage is None:
            return DONE
        return encode({**self._envelope(), "choices": [], "usage": usage.to_wire()}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """An error event; no `[DONE]` follows it."""
        return encode(error_body(error))

    def _choice(self, choice: Json, message: Json) -> Json:
        index = choice["index"]
        echoed = "" if index in self._begun else self._echoed
        self._begun.add(index)
        return {
            "text": echoed + (text(message, "content") or ""),
            "index": index,
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }

    def _envelope(self) -> Json:
        return {
            "id": f"cmpl-{self._info.request_id.removeprefix('req_')}",
            "object": "text_completion",
            "created": self._info.created,
            "model": self._info.model,
        }
