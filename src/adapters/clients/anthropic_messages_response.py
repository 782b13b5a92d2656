"""A chat completion as a message of Anthropic's Messages, whole or as events (API reference, "Streaming messages")."""

import json
from collections.abc import Mapping
from typing import Any, cast

from tollgate.adapters.claude import THINKING_FORMAT
from tollgate.adapters.clients.anthropic import error_body
from tollgate.adapters.clients.parts import ENCRYPTED, Part, PartStream, parts_of
from tollgate.adapters.json_access import parse_object, text
from tollgate.adapters.replayed_reasoning import write_reasoning
from tollgate.gateway.chat import Chunk, Completion, NativeChunk, NativeCompletion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import encode_named, relay
from tollgate.gateway.types import Json, Usage

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


class MessagesEncoder:
    """A `message` object, or its events. What Anthropic itself wrote is passed on, with the requested model's name."""

    media_type = "application/json"
    stream_media_type = "text/event-stream"

    def __init__(self, info: ResponseInfo) -> None:
        self._info = info
        self._writer = _BlockWriter(info.family)
        self._parts = PartStream(self._writer)
        self._has_begun = False
        self._is_native = False

    @property
    def keep_alive(self) -> bytes:
        """A `ping` event, as Anthropic sends it."""
        return encode_named({"type": "ping"})

    def result(self, result: Completion, usage: Usage | None) -> bytes:
        """A `message` object."""
        if isinstance(result, NativeCompletion):
            return dump({**result.body, "model": self._info.model})
        parts = parts_of(result)
        content = [_block(part, self._info.family) for part in parts]
        end = _end_fields(result.finish_reason, parts)
        return dump({**self._message(content), **end, "usage": _usage(usage)})

    def chunk(self, chunk: Chunk) -> bytes:
        """The events of a chunk."""
        if isinstance(chunk, NativeChunk):
            return self._native(chunk)
        return self._start() + self._parts.add(chunk)

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """`message_delta` with the usage, and `message_stop`."""
        if self._is_native:
            return b""
        rest = self._start() + self._parts.finish()
        end = _end_fields(self._parts.finish_reason, self._parts.parts)
        delta = {"type": "message_delta", "delta": end, "usage": _usage(usage)}
        return rest + encode_named(delta) + encode_named({"type": "message_stop"})

    def error(self, error: GatewayError) -> bytes:
        """An `error` event; no `message_stop` follows it."""
        return encode_named(error_body(error))

    def _start(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        message = {**self._message([]), "stop_reason": None, "stop_sequence": None, "usage": _usage(None)}
        return encode_named({"type": "message_start", "message": message})

    def _native(self, chunk: NativeChunk) -> bytes:
        self._is_native = self._has_begun = True
        if chunk.name == "message_start":
            event = parse_object(chunk.data)
            event["message"]["model"] = self._info.model
            return encode_named(event)
        return relay(chunk.data, chunk.name)

    def _message(self, content: list[Json]) -> Json:
        return {
            "id": f"msg_{self._info.request_id.removeprefix('req_')}",
            "type": "message",
            "role": "assistant",
            "model": self._info.model,
            "content": content,
        }


class _BlockWriter:
    """See `adapters.clients.parts.PartWriter`: content blocks, one open at a time, numbered from 0."""

    def __init__(self, family: str) -> None:
        self._family = family
        self._index = -1

    def begin(self, part: Part) -> bytes:
        """See PartWriter."""
        self._index += 1
        block = _empty_block(part)
        return encode_named({"type": "content_block_start", "index": self._index, "content_block": block})

    def piece(self, part: Part, text: str) -> bytes:
        """See PartWriter."""
        if part.kind == "call":
            return self._delta({"type": "input_json_delta", "partial_json": text})
        if part.kind == "reasoning":
            return self._delta({"type": "thinking_delta", "thinking": text})
        return self._delta({"type": "text_delta", "text": text})

    def end(self, part: Part) -> bytes:
        """See PartWriter."""
        signature = b""
        if part.kind == "reasoning" and _redacted(part) is None:
            signature = self._delta({"type": "signature_delta", "signature": _signature(part, self._family)})
        return signature + encode_named({"type": "content_block_stop", "index": self._index})

    def _delta(self, delta: Json) -> bytes:
        return encode_named({"type": "content_block_delta", "index": self._index, "delta": delta})


def _empty_block(part: Part) -> Json:
    if part.kind == "call":
        return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": {}}
    if part.kind != "reasoning":
        return {"type": "text", "text": ""}
    redacted = _redacted(part)
    if redacted is not None:
        return {"type": "redacted_thinking", "data": redacted}
    return {"type": "thinking", "thinking": "", "signature": ""}


def _block(part: Part, family: str) -> Json:
    """A whole content block."""
    block = _empty_block(part)
    if part.kind == "call":
        return {**block, "input": _input(part.text)}
    if part.kind != "reasoning":
        return {**block, "text": part.text}
    if block["type"] == "redacted_thinking":
        return block
    return {**block, "thinking": part.text, "signature": _signature(part, family)}


def _input(arguments: str) -> Json:
    """The arguments as an object; a model that writes no JSON gets an empty one, which its tool refuses."""
    try:
        value: Any = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast(Json, value) if isinstance(value, dict) else {}


def _redacted(part: Part) -> str | None:
    """Claude's encrypted thinking, which has a block of its own."""
    details = part.details[:1]
    is_claude = details and details[0].get("type") == ENCRYPTED and details[0].get("format") == THINKING_FORMAT
    return text(details[0], "data") or "" if is_claude else None


def _signature(part: Part, family: str) -> str:
    """Claude's own signature, which is valid at every provider of its models; else the gateway's mark."""
    own = [text(detail, "signature") for detail in part.details if detail.get("format") == THINKING_FORMAT]
    return next((signature for signature in own if signature), None) or write_reasoning(family, part.details)


def _end_fields(finish_reason: str | None, parts: list[Part]) -> Json:
    """`stop_reason`: a client runs the tools that are called, whatever the provider says of the end."""
    has_calls = any(part.kind == "call" for part in parts)
    if has_calls and finish_reason not in ("length", "content_filter"):  # else the last call may be cut
        finish_reason = "tool_calls"
    elif any(part.kind == "refusal" for part in parts):
        finish_reason = "content_filter"
    return {"stop_reason": _STOP_REASONS.get(finish_reason or "stop", "end_turn"), "stop_sequence": None}


def _usage(usage: Usage | None) -> Json:
    """Anthropic counts what is read from the cache and written to it apart from `input_tokens`."""
    usage = usage or Usage()
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
