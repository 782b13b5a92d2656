"""The echo family: a provider that needs no network, no key and no luck. It says the last user message back.

Its wire is JSON lines, one word a line and then the usage; the way out returns the request's own body as the answer.
A word counts as a token, so its usage is right to the last digit.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tollgate.adapters import params
from tollgate.adapters.dropped_params import unsupported
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, Message
from tollgate.gateway.errors import BadRequestError, GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import UpstreamRequest, Usage

_PIECE = re.compile(r"\s+|\S+")
_DROPPED = ("temperature", "top_p", "top_k", "reasoning_effort", "reasoning", "include_reasoning", "thinking")
"""Of the fields that every family answers for by itself, those that tune what is not tuned here."""


def fetches_url(url: str) -> bool:
    """It looks at none."""
    return True


def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """The whole answer, written down beforehand.

    Raises BadRequestError for what would change the answer and is not done: it calls no tool, forms no JSON, knows no
    probabilities and gives one choice.
    """
    dropped = _checked(request, route)
    said = next((_text(message) for message in reversed(request.messages) if message["role"] == "user"), "")
    words = _words(_until(said, request.stop))
    kept = words[: request.output_limit]
    lines: list[Any] = [*kept]
    heard = sum(len(_text(message).split()) for message in request.messages)
    lines.append({"finish_reason": "stop" if kept == words else "length", "usage": [heard, len(kept)]})
    body = "".join(json.dumps(line) + "\n" for line in lines)
    headers = {"content-type": "application/jsonl"}
    return UpstreamRequest("echo://local/", body.encode("ascii"), headers, dropped=dropped)


def _checked(request: ChatRequest, route: Route) -> tuple[str, ...]:
    """What of the request is dropped."""
    if request.n is not None and request.n > 1:
        raise BadRequestError("The echo provider gives one choice only.", param="n", code="unsupported_value")
    ask = params.read(request, route, frozenset())
    if request.tool_choice not in (None, "auto", "none"):
        raise unsupported("tool_choice")
    if (request.response_format or {}).get("type", "text") != "text":
        raise unsupported("response_format")
    for name in _DROPPED:
        if not params.is_neutral(name, ask.given.get(name)):
            ask.dropped.drop(name)
    return ask.dropped.names


def _until(said: str, stop: str | list[str] | None) -> str:
    """The text up to the first stop sequence in it."""
    sequences = [stop] if isinstance(stop, str) else stop or []
    places = [place for sequence in sequences if sequence and (place := said.find(sequence)) >= 0]
    return said[: min(places)] if places else said


def _words(said: str) -> list[str]:
    """The words, each with the white space before it."""
    words, space = list[str](), ""
    for piece in _PIECE.findall(said):
        if piece.isspace():
            space = piece
        else:
            words.append(space + piece)
            space = ""
    return words


def parse_response(body: bytes) -> Completion:
    """The words of the whole response, joined."""
    parser = EchoStream()
    chunks = [*parser.feed(body), *parser.close()]
    words = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk.choices]
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": chunks[-1].choices[0]["finish_reason"], "logprobs": None}
    return Completion([choice], chunks[-1].usage)


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Echo does not fail; if it does, the way out is at fault."""
    return UpstreamError(f"The echo provider answered with HTTP status {status}.")


class ChatCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(parse_error)
    parse_response = staticmethod(parse_response)

    def __init__(self, request: ChatRequest, route: Route) -> None:
        self.request = build_request(request, route)

    def open_stream(self) -> "EchoStream":
        """See ProviderCall."""
        return EchoStream()


class EchoStream:
    """One answer as its lines come."""

    grace = None

    def __init__(self) -> None:
        self.done = False
        self._begun = False
        self._partial = b""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser; the terminal marker is the line with the usage."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            yield self._line(json.loads(line))

    def close(self) -> Iterator[Chunk]:
        """See StreamParser."""
        if not self.done:
            raise UpstreamError("The echo was cut short.", code="stream_truncated")
        yield from ()

    def _line(self, line: Any) -> Chunk:
        role = {} if self._begun else {"role": "assistant", "content": ""}
        self._begun = True
        if isinstance(line, str):
            return Chunk([{"index": 0, "delta": {**role, "content": line}, "logprobs": None, "finish_reason": None}])
        self.done = True
        heard, spoken = line["usage"]
        choice = {"index": 0, "delta": role, "logprobs": None, "finish_reason": line["finish_reason"]}
        return Chunk([choice], Usage(input_tokens=heard, output_tokens=spoken))


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or "" for part in content or [])
