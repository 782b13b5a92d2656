"""JSON Schemas of request bodies, made from the structs by which the gateway checks them."""

from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct, defstruct

from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.uploads import File

Json = dict[str, Any]
_NOT_IN_BODY = ("extra", "sent", "native")


def request_schemas(requests: Sequence[type[Struct]]) -> tuple[dict[str, Json], dict[str, Json]]:
    """A reference to the schema of each request by the name of its class, and all schemas by their names.

    In a RequestBody a top-level null counts as "not given", and fields that the gateway does not read are passed on.
    """
    bodies = [_body(request) for request in requests]
    found, components = msgspec.json.schema_components(
        bodies, ref_template="#/components/schemas/{name}", schema_hook=_schema_of
    )
    for request in requests:
        schema = components[request.__name__]
        schema["additionalProperties"] = not request.__struct_config__.forbid_unknown_fields
        schema["description"] = (request.__doc__ or "").strip().split("\n\n")[0]
        required = schema.get("required", ())
        for name, field in schema["properties"].items():
            if name not in required and issubclass(request, RequestBody):
                schema["properties"][name] = _nullable(field)
    return {request.__name__: schema for request, schema in zip(requests, found, strict=True)}, components


def _schema_of(kind: type) -> Json:
    """The schema of a field that is no JSON: a file in a form."""
    assert kind is File
    return {"type": "string", "format": "binary"}


def _body(request: type[Struct]) -> type[Struct]:
    """A struct of the same name with the fields of the body alone."""
    hints = get_type_hints(request, include_extras=True)
    defaults = {field.name: field.default for field in msgspec.structs.fields(request)}
    fields: list[Any] = [
        (name, hints[name]) if defaults[name] is NODEFAULT else (name, hints[name], defaults[name])
        for name in request.__struct_fields__
        if name not in _NOT_IN_BODY
    ]
    return defstruct(request.__name__, fields, kw_only=True)


def _nullable(field: Json) -> Json:
    """The schema of an optional field, which may also be null."""
    kinds = field.get("anyOf", [])
    if {"type": "null"} in kinds or field.get("type") == "null":
        return field
    default = {"default": field.pop("default")} if "default" in field else {}
    return {"anyOf": [field, {"type": "null"}], **default}
