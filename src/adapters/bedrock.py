"""The Bedrock family: Converse and ConverseStream, one API for the models of many makers (AWS, Amazon Bedrock API
Reference, "Converse" and "ConverseStream").

Claude's thinking comes and goes as in the Anthropic family; its signatures hold at both.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from adapters import carried
from adapters.bedrock_answer import (
    MALFORMED,
    finish_reason,
    is_call,
    malformed,
    read_extra,
    read_message,
    read_usage,
    reasoning_details,
    tool_call,
)
from adapters.bedrock_request import build_body, tool_names
from adapters.event_stream import Frame, FrameReader
from adapters.events import truncated
from adapters.failures import failure, retry_after
from adapters.formats import format_plan
from adapters.shapes import child, children, count, encode, parse_object, text, too_deep
from gateway.errors import GatewayError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Chunk, Completion, Json, UpstreamRequest

_STATUSES = {
    "validationexception": 400,
    "accessdeniedexception": 403,
    "unrecognizedclientexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelnotreadyexception": 429,
    "servicequotaexceededexception": 429,
    "throttlingexception": 429,
    "internalserverexception": 500,
    "unknownoperationexception": 502,
    "serviceunavailableexception": 503,
}
"""The HTTP status that an exception stands for, wherever it comes; ServiceQuotaExceededException comes under 400."""


def fetches_url(url: str) -> bool:
    """None."""
    return False


def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """A call of Converse. Raises BadRequestError for what it cannot say and what JSON cannot."""
    try:
        body, dropped = build_body(request, route)
    except RecursionError:
        raise too_deep() from None
    # The model's name is one segment of the path, also where it is an ARN: with a bare slash it names no operation.
    operation = "converse-stream" if request.stream else "converse"
    path = f"model/{quote(route.upstream_model, safe='')}/{operation}"
    return UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/{path}", encode(body), dropped=dropped)


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """What Converse answers. Raises GatewayError for HTML, and for an error or no message under status 200."""
    answer = parse_object(body)
    message = child(child(answer, "output"), "message")
    if not isinstance(message.get("content"), list):
        raise _in_band(text(child(answer, "Output"), "__type") or "", answer)
    blocks, native = children(message, "content"), text(answer, "stopReason")
    said = read_message(blocks, tool_names(request), _by_tool(request, route))
    if native in MALFORMED and not said["content"]:
        raise malformed()
    finish = finish_reason(native, "tool_calls" in said)
    choice = {"index": 0, "message": said, "finish_reason": finish, "logprobs": None}
    return Completion([choice], read_usage(child(answer, "usage")), read_extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"message"}` under an exception named by `x-amzn-errortype`, or what stands in the way and speaks no JSON."""
    answer = _object_or_empty(body)
    kind = _kind(headers.get("x-amzn-errortype") or text(answer, "__type") or "")
    return failure(_STATUSES.get(kind, status), _words(answer), retry_after=retry_after(headers))


def open_stream(request: ChatRequest, route: Route) -> "BedrockStream":
    """A parser for one stream of ConverseStream's events."""
    return BedrockStream(tool_names(request), _by_tool(request, route))


@dataclass(slots=True)
class _Block:
    """A content block that has begun. `call` is what it calls, and `place` that call's among the client's calls."""

    call: Json | None = None
    place: int | None = None
    spoken: bool = False  # whether any of the arguments has come
    thinking: list[str] = field(default_factory=list[str])
    signature: str | None = None
    redacted: str | None = None


