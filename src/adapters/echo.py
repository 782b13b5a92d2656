"""The echo family: a provider that needs no network, no key and no luck. It says the last user message back.

Its wire is JSON lines, one word a line and then the usage; the way out returns the request's own body as the answer.
A word counts as a token, so its usage is right to the last digit.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import BadRequestError, GatewayError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Chunk, Completion, Message, UpstreamRequest, Usage

_WORD = re.compile(r"\s*\S+")


def fetches_url(url: str) -> bool:
    """It looks at none."""
    return True


def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """The whole answer, written down beforehand. Raises BadRequestError for more than one choice."""
    if request.n is not None and request.n > 1:
        raise BadRequestError("The echo provider gives one choice only.", param="n", code="unsupported_value")
    said = next((_text(message) for message in reversed(request.messages) if message["role"] == "user"), "")
    words = _WORD.findall(said)
    kept = words[: request.output_limit]
    lines: list[Any] = [*kept]
    heard = sum(len(_text(message).split()) for message in request.messages)
    lines.append({"finish_reason": "stop" if kept == words else "length", "usage": [heard, len(kept)]})
    body = "".join(json.dumps(line) + "\n" for line in lines)
    return UpstreamRequest("echo://local/", body.encode("ascii"), {"content-type": "application/jsonl"})


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """The words of the whole answer, joined."""
    parser = EchoStream()
    chunks = [*parser.feed(body), *parser.close()]
    words = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk.choices]
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": chunks[-1].choices[0]["finish_reason"], "logprobs": None}
    return Completion([choice], chunks[-1].usage)


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """Echo does not fail; if it does, the way out is at fault."""
    return UpstreamError(f"The echo provider answered with HTTP status {status}.")


def open_stream(request: ChatRequest, route: Route) -> "EchoStream":
    """A parser for one answer, line by line."""
    return EchoStream()


class EchoStream:
    """One answer as its lines come."""

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
