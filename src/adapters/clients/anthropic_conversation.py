"""A conversation of Anthropic's Messages as messages of Chat Completions."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tollgate.adapters.claude import ThinkingBlock
from tollgate.adapters.clients.anthropic_content import block_parts, blocks_of, joined_if_plain, parts_of
from tollgate.adapters.clients.required_text import required_text
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import text
from tollgate.adapters.replayed_reasoning import MessageReasoning, read_reasoning
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid, missing

BILLING_LINE = "x-anthropic-billing-header:"
"""How Claude Code's first system text begins. It changes between requests, so it would break prefix caching elsewhere.
"""
_ASSISTANT_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def system_messages(system: Any) -> list[Json]:
    """The message for the top-level `system`, without Claude Code's billing line."""
    blocks = [block for block in blocks_of(system, "system") if not _is_billing_line(block)]
    return _system_message(blocks, "system")


def chat_messages(messages: Sequence[Json]) -> list[Json]:
    """The messages. Raises BadRequestError for a block that only Anthropic supports."""
    return [
        translated
        for index, message in enumerate(messages)
        for translated in _translate(message, f"messages[{index}].content")
    ]


def _translate(message: Json, path: str) -> Iterable[Json]:
    blocks = blocks_of(message.get("content"), path)
    if message["role"] == "system":
        return _system_message(blocks, path)
    return _assistant_message(blocks, path) if message["role"] == "assistant" else _user_messages(blocks, path)


def _system_message(blocks: list[Json], path: str) -> list[Json]:
    parts = parts_of(blocks, path)
    return [{"role": "system", "content": joined_if_plain(parts)}] if parts else []


def _user_messages(blocks: list[Json], path: str) -> list[Json]:
    """One message for each tool result, then one with the rest: results follow their calls at once."""
    results = [
        _tool_message(block, f"{path}[{index}]") for index, block in enumerate(blocks) if block["type"] == "tool_result"
    ]
    parts = [
        part
        for index, block in enumerate(blocks)
        if block["type"] != "tool_result"
        for part in block_parts(block, f"{path}[{index}]")
    ]
    return [*results, {"role": "user", "content": joined_if_plain(parts)}] if parts or not results else results


def _tool_message(block: Json, path: str) -> Json:
    parts = parts_of(blocks_of(block.get("content"), f"{path}.content"), f"{path}.content")
    if block.get("is_error") is True:
        parts = [{"type": "text", "text": "The tool call failed:"}, *parts]
    message: Json = {
        "role": "tool",
        "tool_call_id": required_text(block, "tool_use_id", path),
        "content": joined_if_plain(parts) or "",
    }
    return {**message, "cache_control": block["cache_control"]} if block.get("cache_control") else message


def _assistant_message(blocks: list[Json], path: str) -> list[Json]:
    reasoning = MessageReasoning()
    parts: list[Json] = []
    calls: list[Json] = []
    for index, block in enumerate(blocks):
        kind = block["type"]
        if kind not in _ASSISTANT_BLOCKS:
            raise unsupported(f"{path}[{index}].type", f"Only Anthropic supports blocks of type {kind[:50]!r}.")
        if kind == "tool_use":
            calls.append(_call(block, f"{path}[{index}]"))
        elif kind == "text":
            parts += block_parts(block, f"{path}[{index}]")
        else:
            _add_reasoning(reasoning, block)
    if not (parts or calls):
        return []
    message: Json = {"role": "assistant", "content": joined_if_plain(parts) or None, **reasoning.fields()}
    return [{**message, "tool_calls": calls} if calls else message]


def _call(block: Json, path: str) -> Json:
    call_id, name = required_text(block, "id", path), required_text(block, "name", path)
    if not isinstance(block.get("input"), dict):
        raise invalid(f"{path}.input", "it is an object") if "input" in block else missing(f"{path}.input")
    function = {"name": name, "arguments": json.dumps(block["input"], ensure_ascii=False)}
    call: Json = {"id": call_id, "type": "function", "function": function}
    return {**call, "cache_control": block["cache_control"]} if block.get("cache_control") else call


def _add_reasoning(reasoning: MessageReasoning, block: Json) -> None:
    """Add a block of thinking, which is another provider's if its signature is the gateway's own."""
    shown = text(block, "thinking") or ""
    replayed = read_reasoning(text(block, "signature") or "", shown)
    if replayed is None:
        thinking = ThinkingBlock(shown, text(block, "signature"), text(block, "data"))
        reasoning.details.append(thinking.to_detail(len(reasoning.details)))
    else:
        reasoning.add(replayed)


def _is_billing_line(block: Json) -> bool:
    return (text(block, "text") or "").startswith(BILLING_LINE)
