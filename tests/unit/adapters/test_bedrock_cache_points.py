"""Cache points in requests to Converse."""

from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.bedrock_requests import (
    ADAPTIVE,
    CLAUDE,
    LLAMA,
    LOOP,
    MARK,
    NOVA,
    PDF,
    POINT,
    TEXT,
    dropped,
    result,
    sent,
    sent_messages,
    system,
    text,
    tool,
    user,
)

NAMED: Json = {"type": "function", "function": {"name": "f"}}


def test_cache_breakpoints_are_cache_points_after_their_content() -> None:
    marked = text("u", cache_control={**MARK, "ttl": "1h"})
    messages = [system([text("s", cache_control=MARK)]), user([marked, text("v")], cache_control=MARK)]
    body = sent({"messages": messages, "tools": [{**tool(), "cache_control": MARK}, tool("g")]}, CLAUDE)
    assert body["system"] == [{"text": "s"}, POINT]
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["messages"][0]["content"] == [{"text": "u"}, hour, {"text": "v"}, POINT]
    assert [next(iter(block)) for block in body["toolConfig"]["tools"]] == ["toolSpec", "cachePoint", "toolSpec"]


def test_cache_breakpoint_in_a_result_is_after_the_result() -> None:
    got = sent_messages(*LOOP[:2], result("c1", [text("x", prompt_cache_breakpoint={"mode": "explicit"})]), **CLAUDE)
    assert got[2]["content"] == [{"toolResult": {"toolUseId": "c1", "content": [{"text": "x"}]}}, POINT]


def test_cache_breakpoint_of_the_request_is_at_its_end() -> None:
    assert sent({"cache_control": MARK}, CLAUDE)["messages"][0]["content"] == [{"text": "Hi"}, POINT]
    once = [user([text("a", cache_control=MARK)])]
    assert sent({"messages": once, "cache_control": MARK}, CLAUDE)["messages"][0]["content"] == [{"text": "a"}, POINT]


def test_only_the_last_four_cache_breakpoints_are_kept() -> None:
    fields: Json = {"messages": [user([text(str(n), cache_control=MARK) for n in range(6)])]}
    content = sent(fields, CLAUDE)["messages"][0]["content"]
    assert content == [{"text": "0"}, {"text": "1"}, *(b for n in range(2, 6) for b in ({"text": str(n)}, POINT))]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_cache_points_are_only_sent_to_models_that_support_them() -> None:
    fields: Json = {"messages": [user([text("u", cache_control=MARK)])], "tools": [{**tool(), "cache_control": MARK}]}
    body = sent(fields, NOVA)
    assert len(body["toolConfig"]["tools"]) == 1
    assert body["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert POINT not in sent(fields, LLAMA | {"vision": True})["messages"][0]["content"]
    assert dropped(fields, LLAMA) == dropped(fields, NOVA) == ("cache_control",)


def markdown(**more: Any) -> Json:
    held = f"data:text/markdown;base64,{TEXT}"
    return {"type": "file", "file": {"filename": "a.md", "file_data": held}, **more}


def kinds(fields: Json, of: Json = CLAUDE) -> list[str]:
    return [next(iter(block)) for block in sent(fields, of)["messages"][0]["content"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [user([text("see"), markdown(cache_control=MARK)])]},
        {"messages": [user([text("see"), markdown()], cache_control=MARK)]},
        {"messages": [user([text("see"), markdown()])], "cache_control": MARK},
    ],
)
def test_cache_point_after_a_document_other_than_pdf_moves_before_it_and_is_reported(fields: Json) -> None:
    assert kinds(fields) == ["text", "cachePoint", "document"]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_cache_point_after_a_pdf_is_kept() -> None:
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    fields: Json = {"messages": [user([text("see"), {"type": "file", "file": file, "cache_control": MARK}])]}
    assert kinds(fields) == ["text", "document", "cachePoint"]
    assert dropped(fields, CLAUDE) == ()


def test_cache_point_without_content_before_it_is_dropped() -> None:
    fields: Json = {"messages": [user([markdown(cache_control=MARK), text("see")])]}
    assert kinds(fields) == ["document", "text"]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_two_cache_points_in_one_place_are_one() -> None:
    fields: Json = {"messages": [user([text("see", cache_control=MARK), markdown(cache_control=MARK)])]}
    assert kinds(fields) == ["text", "cachePoint", "document"]


def test_cache_point_has_no_ttl_if_the_model_does_not_support_one_hour() -> None:
    fields: Json = {"messages": [user([text("u", cache_control={**MARK, "ttl": "1h"})])]}
    assert sent(fields, NOVA)["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert dropped(fields, NOVA) == ("cache_control.ttl=5m",)


@pytest.mark.parametrize("forced", [{"tool_choice": "required"}, {"tool_choice": NAMED}])
def test_thinking_is_dropped_if_a_tool_is_forced_and_the_model_does_not_support_both(forced: Json) -> None:
    fields: Json = {"tools": [tool()], "reasoning_effort": "high", **forced}
    of = {**ADAPTIVE, "forced_tool_while_thinking": False}
    assert not {"outputConfig", "additionalModelRequestFields"} & sent(fields, of).keys()
    assert dropped(fields, of) == ("reasoning_effort",)
    assert "thinking" in sent(fields, ADAPTIVE)["additionalModelRequestFields"]
    assert "thinking" in sent({**fields, "tool_choice": "auto"}, of)["additionalModelRequestFields"]
