"""Reduces JSON schemas to the subset that providers enforce; other keywords become part of the description.

The subset is Anthropic's: API documentation, "Structured outputs", section "JSON Schema limitations".
"""

import json
from collections import Counter
from typing import Any, cast

from tollgate.adapters.json_access import child
from tollgate.gateway.types import Json

_KEPT = frozenset({"$ref", "title", "description", "enum", "const", "default", "required", "type"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_NAMED = frozenset({"properties", "$defs", "definitions"})
_REMOVED = frozenset({"$schema", "$id", "additionalProperties", "$comment", "examples"})
_TYPE_OF_KEYWORD = {"properties": "object", "required": "object", "items": "array", "minItems": "array"}
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_COMBINED = frozenset({"anyOf", "oneOf", "allOf"})
_ANNOTATIONS = ("title", "description", "default", "$defs", "definitions")


def is_open(schema: Any) -> bool:
    """Whether it allows objects with keys of any name, which providers cannot enforce."""
    if isinstance(schema, list):
        return any(is_open(item) for item in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return False
    node = cast(Json, schema)
    if "object" in _types(node) and not ({"properties", "$ref", "anyOf", "oneOf", "allOf", "enum"} & node.keys()):
        return True
    if node.get("additionalProperties", False) is not False or "patternProperties" in node:
        return True
    named = [cast(Json, node[name]) for name in _NAMED if isinstance(node.get(name), dict)]
    nested = [schema for schemas in named for schema in schemas.values()]
    return is_open([*nested, *(node.get(name) for name in ("items", "anyOf", "oneOf", "allOf"))])


def without_branches(schema: Json) -> Json:
    """The schema of an object without `anyOf`, `oneOf` and `allOf` at its root, which some APIs refuse in tools.

    It allows the properties of every branch and requires only those that all alternatives require. The branches become
    part of the description.
    """
    branches = {name: schema[name] for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list)}
    if not branches:
        return schema
    plain = {name: value for name, value in schema.items() if name not in branches}
    properties, required = {**child(plain, "properties")}, _required(plain)
    for name, branch_list in branches.items():
        objects = [cast(Json, branch) for branch in cast("list[Any]", branch_list) if isinstance(branch, dict)]
        for branch in objects:
            for field, schema_of_field in child(branch, "properties").items():
                properties.setdefault(field, schema_of_field)
        required_by = Counter(field for branch in objects for field in _required(branch))
        required += [field for field, times in required_by.items() if name == "allOf" or times == len(objects)]
    description = f"{plain.get('description') or ''} It must match: {json.dumps(branches)}".strip()
    return {**plain, "properties": properties, "required": list(dict.fromkeys(required)), "description": description}


def _required(schema: Json) -> list[str]:
    names = cast("list[Any]", schema["required"]) if isinstance(schema.get("required"), list) else []
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def strict_schema(schema: Any) -> Any:
    """The schema in the subset: objects are closed, `oneOf` is `anyOf`, bounds and patterns are in the description."""
    if not isinstance(schema, dict):
        return {} if isinstance(schema, bool) else schema
    node = cast(Json, schema)
    types = _types(node)
    if len(types) > 1:
        return _one_of_types(node, types)
    strict: Json = {}
    unsupported: list[str] = []
    for name, value in node.items():
        if not _copy_keyword(strict, name, value) and name not in _REMOVED:
            unsupported.append(f"{name}: {json.dumps(value)}")
    if "object" in types or "properties" in strict:
        strict["additionalProperties"] = False
    if unsupported:
        strict["description"] = f"{strict.get('description') or ''} ({', '.join(unsupported)})".strip()
    return strict


def _copy_keyword(strict: Json, name: str, value: Any) -> bool:
    """Copy a keyword if it is in the subset; returns whether it is."""
    if name in _NAMED and isinstance(value, dict):
        strict[name] = {key: strict_schema(inner) for key, inner in cast(Json, value).items()}
    elif name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        target = "allOf" if name == "allOf" else "anyOf"
        strict.setdefault(target, []).extend(strict_schema(inner) for inner in cast("list[Any]", value))
    elif name == "items" and isinstance(value, dict):
        strict[name] = strict_schema(value)
    elif (name in _KEPT or (name == "minItems" and value in (0, 1))) or (name == "format" and str(value) in _FORMATS):
        strict[name] = value
    else:
        return False
    return True


def _one_of_types(node: Json, types: list[Any]) -> Json:
    """A list of types as `anyOf`, each with the keywords of its type; `enum` and `const` need no type."""
    if "enum" in node or "const" in node:
        return strict_schema({name: value for name, value in node.items() if name != "type"})
    rest = {name: value for name, value in node.items() if name not in _ANNOTATIONS and name != "type"}
    if _COMBINED & rest.keys():  # repeated in each branch, they would double with every level
        description = f"{node.get('description') or ''} (type: {json.dumps(types)})".strip()
        return strict_schema(
            {**{name: node[name] for name in _ANNOTATIONS if name in node}, **rest, "description": description}
        )
    branches = [
        {"type": "null"}
        if kind == "null"
        else {"type": kind, **{name: value for name, value in rest.items() if _TYPE_OF_KEYWORD.get(name, kind) == kind}}
        for kind in dict.fromkeys(kind for kind in types if isinstance(kind, str) and kind in _TYPES)
    ]
    annotations = strict_schema({name: node[name] for name in _ANNOTATIONS if name in node})
    return {**annotations, "anyOf": [strict_schema(branch) for branch in branches]}


def _types(node: Json) -> list[Any]:
    kind = node.get("type")
    return cast("list[Any]", kind) if isinstance(kind, list) else [kind]
