"""One attempt at a legacy completion by a provider that serves them (API reference, "Create completion (Legacy)")."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from tollgate.adapters.event_stream import EventStream, truncated
from tollgate.adapters.json_access import children, count, encode, parse_object, text
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, NativeChunk, NativeCompletion
from tollgate.gateway.completions import DEFAULT_MAX_TOKENS
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, utf8_length

_NOT_SENT = ("provider",)


class CompletionsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(error_from_response)

    def __init__(self, request: ChatRequest, route: Route) -> None:
        assert request.native is not None
        body = {name: value for name, value in request.native.body.items() if name not in _NOT_SENT}
        body["model"] = route.upstream_model
        if request.max_tokens is not None and request.max_tokens < body.get("max_tokens", DEFAULT_MAX_TOKENS):
            body["max_tokens"] = request.max_tokens
        if request.stream and route.provider.quirks.stream_usage:
            body["stream_options"] = {**(request.stream_options or {}), "include_usage": True}
        self._choices = _number_of_choices(body)
        url = f"{route.provider.base_url.rstrip('/')}/completions"
        self.request = UpstreamRequest(url, encode(body))

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        response = parse_object(body)
        raise_if_error(response)
        choices = [_choice(choice) for choice in children(response, "choices")]
        if not choices:
            raise UpstreamError("The provider's response has no choices.")
        return NativeCompletion(Completion(choices, read_usage(response)), response)

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return EventStream(CompletionsEvents(self._choices))


class CompletionsEvents:
    """See `adapters.event_stream.EventHandler`. Each event with a choice is one chunk; usage comes by itself.

    `choices` is the number requested: the choices of several prompts may come one after another.
    """

    def __init__(self, choices: int) -> None:
        self.done = False
        self._requested = choices
        self._has_ended: dict[int, bool] = {}  # of each choice that has begun, by its index

    def read(self, data: str) -> Iterable[Chunk]:
        """See EventHandler."""
        if data.strip() == "[DONE]":
            if not self._all_have_ended():
                raise truncated()
            self.done = True
            return ()
        event = parse_object(data)
        raise_if_error(event)
        choices, usage = children(event, "choices"), read_usage(event)
        if not choices:
            return () if usage is None else (Chunk(usage=usage),)
        reason = None
        for choice in choices:
            index, ends = count(choice, "index"), text(choice, "finish_reason")
            self._has_ended[index] = self._has_ended.get(index, False) or ends is not None
            reason = ends or reason
        length = sum(utf8_length(text(choice, "text") or "") for choice in choices)
        return (NativeChunk("", data, text_bytes=length, finish_reason=reason, usage=usage),)

    def finish(self) -> Iterator[Chunk]:
        """See EventHandler: nothing is left."""
        return iter(())

    def is_complete(self) -> bool:
        """See EventHandler."""
        return len(self._has_ended) >= self._requested and self._all_have_ended()

    def may_continue(self) -> bool:
        """See EventHandler."""
        return False

    def _all_have_ended(self) -> bool:
        return bool(self._has_ended) and all(self._has_ended.values())


def _number_of_choices(body: Json) -> int:
    """How many choices the response has: `n` for each prompt, which is a text, or tokens."""
    prompt: Any = body["prompt"]
    is_list_of_prompts = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return (len(cast("list[Any]", prompt)) if is_list_of_prompts else 1) * (body.get("n") or 1)


def _choice(choice: Json) -> Json:
    message = {"role": "assistant", "content": text(choice, "text") or ""}
    return {"index": choice.get("index", 0), "message": message, "finish_reason": choice.get("finish_reason")}
