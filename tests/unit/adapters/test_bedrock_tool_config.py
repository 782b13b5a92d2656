"""Tools and tool choice in requests to Converse."""

from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.bedrock_requests import (
    CLAUDE,
    LLAMA,
    LOOP,
    NOVA,
    PDF,
    PNG,
    SCHEMA,
    assistant,
    call,
    dropped,
    file,
    image,
    refused,
    result,
    sent,
    sent_messages,
    system,
    tool,
    user,
)

EMPTY: Json = {"json": {"type": "object", "properties": {}}}


def test_tools_have_name_description_and_schema() -> None:
    body = sent({"tools": [tool("f", description="d", parameters=SCHEMA), tool("g.h", description=" ")]})
    assert body["toolConfig"]["tools"][0] == {
        "toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": SCHEMA}}
    }
    second = body["toolConfig"]["tools"][1]["toolSpec"]
    assert second["inputSchema"] == EMPTY
    assert second.keys() == {"name", "inputSchema"}


def test_tool_schema_for_nova_has_no_unsupported_keywords() -> None:
    parameters = {**SCHEMA, "title": "F", "description": "d", "additionalProperties": False, "$schema": "s"}
    fields: Json = {"tools": [tool(parameters=parameters)]}
    assert sent(fields, NOVA)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": SCHEMA}
    assert sent(fields, CLAUDE)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": parameters}


def test_strict_tool_has_a_closed_schema_with_native_support() -> None:
    fields: Json = {"tools": [tool(parameters=SCHEMA, strict=True)]}
    spec = sent(fields)["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["strict"] is True
    assert spec["inputSchema"] == {"json": {**SCHEMA, "additionalProperties": False}}
    assert "strict" not in sent(fields, NOVA)["toolConfig"]["tools"][0]["toolSpec"]
    assert dropped(fields, NOVA) == ("tools.function.strict",)


CHOICES: list[tuple[Any, Any, Any]] = [
    (None, None, {"type": "auto"}),
    ("auto", None, {"type": "auto"}),
    ("required", {"any": {}}, {"type": "any"}),
    ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}, {"type": "tool", "name": "f"}),
]


@pytest.mark.parametrize(("openai_value", "native", "claude_value"), CHOICES)
def test_tool_choice_is_claudes_if_parallel_calls_are_disabled(
    openai_value: Any, native: Any, claude_value: Any
) -> None:
    fields: Json = {"tools": [tool()], "tool_choice": openai_value}
    body = sent(fields, CLAUDE)
    assert body["toolConfig"].get("toolChoice") == native
    assert "additionalModelRequestFields" not in body
    body = sent({**fields, "parallel_tool_calls": False}, CLAUDE)
    assert "toolChoice" not in body["toolConfig"]
    assert body["additionalModelRequestFields"] == {"tool_choice": {**claude_value, "disable_parallel_tool_use": True}}


def test_parallel_tool_calls_is_dropped_and_reported_if_unsupported() -> None:
    fields: Json = {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False}
    assert sent(fields, NOVA)["toolConfig"]["toolChoice"] == {"any": {}}
    assert dropped(fields, NOVA) == ("parallel_tool_calls",)


def test_tools_that_may_not_be_called_are_left_out() -> None:
    fields: Json = {"tools": [tool()], "tool_choice": "none", "parallel_tool_calls": False}
    assert sent(fields, CLAUDE) == sent({})
    assert dropped(fields, NOVA) == ()


@pytest.mark.parametrize("fields", [{}, {"tools": [tool("f")], "tool_choice": "none"}])
def test_called_tools_are_declared_with_an_instruction_not_to_call_them(fields: Json) -> None:
    body = sent({"messages": [system("s"), *LOOP, user("b")], **fields})
    assert body["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": EMPTY}}]}
    assert body["system"] == [{"text": "s"}, {"text": "Answer without calling a tool."}]


def test_forced_tool_is_refused_if_unsupported() -> None:
    assert refused({"tools": [tool()], "tool_choice": "required"}, LLAMA).param == "tool_choice"


def test_results_are_in_one_user_message_before_its_text() -> None:
    calls = [call("c1", "f", '{"a": 1}'), call("c2", "g", "")]
    got = sent_messages(
        user("a"), assistant("I look.", tool_calls=calls), result("c2", "2"), result("c1", ""), user("and?")
    )
    assert got[1]["content"] == [
        {"text": "I look."},
        {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "g", "input": {}}},
    ]
    assert got[2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "(no output)"}]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "2"}]}},
        {"text": "and?"},
    ]


def test_result_may_contain_images_and_documents() -> None:
    got = sent_messages(*LOOP[:2], result("c1", [image(f"data:;base64,{PNG}"), file(PDF, "a")]))
    content = got[2]["content"][0]["toolResult"]["content"]
    assert [next(iter(block)) for block in content] == ["image", "document"]


@pytest.mark.parametrize("value", ["call/1", "functions.f:0", "\u00e9", "", "x" * 400])
def test_invalid_id_and_name_are_rewritten_consistently(value: str) -> None:
    name = value or "f"
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call(value, name)]), result(value)],
            "tools": [tool(name)],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    use = body["messages"][1]["content"][0]["toolUse"]
    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == use["toolUseId"]
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == use["name"]
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": use["name"]}}
    assert (use["toolUseId"] == value) == (value == "functions.f:0")
