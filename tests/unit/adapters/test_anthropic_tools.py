"""Tools, tool choice and response formats in requests to the Messages API."""

import re
from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.anthropic_requests import (
    ALWAYS,
    LOOP,
    PNG,
    SCHEMA,
    assistant,
    build,
    call,
    dropped,
    image,
    in_json,
    refused,
    result,
    sent,
    sent_messages,
    system,
    text,
    tool,
    user,
)

# --- tools ------------------------------------------------------------------------------------------------------------


def test_tool_has_its_name_description_and_schema() -> None:
    (native,) = sent({"tools": [tool("f", description="d", parameters=SCHEMA)]})["tools"]
    assert native == {"name": "f", "description": "d", "input_schema": SCHEMA}


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_tool_without_parameters_takes_an_empty_object(parameters: Json) -> None:
    (native,) = sent({"tools": [tool("f", **parameters)]})["tools"]
    assert native["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("name", ["files.read", "a/b", "\u00e9", "x" * 200, ".", "ns:f"])
def test_invalid_tool_name_is_rewritten_consistently(name: str) -> None:
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call("c", name)]), result("c")],
            "tools": [tool(name), tool("f")],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    native = body["tools"][0]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", native)
    assert body["messages"][1]["content"][0]["name"] == body["tool_choice"]["name"] == native


def test_names_that_differ_stay_different() -> None:
    names = [native["name"] for native in sent({"tools": [tool("a.b"), tool("a/b"), tool("a_b")]})["tools"]]
    assert len(set(names)) == 3
    assert names[2] == "a_b"


def test_strict_tool_has_a_closed_schema_with_native_support() -> None:
    (native,) = sent({"tools": [tool("f", parameters=SCHEMA, strict=True)]})["tools"]
    assert native["strict"] is True
    assert native["input_schema"] == {**SCHEMA, "additionalProperties": False}


def test_unsupported_strict_is_dropped_and_reported() -> None:
    fields: Json = {"tools": [tool("f", parameters=SCHEMA, strict=True)]}
    assert dropped(fields, {"json_schema": False}) == ("tools.function.strict",)
    assert "strict" not in sent(fields, {"json_schema": False})["tools"][0]


def test_tool_other_than_a_function_is_refused() -> None:
    error = refused({"tools": [tool(), {"type": "custom", "custom": {"name": "f"}}]})
    assert (error.code, error.param) == ("unsupported_parameter", "tools[1].type")
    assert refused({"tools": [{"type": "function", "function": {}}]}).param == "tools[0].function.name"


CHOICES: list[tuple[Any, Any]] = [
    (None, None),
    ("auto", {"type": "auto"}),
    ("none", {"type": "none"}),
    ("required", {"type": "any"}),
    ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
]


@pytest.mark.parametrize(("openai_value", "native"), CHOICES)
def test_tool_choice_is_anthropics(openai_value: Any, native: Any) -> None:
    assert sent({"tools": [tool()], "tool_choice": openai_value}).get("tool_choice") == native


@pytest.mark.parametrize(("openai_value", "native"), CHOICES)
def test_disabled_parallel_calls_are_in_the_tool_choice(openai_value: Any, native: Any) -> None:
    got = sent({"tools": [tool()], "tool_choice": openai_value, "parallel_tool_calls": False})["tool_choice"]
    if openai_value == "none":
        assert got == {"type": "none"}
    else:
        assert got == {**(native or {"type": "auto"}), "disable_parallel_tool_use": True}


