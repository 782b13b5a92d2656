"""Blocks of Messages for other families: what is refused, and what is left of documents."""

import json
from typing import Any

import pytest

from tollgate.adapters.clients.anthropic_messages import AnthropicMessages
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError

CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("assistant", {**CALL, "id": None}, "id"),
    ("assistant", {**CALL, "id": 5}, "id"),
    ("assistant", {**CALL, "name": ""}, "name"),
    ("assistant", {**CALL, "input": "{}"}, "input"),
    ("assistant", {name: value for name, value in CALL.items() if name != "input"}, "input"),
    ("user", {"type": "tool_result", "content": "9"}, "tool_use_id"),
]
SAID = {"type": "document", "title": "Tolls", "context": "of 2026", "citations": {"enabled": True}}
SOURCES: list[dict[str, Any]] = [
    {"type": "text", "data": "plain"},
    {"type": "content", "content": [{"type": "text", "text": "own"}]},
    {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
]
DOCUMENTS = [{**SAID, "source": source} for source in SOURCES]
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": DOCUMENTS}


def parsed(*contents: tuple[str, list[Any]]) -> ChatRequest:
    messages = [{"role": role, "content": blocks} for role, blocks in contents]
    body = {"model": "m", "max_tokens": 9, "messages": messages}
    return AnthropicMessages().parse({}, json.dumps(body).encode())[0]


@pytest.mark.parametrize(("role", "block", "name"), BAD)
def test_call_or_result_without_a_field_is_refused(role: str, block: dict[str, Any], name: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        parsed((role, [{"type": "text", "text": "x"}, block]))
    assert raised.value.param == f"messages[0].content[1].{name}"


@pytest.mark.parametrize("contents", [[("user", DOCUMENTS)], [("assistant", [CALL]), ("user", [RESULT])]])
def test_documents_keep_title_and_context_and_lose_citations(contents: list[Any]) -> None:
    request = parsed(*contents)
    parts: Any = request.messages[-1].get("content")
    texts = [part.get("text") or part["file"]["filename"] for part in parts]
    assert texts == ["Tolls\n\nof 2026\n\nplain", "Tolls\n\nof 2026", "own", "of 2026", "Tolls"]
    assert request.native is not None
    assert request.native.dropped == ("citations",)


def test_document_that_is_not_cited_loses_nothing() -> None:
    request = parsed(("user", [{**DOCUMENTS[0], "citations": {"enabled": False}}]))
    assert request.native is not None
    assert request.native.dropped == ()
