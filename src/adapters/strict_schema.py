"""JSON schemas cut down to what providers compile into grammars: what they refuse goes into words for the model.

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
_SILENT = frozenset({"$schema", "$id", "additionalProperties", "$comment", "examples"})
_OWNERS = {"properties": "object", "required": "object", "items": "array", "minItems": "array"}
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_COMBINED = frozenset({"anyOf", "oneOf", "allOf"})
_AROUND = ("title", "description", "default", "$defs", "definitions")


def is_open(schema: Any) -> bool:
    """Whether it allows objects with keys of any name, which no grammar can be made of."""
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
    inner = [child for children in named for child in children.values()]
    return is_open([*inner, *(node.get(name) for name in ("items", "anyOf", "oneOf", "allOf"))])


def without_branches(schema: Json) -> Json:
    """The schema of an object whose root has no `anyOf`, `oneOf` or `allOf`, which tools may not have everywhere.

    What any branch allows, it allows; it requires only what all alternatives do. The model is told the rest in words.
    """
    branches = {name: schema[name] for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list)}
    if not branches:
        return schema
    plain = {name: value for name, value in schema.items() if name not in branches}
    properties, required = {**child(plain, "properties")}, _required(plain)
    for name, listed in branches.items():
        objects = [cast(Json, branch) for branch in cast("list[Any]", listed) if isinstance(branch, dict)]
        for branch in objects:
            for field, schema_of_field in child(branch, "properties").items():
                properties.setdefault(field, schema_of_field)
        needed = Counter(field for branch in objects for field in _required(branch))
        required += [field for field, times in needed.items() if name == "allOf" or times == len(objects)]
    told = f"{plain.get('description') or ''} It must match: {json.dumps(branches)}".strip()
    return {**plain, "properties": properties, "required": list(dict.fromkeys(required)), "description": told}


def _required(schema: Json) -> list[str]:
    names = cast("list[Any]", schema["required"]) if isinstance(schema.get("required"), list) else []
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def strict_schema(schema: Any) -> Any:
    """The same schema in the subset: objects closed, `oneOf` as `anyOf`, bounds and patterns in the description."""
    if not isinstance(schema, dict):
        return {} if isinstance(schema, bool) else schema
    node = cast(Json, schema)
    types = _types(node)
    if len(types) > 1:
        return _one_of_types(node, types)
    strict: Json = {}
    said: list[str] = []
    for name, value in node.items():
        if not _keep(strict, name, value) and name not in _SILENT:
            said.append(f"{name}: {json.dumps(value)}")
    if "object" in types or "properties" in strict:
        strict["additionalProperties"] = False
    if said:
        strict["description"] = f"{strict.get('description') or ''} ({', '.join(said)})".strip()
    return strict


def _keep(strict: Json, name: str, value: Any) -> bool:
    """Write one keyword down, if the subset has it."""
    if name in _NAMED and isinstance(value, dict):
        strict[name] = {key: strict_schema(inner) for key, inner in cast(Json, value).items()}
    elif name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        place = "allOf" if name == "allOf" else "anyOf"
        strict.setdefault(place, []).extend(strict_schema(inner) for inner in cast("list[Any]", value))
    elif name == "items" and isinstance(value, dict):
        strict[name] = strict_schema(value)
    elif (name in _KEPT or (name == "minItems" and value in (0, 1))) or (name == "format" and str(value) in _FORMATS):
        strict[name] = value
    else:
        return False
    return True


def _one_of_types(node: Json, types: list[Any]) -> Json:
    """A list of types as `anyOf`, each with the keywords that concern it; literals need no type."""
    if "enum" in node or "const" in node:
        return strict_schema({name: value for name, value in node.items() if name != "type"})
    rest = {name: value for name, value in node.items() if name not in _AROUND and name != "type"}
    if _COMBINED & rest.keys():  # said in each branch they would double with every level
        told = f"{node.get('description') or ''} (type: {json.dumps(types)})".strip()
        return strict_schema({**{name: node[name] for name in _AROUND if name in node}, **rest, "description": told})
    branches = [
        {"type": "null"}
        if kind == "null"
        else {"type": kind, **{name: value for name, value in rest.items() if _OWNERS.get(name, kind) == kind}}
        for kind in dict.fromkeys(kind for kind in types if isinstance(kind, str) and kind in _TYPES)
    ]
    around = strict_schema({name: node[name] for name in _AROUND if name in node})
    return {**around, "anyOf": [strict_schema(branch) for branch in branches]}


def _types(node: Json) -> list[Any]:
    kind = node.get("type")
    return cast("list[Any]", kind) if isinstance(kind, list) else [kind]
