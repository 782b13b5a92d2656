"""Tools and tool choice in requests to generateContent."""

from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.gemini_requests import SCHEMA, assistant, call, dropped, refused, result, sent, tool, user


def test_tool_has_its_name_description_and_schema() -> None:
    (native,) = sent({"tools": [tool("f", description="d", parameters=SCHEMA)]})["tools"]
    assert native == {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]}


@pytest.mark.parametrize(
    "function", [{}, {"parameters": {}}, {"parameters": {"type": "object", "properties": {}, "required": []}}]
)
def test_tool_without_parameters_has_no_schema(function: Json) -> None:
    assert sent({"tools": [tool("f", **function)]})["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


@pytest.mark.parametrize("parameters", [{"type": "object"}, {"properties": {}, "additionalProperties": True}])
def test_tool_of_any_parameters_keeps_its_schema(parameters: Json) -> None:
    (native,) = sent({"tools": [tool("f", parameters=parameters)]})["tools"][0]["functionDeclarations"]
    assert native["parametersJsonSchema"] == {"type": "object", **parameters}


def test_reference_in_a_schema_has_no_other_keywords() -> None:
    node = {"$ref": "#/$defs/n", "description": "d"}
    schema: Json = {"type": "object", "properties": {"n": node, "m": {"$ref": "#/$defs/n"}}, "$defs": {"n": SCHEMA}}
    (native,) = sent({"tools": [tool("f", parameters=schema)]})["tools"][0]["functionDeclarations"]
    assert native["parametersJsonSchema"]["properties"] == {
        "n": {"anyOf": [{"$ref": "#/$defs/n"}], "description": "d"},
        "m": {"$ref": "#/$defs/n"},
    }


@pytest.mark.parametrize("name", ["a/b", "\u00e9", "1st", "-f", "x" * 200])
def test_invalid_tool_name_is_rewritten_consistently(name: str) -> None:
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call("c", name)]), result("c")],
            "tools": [tool(name), tool("f")],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    native = body["tools"][0]["functionDeclarations"][0]["name"]
    assert native != name
    assert native[0].isalpha() or native[0] == "_"
    assert native.isascii()
    assert len(native) <= 128
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == native
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == native
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": [native]}


@pytest.mark.parametrize("name", ["files.read", "ns:f", "f-1", "_f"])
def test_valid_tool_name_is_kept(name: str) -> None:
    assert sent({"tools": [tool(name)]})["tools"][0]["functionDeclarations"] == [{"name": name}]


@pytest.mark.parametrize(
    ("openai_value", "native"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "g"}}, {"mode": "ANY", "allowedFunctionNames": ["g"]}),
    ],
)
def test_tool_choice_is_googles(openai_value: Any, native: Json | None) -> None:
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": openai_value})
    assert body.get("toolConfig") == (native and {"functionCallingConfig": native})


def test_allowed_tools_are_the_ones_that_are_sent() -> None:
    choice: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}}
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": choice})
    assert body["tools"] == [{"functionDeclarations": [{"name": "g"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


@pytest.mark.parametrize(("choice", "mode"), [(None, "VALIDATED"), ("required", "ANY"), ("none", "NONE")])
def test_strict_tools_have_validated_mode(choice: str | None, mode: str) -> None:
    body = sent({"tools": [tool("f", parameters=SCHEMA, strict=True)], "tool_choice": choice})
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_parallel_tool_calls_is_dropped_and_reported() -> None:
    assert dropped({"tools": [tool()], "parallel_tool_calls": False}) == ("parallel_tool_calls",)


def test_tool_other_than_a_function_is_refused() -> None:
    assert refused({"tools": [{"type": "custom", "custom": {"name": "f"}}]}).param == "tools[0].type"
