"""JSON schemas in the subset that providers enforce: what is kept, what becomes part of the description."""

from typing import Any

import pytest

from tollgate.adapters.strict_schema import is_open, strict_schema, without_branches
from tollgate.gateway.types import Json


def test_every_object_is_closed() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema: Json = {"type": "object", "properties": {"a": inner, "c": {"type": "array", "items": inner}}}
    closed = {**inner, "additionalProperties": False}
    properties = {"a": closed, "c": {"type": "array", "items": closed}}
    assert strict_schema(schema) == {"type": "object", "properties": properties, "additionalProperties": False}


def test_definitions_and_references_stay() -> None:
    schema: Json = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {}}}}
    assert strict_schema(schema) == {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"properties": {}, "additionalProperties": False}},
    }


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("minimum", 1), ("maxLength", 5), ("pattern", "^a"), ("minItems", 2), ("uniqueItems", True), ("format", "ulid")],
)
def test_bound_moves_into_the_description(keyword: str, value: Any) -> None:
    got = strict_schema({"type": "string", keyword: value, "description": "A thing."})
    assert set(got) == {"type", "description"}
    assert got["description"].startswith(f"A thing. ({keyword}: ")


@pytest.mark.parametrize(("keyword", "value"), [("minItems", 1), ("format", "date"), ("enum", ["a"]), ("const", 1)])
def test_keywords_of_the_subset_are_kept(keyword: str, value: Any) -> None:
    assert strict_schema({"type": "string", keyword: value}) == {"type": "string", keyword: value}


def test_one_of_is_any_of() -> None:
    assert strict_schema({"oneOf": [{"type": "null"}, {"type": "integer"}]}) == {
        "anyOf": [{"type": "null"}, {"type": "integer"}]
    }


def test_list_of_types_is_any_of_each_with_its_keywords() -> None:
    schema: Json = {"type": ["object", "array", "null"], "properties": {}, "items": {"type": "string"}, "title": "t"}
    assert strict_schema(schema) == {
        "title": "t",
        "anyOf": [
            {"type": "object", "properties": {}, "additionalProperties": False},
            {"type": "array", "items": {"type": "string"}},
            {"type": "null"},
        ],
    }
    assert strict_schema({"type": ["string", "null"], "enum": ["a", None]}) == {"enum": ["a", None]}


def test_anything_is_an_empty_schema() -> None:
    assert strict_schema(True) == {}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": ["object", "null"]},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"anyOf": [{"type": "null"}, {"type": "object"}]},
        {"type": "array", "items": {"type": "object", "patternProperties": {}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
    ],
)
def test_object_with_keys_of_any_name_is_open(schema: Json) -> None:
    assert is_open(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"additionalProperties": {"type": "string"}}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "string"},
        {"$ref": "#/$defs/a"},
    ],
)
def test_object_with_declared_keys_is_closed(schema: Json) -> None:
    assert not is_open(schema)


def test_branches_at_the_root_become_one_object_and_a_description() -> None:
    a, b = ({"properties": {n: {"type": "string"}, "x": {}}, "required": [n, "x"]} for n in "ab")
    schema: Json = {"type": "object", "description": "d.", "properties": {"p": {}}, "required": ["p"], "anyOf": [a, b]}
    flat = without_branches(schema)
    assert flat["properties"].keys() == {"p", "a", "b", "x"}
    assert flat["required"] == ["p", "x"]
    assert flat["description"].startswith("d. It must match: ")
    assert without_branches({"type": "object", "allOf": [a, b]})["required"] == ["a", "x", "b"]
    assert without_branches({"type": "object", "oneOf": [3, {"required": [{}, "q"]}]})["required"] == ["q"]
    assert without_branches({"type": "object", "properties": {"p": {}}}) == {"type": "object", "properties": {"p": {}}}