class BedrockStream:
    """See gateway.ports.StreamParser. One stream: the blocks that are open, and the end, held until usage has come."""

    def __init__(self, names: Mapping[str, str], by_tool: bool) -> None:
        self.done = False
        self._frames = FrameReader()
        self._names = names
        self._by_tool = by_tool
        self._begun = False
        self._said = False
        self._blocks: dict[int, _Block] = {}
        self._called = 0
        self._trail = carried.Trail()
        self._end: Json | None = None
        self._readers: Mapping[str, Callable[[Json], Json | None]] = {
            "messageStart": self._start,
            "contentBlockStart": self._open,
            "contentBlockDelta": self._delta,
            "contentBlockStop": self._close,
            "messageStop": self._stop,
        }

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser."""
        for frame in self._frames.feed(data):
            if self.done:
                return
            yield from self._read(frame)

    def close(self) -> Iterator[Chunk]:
        """See StreamParser; an answer whose usage was cut off is whole."""
        if self._end is None:
            raise truncated()
        if not self.done:
            yield self._finish({})

    def _read(self, frame: Frame) -> Iterator[Chunk]:
        """One event; kinds that are not known yet are passed over."""
        kind = frame.headers.get(":message-type")
        if kind == "error":
            words = frame.headers.get(":error-message")
            raise _in_band(frame.headers.get(":error-code", ""), {"message": words})
        if kind == "exception":
            raise _in_band(frame.headers.get(":exception-type", ""), _object_or_empty(frame.payload))
        event = frame.headers.get(":event-type", "")
        if event == "metadata" and self._end is not None:
            yield self._finish(parse_object(frame.payload))
            return
        reader = self._readers.get(event)
        if reader is None or self._end is not None:
            return
        delta = reader(parse_object(frame.payload))
        if delta is not None:
            yield Chunk([self._step(delta)])

    def _step(self, delta: Json, finish: str | None = None) -> Json:
        if not self._begun:
            delta = {"role": "assistant", "content": "", **delta}
            self._begun = True
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _start(self, event: Json) -> Json | None:
        return None if self._begun else {}

    def _open(self, event: Json) -> Json | None:
        call = child(child(event, "start"), "toolUse")
        if not is_call(call):
            return None
        block = self._blocks[count(event, "contentBlockIndex")] = _Block(call)
        if self._by_tool:
            return None
        block.place = self._called
        self._called += 1
        native = self._trail.call(tool_call(call, self._names, block.place, ""))
        return {"tool_calls": [{"index": block.place, **native}]}

    def _delta(self, event: Json) -> Json | None:
        delta = child(event, "delta")
        if said := text(delta, "text"):
            self._said = True
            return {"content": said}
        index = count(event, "contentBlockIndex")
        if piece := text(child(delta, "toolUse"), "input"):
            block = self._blocks.get(index)
            return None if block is None or block.call is None else self._arguments(block, piece)
        reasoning = child(delta, "reasoningContent")
        return self._think(self._blocks.setdefault(index, _Block()), reasoning) if reasoning else None

    def _arguments(self, block: _Block, piece: str) -> Json:
        block.spoken = True
        if block.place is None:
            self._said = True
            return {"content": piece}
        return {"tool_calls": [{"index": block.place, "function": {"arguments": piece}}]}

    def _think(self, block: _Block, reasoning: Json) -> Json | None:
        thought = text(reasoning, "text")
        block.thinking.append(thought or "")
        block.signature = text(reasoning, "signature") or block.signature
        block.redacted = text(reasoning, "redactedContent") or block.redacted
        return {"reasoning_content": thought} if thought else None

    def _close(self, event: Json) -> Json | None:
        block = self._blocks.pop(count(event, "contentBlockIndex"), None)
        if block is None:
            return None
        if block.call is not None:
            return None if block.spoken else self._arguments(block, "{}")
        details = reasoning_details("".join(block.thinking), block.signature, block.redacted, len(self._trail.details))
        self._trail.details += details
        return {"reasoning_details": details} if details else None

    def _stop(self, event: Json) -> None:
        native = text(event, "stopReason")
        if native in MALFORMED and not self._said:
            raise malformed()
        if not self._begun:
            raise UpstreamError("The provider's stream held no answer.")
        half = any(block.place is not None for block in self._blocks.values())
        if half and finish_reason(native, True) == "tool_calls":
            raise truncated()
        self._end = event

    def _finish(self, metadata: Json) -> Chunk:
        self.done = True
        finish = finish_reason(text(self._end or {}, "stopReason"), self._called > 0)
        return Chunk([self._step({}, finish)], read_usage(child(metadata, "usage")), read_extra(metadata))


def _by_tool(request: ChatRequest, route: Route) -> bool:
    """Whether the answer comes as the call of a tool that the client knows nothing of."""
    return format_plan(request, route.model.capabilities) == "tool"


def _in_band(kind: str, answer: Json) -> GatewayError:
    """The error of an exception that comes under status 200."""
    return failure(_STATUSES.get(_kind(kind), 502), _words(answer) or "The provider failed.")


def _object_or_empty(body: bytes) -> Json:
    """The JSON object of an error, or an empty one: an error without words is still one."""
    try:
        return parse_object(body)
    except UpstreamError:
        return {}


def _kind(named: str) -> str:
    """`namespace#ThrottlingException:http://...` and `throttlingException` are the same."""
    return named.partition(":")[0].rpartition("#")[2].strip().lower()


def _words(answer: Json) -> str:
    return text(answer, "message") or text(answer, "Message") or ""