def test_allowed_tools_are_the_ones_that_are_sent() -> None:
    choice: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}}
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": choice})
    assert [native["name"] for native in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_forced_tool_is_refused_if_unsupported(choice: Any) -> None:
    error = refused({"tools": [tool()], "tool_choice": choice}, ALWAYS)
    assert (error.code, error.param) == ("unsupported_parameter", "tool_choice")


def test_choice_of_an_undeclared_tool_is_refused() -> None:
    named = {"type": "function", "function": {"name": "g"}}
    assert refused({"tools": [tool()], "tool_choice": named}).param == "tool_choice"
    assert refused({"tool_choice": "required"}).param == "tool_choice"
    assert refused({"tools": [tool()], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}).status == 400
    nothing: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert refused({"tools": [tool()], "tool_choice": nothing}).param == "tool_choice"


def test_tool_choice_none_without_tools_is_left_out() -> None:
    assert "tool_choice" not in sent({"tool_choice": "none", "tools": []})


# --- response format --------------------------------------------------------------------------------------------------


OPEN = {"type": "object", "additionalProperties": {"type": "integer"}}


def test_schema_is_native_if_supported() -> None:
    body = sent(in_json(SCHEMA, strict=True, description="d"))
    schema = {**SCHEMA, "additionalProperties": False, "description": "d"}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(("schema", "capabilities"), [(SCHEMA, {"json_schema": False}), (OPEN, {})])
def test_schema_is_a_forced_tool_without_native_support(schema: Json, capabilities: Json) -> None:
    body = sent(in_json(schema), capabilities)
    assert body["tools"] == [{"name": "answer", "input_schema": schema}]
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert "output_config" not in body


def test_unsupported_schema_is_refused() -> None:
    assert refused(in_json(OPEN), ALWAYS).param == "response_format"
    assert refused({**in_json(OPEN), "tools": [tool()]}).param == "response_format"
    assert refused({**in_json(OPEN), "messages": LOOP}).param == "response_format"
    assert refused(in_json("x")).param == "response_format"
    assert refused({"response_format": {"type": "grammar"}}).param == "response_format"


def test_json_object_is_an_instruction_after_the_system() -> None:
    body = sent({"messages": [system("a"), user("b")], "response_format": {"type": "json_object"}})
    assert len(body["system"]) == 2
    assert "JSON" in body["system"][1]["text"]


def test_text_format_is_left_out() -> None:
    assert sent({"response_format": {"type": "text"}}) == sent({})


# --- tool calls and results -------------------------------------------------------------------------------------------


def test_results_are_in_one_user_message_before_its_text() -> None:
    calls = [call("c1", "f", '{"a": 1}'), call("c2", "g", "")]
    got = sent_messages(user("a"), assistant("", tool_calls=calls), result("c2", "2"), result("c1", "1"), user("and?"))
    assert got[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert got[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [text("2")]},
        text("and?"),
    ]


def test_text_beside_a_call_precedes_it() -> None:
    got = sent_messages(user("a"), assistant("I look.", tool_calls=[call("c1")]), result("c1"))
    assert [block["type"] for block in got[1]["content"]] == ["text", "tool_use"]


@pytest.mark.parametrize("given_id", ["call/1", "functions.f:0", "\u00e9", "", "x" * 400])
def test_invalid_id_is_rewritten_in_call_and_result(given_id: str) -> None:
    got = sent_messages(user("a"), assistant(None, tool_calls=[call(given_id)]), result(given_id))
    native = got[1]["content"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,256}", native)
    assert got[2]["content"][0]["tool_use_id"] == native


def test_reused_id_is_made_unique() -> None:
    again = [assistant(None, tool_calls=[call("call_0")]), result("call_0")]
    got = sent_messages(user("a"), *again, *again)
    ids = [got[index]["content"][0]["id"] for index in (1, 3)]
    assert len(set(ids)) == 2
    assert ids == [got[index]["content"][0]["tool_use_id"] for index in (2, 4)]


def test_same_conversation_yields_the_same_body() -> None:
    messages = [user("a"), assistant(None, tool_calls=[call("c:1", "f.g")]), result("c:1"), user("b")]
    assert build({"messages": messages}).body == build({"messages": messages}).body
    longer = sent_messages(*messages, assistant("c"), user("d"))
    assert longer[: len(sent_messages(*messages))] == sent_messages(*messages)


@pytest.mark.parametrize("arguments", ['{"a', "[1]", "nope", '{"a": NaN}', "7", "[" * 9999])
def test_arguments_other_than_an_object_are_kept(arguments: str) -> None:
    got = sent_messages(user("a"), assistant(None, tool_calls=[call("c1", "f", arguments)]), result("c1"))
    assert list(got[1]["content"][0]["input"]) == ["arguments"]


def test_result_may_contain_images_or_be_empty() -> None:
    got = sent_messages(
        user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", [image(f"data:;base64,{PNG}")])
    )
    assert got[2]["content"][0]["content"][0]["type"] == "image"
    got = sent_messages(user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", ""))
    assert got[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([user("a"), assistant(None, tool_calls=[call("c1")]), user("b")], "messages[2]"),
        ([user("a"), assistant(None, tool_calls=[call("c1"), call("c2")]), result("c1")], "messages"),
        ([user("a"), result("c1")], "messages[1].tool_call_id"),
        ([*LOOP, result("c1")], "messages[3].tool_call_id"),
        ([user("a"), {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
    ],
)
def test_calls_and_results_that_do_not_match_are_refused(messages: list[Json], param: str) -> None:
    assert refused({"messages": messages}).param == param


def test_calls_in_the_history_declare_their_tools_with_choice_none() -> None:
    body = sent({"messages": [*LOOP, user("b")]})
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


def test_call_of_another_type_is_refused() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    messages = [user("a"), assistant(None, tool_calls=[custom])]
    assert refused({"messages": messages}).param == "messages[1].tool_calls[0]"
