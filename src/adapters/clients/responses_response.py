"""A chat completion as a response of OpenAI's Responses, whole or as events (API reference, "Responses", "Streaming").

Every event has a sequence number; items follow one another, and each is complete before the next begins.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tollgate.adapters.clients.parts import Part, PartStream, parts_of
from tollgate.adapters.clients.responses_tools import ToolName, custom_input
from tollgate.adapters.event_stream import EVENTS_WITH_RESPONSE
from tollgate.adapters.json_access import child, parse_object, text
from tollgate.adapters.replayed_reasoning import write_reasoning
from tollgate.gateway.chat import Chunk, Completion, NativeChunk, NativeCompletion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import KEEP_ALIVE, encode_named, relay
from tollgate.gateway.types import Json, Usage

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesEncoder:
    """A `response` object, or its events. What a provider wrote in this API is passed on, with the requested model's
    name. `echoed` has the fields of the request that a response repeats.
    """

    media_type = "application/json"
    stream_media_type = "text/event-stream"
    keep_alive = KEEP_ALIVE

    def __init__(self, info: ResponseInfo, *, echoed: Json, tools: Mapping[str, ToolName]) -> None:
        self._info = info
        self._echoed = echoed
        self._items = _ItemWriter(info, tools)
        self._parts = PartStream(self._items)
        self._has_begun = False
        self._is_native = False

    def result(self, result: Completion, usage: Usage | None) -> bytes:
        """A `response` object."""
        if isinstance(result, NativeCompletion):
            return dump({**result.body, "model": self._info.model, "store": False})
        output = [self._items.item(part, index) for index, part in enumerate(parts_of(result))]
        return dump(self._response(_status(result.finish_reason), output, usage))

    def chunk(self, chunk: Chunk) -> bytes:
        """The events of a chunk."""
        if isinstance(chunk, NativeChunk):
            return self._native(chunk)
        return self._start() + self._parts.add(chunk)

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """The last event, with the whole response."""
        if self._is_native:
            return b""
        rest = self._start() + self._parts.finish()
        status = _status(self._parts.finish_reason)
        response = self._response(status, self._output(), usage)
        return rest + self._items.event(f"response.{status['status']}", response=response)

    def error(self, error: GatewayError) -> bytes:
        """An `error` event, which OpenAI's clients raise, and `response.failed`, which Codex reads."""
        code, message = _error_code(error), _error_message(error)
        fields = {"code": code, "message": message, "param": error.param}
        failed = {"status": "failed", "error": {"code": code, "message": message}}
        return self._items.event("error", **fields, error={"type": error.type, **fields}) + self._items.event(
            "response.failed", response=self._response(failed, self._output(), None)
        )

    def _start(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        response = self._response({"status": "in_progress"}, [], None)
        return self._items.event("response.created", response=response) + self._items.event(
            "response.in_progress", response=response
        )

    def _native(self, chunk: NativeChunk) -> bytes:
        self._is_native = True
        self._items.sequence_number += 1
        if chunk.name in EVENTS_WITH_RESPONSE:
            event = parse_object(chunk.data)
            event["response"] |= {"model": self._info.model, "store": False}
            return encode_named(event)
        return relay(chunk.data, chunk.name)

    def _output(self) -> list[Json]:
        return [self._items.item(part, index) for index, part in enumerate(self._parts.parts)]

    def _response(self, status: Json, output: list[Json], usage: Usage | None) -> Json:
        ended = status["status"] != "in_progress"
        return {
            "id": f"resp_{self._info.request_id.removeprefix('req_')}",
            "object": "response",
            "created_at": self._info.created,
            "error": None,
            "incomplete_details": None,
            "model": self._info.model,
            "output": output,
            "previous_response_id": None,
            "background": False,
            "store": False,
            "truncation": "disabled",
            **self._echoed,
            **status,
            "usage": None if usage is None or not ended else _usage(usage),
        }


class _ItemWriter:
    """See `adapters.clients.parts.PartWriter`: output items, and the numbers of the events."""

    def __init__(self, info: ResponseInfo, tools: Mapping[str, ToolName]) -> None:
        self.sequence_number = 0
        self._family = info.family
        self._id = info.request_id.removeprefix("req_")
        self._tools = tools
        self._index = -1
        self._item_id = ""
        self._is_custom = False

    def event(self, kind: str, **fields: Any) -> bytes:
        """An event with the next number."""
        number = self.sequence_number
        self.sequence_number += 1
        return encode_named({"type": kind, "sequence_number": number, **fields})

    def begin(self, part: Part) -> bytes:
        """See PartWriter."""
        self._index += 1
        item = self._item(part, self._index, "in_progress")
        self._item_id = item["id"]
        self._is_custom = item["type"] == "custom_tool_call"
        return self.event("response.output_item.added", output_index=self._index, item=item) + self._begin_content(part)

    def piece(self, part: Part, text: str) -> bytes:
        """See PartWriter. The input of a custom tool is known when its arguments are complete."""
        if part.kind == "call":
            return b"" if self._is_custom else self._piece("function_call_arguments.delta", delta=text)
        if part.kind == "reasoning":
            return self._piece("reasoning_summary_text.delta", summary_index=0, delta=text)
        if part.kind == "refusal":
            return self._piece("refusal.delta", content_index=0, delta=text)
        return self._piece("output_text.delta", content_index=0, delta=text, logprobs=[])

    def end(self, part: Part) -> bytes:
        """See PartWriter."""
        item = self.item(part, self._index)
        content = b"".join(self._end_content(part, item))
        return content + self.event("response.output_item.done", output_index=self._index, item=item)

    def item(self, part: Part, index: int) -> Json:
        """A whole item."""
        item = self._item(part, index, "completed")
        if part.kind == "reasoning":
            summary = [{"type": "summary_text", "text": part.text}] if part.pieces else []
            return {**item, "summary": summary, "encrypted_content": self._encrypted(part)}
        if item["type"] == "custom_tool_call":
            return {**item, "input": custom_input(part.text)}
        return {**item, "arguments": part.text} if part.kind == "call" else {**item, "content": [_content(part)]}

    def _item(self, part: Part, index: int, status: str) -> Json:
        """An item without its content."""
        if part.kind == "reasoning":
            return {"id": f"rs_{self._id}_{index}", "type": "reasoning", "summary": [], "status": status}
        if part.kind != "call":
            common: Json = {"type": "message", "status": status, "role": "assistant", "content": []}
            return {"id": f"msg_{self._id}_{index}", **common}
        tool = self._tools.get(part.name) or ToolName("function", part.name)
        namespace = {"namespace": tool.namespace} if tool.namespace else {}
        call = {"status": status, "call_id": part.call_id, "name": tool.name, **namespace}
        if tool.kind == "custom":
            return {"id": f"ctc_{self._id}_{index}", "type": "custom_tool_call", **call, "input": ""}
        return {"id": f"fc_{self._id}_{index}", "type": "function_call", **call, "arguments": ""}

    def _begin_content(self, part: Part) -> bytes:
        if part.kind == "call":
            return b""
        if part.kind == "reasoning":
            empty = {"type": "summary_text", "text": ""}
            if part.details:
                return b""
            return self._piece("reasoning_summary_part.added", summary_index=0, part=empty)
        return self._piece("content_part.added", content_index=0, part=_content(Part(part.kind)))

    def _end_content(self, part: Part, item: Json) -> Iterator[bytes]:
        if part.kind == "call":
            yield from self._end_call(item)
        elif part.kind == "reasoning":
            for summary in item["summary"]:
                yield self._piece("reasoning_summary_text.done", summary_index=0, text=summary["text"])
                yield self._piece("reasoning_summary_part.done", summary_index=0, part=summary)
        else:
            content = item["content"][0]
            for index, annotation in enumerate(content.get("annotations", ())):
                yield self._piece(
                    "output_text.annotation.added", content_index=0, annotation_index=index, annotation=annotation
                )
            name = "refusal" if part.kind == "refusal" else "output_text"
            whole: Json = {"refusal": part.text} if part.kind == "refusal" else {"text": part.text, "logprobs": []}
            yield self._piece(f"{name}.done", content_index=0, **whole)
            yield self._piece("content_part.done", content_index=0, part=content)

    def _end_call(self, item: Json) -> Iterator[bytes]:
        if item["type"] == "custom_tool_call":
            yield self._piece("custom_tool_call_input.delta", delta=item["input"])
            yield self._piece("custom_tool_call_input.done", input=item["input"])
        else:
            yield self._piece("function_call_arguments.done", name=item["name"], arguments=item["arguments"])

    def _piece(self, kind: str, **fields: Any) -> bytes:
        return self.event(f"response.{kind}", item_id=self._item_id, output_index=self._index, **fields)

    def _encrypted(self, part: Part) -> str:
        return write_reasoning(self._family, part.details, part.text)


def _content(part: Part) -> Json:
    if part.kind == "refusal":
        return {"type": "refusal", "refusal": part.text}
    annotations = [_annotation(annotation) for annotation in part.annotations]
    return {"type": "output_text", "text": part.text, "annotations": annotations, "logprobs": []}


def _annotation(annotation: Json) -> Json:
    """An annotation, whose fields Chat Completions has one level deeper."""
    kind = text(annotation, "type") or "url_citation"
    return {"type": kind, **(child(annotation, kind) or annotation)}


def _status(finish_reason: str | None) -> Json:
    reason = _INCOMPLETE.get(finish_reason or "")
    return {"status": "incomplete", "incomplete_details": {"reason": reason}} if reason else {"status": "completed"}


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }  # fmt: skip


def _error_code(error: GatewayError) -> str:
    """A code that Codex acts on: what is a server's fault is tried again."""
    known = ("rate_limit_exceeded", "context_length_exceeded", "insufficient_quota")
    if error.code in known:
        return str(error.code)
    return "server_is_overloaded" if error.code == "overloaded" else "server_error"


def _error_message(error: GatewayError) -> str:
    """The message with the time to wait in the words that Codex reads."""
    if error.code != "rate_limit_exceeded" or error.retry_after is None or "try again in" in error.message:
        return error.message
    return f"{error.message} Please try again in {error.retry_after:.1f}s."
