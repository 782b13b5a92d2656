"""JSON Schemas of responses. They name what every response has; a provider's further fields are passed on."""

from typing import Any

Json = dict[str, Any]


def _object(required: Json, **optional: Json) -> Json:
    return {"type": "object", "required": [*required], "properties": {**required, **optional}}


def _list(item: Json) -> Json:
    return {"type": "array", "items": item}


def ref(name: str) -> Json:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
ANY: Json = {}
OBJECT: Json = {"type": "object"}
_OPTIONAL_TEXT: Json = {"type": ["string", "null"]}
_OPTIONAL_NUMBER: Json = {"type": ["number", "null"]}
_USAGE = _object({"prompt_tokens": COUNT, "total_tokens": COUNT}, completion_tokens=COUNT)
_ADMIN_KEY = _object(
    {
        "key_id": TEXT,
        "name": TEXT,
        "status": {"enum": ["active", "revoked", "expired"]},
        "role": {"enum": ["user", "admin"]},
        "team": _OPTIONAL_TEXT,
        "models": _list(TEXT),
    },
    state=OBJECT,
)
_CHOICE = _object({"index": COUNT, "message": OBJECT, "finish_reason": _OPTIONAL_TEXT})

SCHEMAS: dict[str, Json] = {
    "Error": _object(
        {"error": _object({"message": TEXT, "type": TEXT, "param": _OPTIONAL_TEXT, "code": _OPTIONAL_TEXT})}
    ),
    "AnthropicError": _object({"type": {"const": "error"}, "error": _object({"type": TEXT, "message": TEXT})}),
    "ChatCompletion": _object(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": _list(_CHOICE),
            "provider": TEXT,
        },
        usage=_USAGE,
    ),
    "Response": _object(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": NUMBER,
            "model": TEXT,
            "status": TEXT,
            "output": _list(OBJECT),
            "store": {"const": False},
        }
    ),
    "MessagesResponse": _object(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": TEXT,
            "content": _list(OBJECT),
            "stop_reason": _OPTIONAL_TEXT,
            "usage": _object({"input_tokens": COUNT, "output_tokens": COUNT}),
        }
    ),
    "TokenCount": _object({"input_tokens": COUNT}),
    "TextCompletion": _object(
        {
            "id": TEXT,
            "object": {"const": "text_completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": _list(_object({"text": TEXT, "index": COUNT, "finish_reason": _OPTIONAL_TEXT})),
        },
        usage=_USAGE,
    ),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "data": _list(_object({"object": TEXT, "index": COUNT, "embedding": {"type": ["array", "string"]}})),
            "model": TEXT,
        },
        usage=_USAGE,
    ),
    "Images": _object({"created": COUNT, "data": _list(OBJECT), "provider": TEXT}),
    "Moderations": _object({"id": TEXT, "model": TEXT, "results": _list(OBJECT)}),
    "Transcript": _object({"text": TEXT}, usage=OBJECT),
    "Ranking": _object(
        {
            "id": TEXT,
            "model": TEXT,
            "results": _list(_object({"index": COUNT, "relevance_score": NUMBER})),
        }
    ),
    "Model": _object({"id": TEXT}),
    "ModelEndpoints": _object(
        {"data": _object({"id": TEXT, "endpoints": _list(_object({"provider_name": TEXT, "pricing": OBJECT}))})}
    ),
    "Providers": _object({"data": _list(_object({"name": TEXT, "slug": TEXT}))}),
    "Models": _object({"data": _list(ref("Model"))}),
    "Upload": _object({"id": TEXT, "method": TEXT, "url": TEXT, "headers": OBJECT, "reference": TEXT}),
    "Usage": OBJECT,
    "Key": _object({"data": OBJECT}),
    "Credits": _object({"data": _object({"total_credits": _OPTIONAL_NUMBER, "total_usage": _OPTIONAL_NUMBER})}),
    "Generation": _object(
        {"data": _object({"id": TEXT, "request_id": TEXT, "operation": TEXT, "model": TEXT, "attempts": _list(OBJECT)})}
    ),
    "Requests": _object({"object": {"const": "list"}, "data": _list(OBJECT), "next": _OPTIONAL_TEXT}),
    "AdminKey": _ADMIN_KEY,
    "AdminKeys": _object({"object": {"const": "list"}, "data": _list(ref("AdminKey"))}),
    "NewSecret": _object({"key_id": TEXT, "name": TEXT, "key": TEXT}),
    "AdminTeam": _object({"team_id": TEXT, "name": TEXT}),
    "AdminTeams": _object({"object": {"const": "list"}, "data": _list(ref("AdminTeam"))}),
    "Deleted": _object({"deleted": {"const": True}}),
    "Reset": _object({"reset": {"const": True}}),
    "Audit": _object({"object": {"const": "list"}, "data": _list(_object({"at": TEXT, "by": TEXT, "action": TEXT}))}),
    "Catalog": _object(
        {
            "object": {"const": "list"},
            "data": _list(OBJECT),
            "tiers": OBJECT,
            "guardrails": _list(TEXT),
            "credentials": _list(TEXT),
        }
    ),
    "Health": _object({"status": {"const": "ok"}, "version": TEXT, "timestamp": TEXT}),
    "About": _object({"name": TEXT, "description": TEXT, "base_urls": OBJECT, "endpoints": _list(TEXT)}),
}
