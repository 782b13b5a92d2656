"""One attempt at a chat completion by the echo provider, which repeats the last user message and needs no network.

Its wire format is JSON lines: one word per line, then the finish reason and the usage. The network layer returns the
request's own body as the response. A word counts as a token, so that the usage is exact.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.params import ParamReader, is_neutral
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, Message
from tollgate.gateway.errors import BadRequestError, GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import UpstreamRequest, Usage

_PIECE = re.compile(r"\s+|\S+")
_DROPPED = ("temperature", "top_p", "top_k", "reasoning_effort", "reasoning", "include_reasoning", "thinking")
"""Parameters that every family reads itself and that have no effect here."""


def fetches_url(url: str) -> bool:
    """Whether the provider fetches an image from this URL: it ignores images."""
    return True


class ChatCall:
    """See `gateway.ports.ProviderCall`. Raises BadRequestError for tools, JSON, log probabilities and choices."""

    def __init__(self, request: ChatRequest, route: Route) -> None:
        self.request = _build_request(request, route)

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """See ProviderCall. The provider does not fail, so this is an error of the network layer."""
        return UpstreamError(f"The echo provider returned HTTP status {status}.")

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        stream = self.open_stream()
        chunks = [*stream.feed(body), *stream.close()]
        words = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk.choices]
        message = {"role": "assistant", "content": "".join(words), "refusal": None}
        finish_reason = chunks[-1].choices[0]["finish_reason"]
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        return Completion([choice], chunks[-1].usage)

    def open_stream(self) -> "EchoStream":
        """See ProviderCall."""
        return EchoStream()


class EchoStream:
    """See `gateway.ports.StreamParser`."""

    grace = None

    def __init__(self) -> None:
        self.done = False
        self._has_begun = False
        self._partial_line = b""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser. The terminal marker is the line with the usage."""
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        for line in lines:
            yield self._chunk(json.loads(line))

    def close(self) -> Iterator[Chunk]:
        """See StreamParser."""
        if not self.done:
            message = "The echo provider's stream was cut off before the response was complete."
            raise UpstreamError(message, code="stream_truncated")
        yield from ()

    def _chunk(self, line: Any) -> Chunk:
        role = {} if self._has_begun else {"role": "assistant", "content": ""}
        self._has_begun = True
        if isinstance(line, str):
            return Chunk([{"index": 0, "delta": {**role, "content": line}, "logprobs": None, "finish_reason": None}])
        self.done = True
        input_tokens, output_tokens = line["usage"]
        choice = {"index": 0, "delta": role, "logprobs": None, "finish_reason": line["finish_reason"]}
        return Chunk([choice], Usage(input_tokens=input_tokens, output_tokens=output_tokens))


def _build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """A request whose body is the whole response."""
    dropped = _check_params(request, route)
    last = next((_text(message) for message in reversed(request.messages) if message["role"] == "user"), "")
    words = _words(_until_stop(last, request.stop))
    output = words[: request.output_limit]
    input_tokens = sum(len(_text(message).split()) for message in request.messages)
    finish_reason = "stop" if output == words else "length"
    lines: list[Any] = [*output, {"finish_reason": finish_reason, "usage": [input_tokens, len(output)]}]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    headers = {"content-type": "application/jsonl"}
    return UpstreamRequest("echo://local/", body.encode("ascii"), headers, dropped=dropped)


def _check_params(request: ChatRequest, route: Route) -> tuple[str, ...]:
    """The names of the parameters that are dropped."""
    if request.n is not None and request.n > 1:
        raise BadRequestError("The echo provider supports one choice only.", param="n", code="unsupported_value")
    params = ParamReader(request, route.model.capabilities)
    params.drop_unsupported(frozenset())
    if request.tool_choice not in (None, "auto", "none"):
        raise unsupported("tool_choice")
    if (request.response_format or {}).get("type", "text") != "text":
        raise unsupported("response_format")
    for name in _DROPPED:
        if not is_neutral(name, params.fields.get(name)):
            params.dropped.drop(name)
    return params.dropped.names


def _until_stop(content: str, stop: str | list[str] | None) -> str:
    """The text before the first stop sequence."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    positions = [position for sequence in sequences if sequence and (position := content.find(sequence)) >= 0]
    return content[: min(positions)] if positions else content


def _words(content: str) -> list[str]:
    """The words, each with the white space before it."""
    words, space = list[str](), ""
    for piece in _PIECE.findall(content):
        if piece.isspace():
            space = piece
        else:
            words.append(space + piece)
            space = ""
    return words


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or "" for part in content or [])
