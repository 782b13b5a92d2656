"""The OpenAPI document (OpenAPI Specification 3.1) of every endpoint."""

import re
from typing import Any

from devtools.openapi.endpoints import ENDPOINTS, EXAMPLES, Described
from devtools.openapi.responses import ANY, SCHEMAS, TEXT, ref
from devtools.openapi.schemas import request_schemas
from tollgate.gateway.key_bodies import Rotation
from tollgate.gateway.replay import CACHE, MAX_KEY_LENGTH
from tollgate.handler.http.endpoints import ENDPOINTS as OPERATIONS
from tollgate.handler.http.request_options import MAX_TIMEOUT_MS, SESSION, TIMEOUT

Json = dict[str, Any]
ERRORS = {
    "400": "A field is wrong, which `param` names, or the provider cannot do what is requested",
    "401": "The API key is missing, unknown, revoked or expired",
    "402": "The budget of the key does not cover the request",
    "403": "The key may not do this",
    "404": "The model, or what is requested, does not exist",
    "409": "A request with this Idempotency-Key is in flight",
    "413": "The body is too large",
    "415": "The content type is wrong",
    "422": "The Idempotency-Key was used for another request",
    "429": "A limit of the key or of the provider is reached; `retry-after` says how long to wait",
    "499": "The client disconnected",
    "500": "The gateway failed",
    "502": "The provider failed, or refused the gateway's credential",
    "503": "The provider is overloaded, or the store does not respond",
    "504": "The provider did not respond in time",
}
_OF_READS = ("400", "401", "403", "404", "500", "503")
_REQUEST_ID = {"x-request-id": {"description": "The id of the request, as in the log", "schema": TEXT}}
_HEADERS = {
    **_REQUEST_ID,
    "x-tollgate-provider": {"description": "The provider that answered", "schema": TEXT},
    "x-tollgate-upstream-model": {"description": "The provider's name of the model", "schema": TEXT},
    "x-tollgate-attempts": {"description": "The number of attempts", "schema": TEXT},
    "x-tollgate-overhead-ms": {"description": "Milliseconds in which no provider was waited for", "schema": TEXT},
    "x-tollgate-cost-usd": {"description": "What a whole response cost, if that is known", "schema": TEXT},
    "x-tollgate-dropped-params": {"description": "Parameters that were changed or not sent", "schema": TEXT},
}
_OPTIONS: list[Json] = [
    {
        "name": TIMEOUT,
        "in": "header",
        "description": "Milliseconds that the request may take in all",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_MS},
    },
    {"name": SESSION, "in": "header", "description": "Requests of one session prefer one route", "schema": TEXT},
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same request under the same key gets the stored response, for 24 hours",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    },
    {
        "name": CACHE,
        "in": "header",
        "description": "ttl=SECONDS: take the response from the cache, or keep it there for so long",
        "schema": {"type": "string", "pattern": "^ttl=[1-9][0-9]{0,4}$"},
    },
]


def document() -> Json:
    """The document."""
    requests = list(dict.fromkeys(each.request for each in ENDPOINTS.values() if each.request))
    references, components = request_schemas(requests)
    paths: dict[str, Json] = {}
    for (method, path), described in ENDPOINTS.items():
        operation = _operation(method, path, described, references)
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": "1",
            "description": "An LLM gateway for clients of OpenAI's, OpenRouter's and Anthropic's APIs. "
            "Every /v1 path is also /api/v1.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**components, **SCHEMAS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key, sk-tg-..."},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(method: str, path: str, described: Described, references: dict[str, Json]) -> Json:
    operation: Json = {
        "summary": described.summary,
        "operationId": f"{method.lower()}{''.join(c if c.isalnum() else '_' for c in path)}".rstrip("_"),
        "responses": _responses(method, path, described),
        "security": [],
    }
    if described.needs_key:
        takes_x_api_key = described.is_anthropic or described.takes_x_api_key
        operation["security"] = [{"bearer": []}, *([{"x-api-key": []}] if takes_x_api_key else [])]
    if described.request is not None:
        example = {"example": EXAMPLES[path]} if path in EXAMPLES else {}
        content: Json = {"schema": references[described.request.__name__], **example}
        is_required = described.request is not Rotation
        operation["requestBody"] = {"required": is_required, "content": {described.body_type: content}}
    parameters: list[Json] = [
        {"name": name, "in": "query", "description": text, "schema": TEXT}
        for name, text in described.parameters.items()
    ]
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", path)
    ]
    if (method, path) in {(each.method, each.path) for each in OPERATIONS}:
        parameters += _OPTIONS
    return {**operation, **({"parameters": parameters} if parameters else {})}


def _responses(method: str, path: str, described: Described) -> Json:
    error = ref("AnthropicError" if described.is_anthropic else "Error")
    if described.response == "Nothing":
        gone = _response(ERRORS["404"], {"application/json": error})
        return {"200": {"description": described.summary}, "404": gone, "413": _response(ERRORS["413"], {})}
    if (method, path) == ("GET", "/v1/responses"):
        return {"426": _response("There is no WebSocket here: send POST requests", {"application/json": error})}
    if path.startswith("/admin/"):
        return _admin_responses(described)
    in_json = {} if described.response is None else {"application/json": ref(described.response)}
    content: Json = {**in_json, **dict.fromkeys(described.media_types, ANY)}
    statuses = ERRORS if described.request else {status: ERRORS[status] for status in _OF_READS}
    if not described.needs_key:
        statuses = {}
    responses = {str(described.status): _response(described.summary, content)}
    if path.startswith("/v1/models"):
        responses["304"] = {"description": "The list has the ETag of If-None-Match"}
        error = {"anyOf": [ref("Error"), ref("AnthropicError")]}
    responses |= {status: _response(text, {"application/json": error}) for status, text in statuses.items()}
    return responses


def _admin_responses(described: Described) -> Json:
    content: Json = {"application/json": ref(described.response or ""), **dict.fromkeys(described.media_types, ANY)}
    failures = {**{status: ERRORS[status] for status in _OF_READS}, "409": "The team has keys, or there is such a key"}
    error = {"application/json": ref("Error")}
    return {
        str(described.status): _response(described.summary, content, _REQUEST_ID),
        **{status: _response(text, error, _REQUEST_ID) for status, text in failures.items()},
    }


def _response(description: str, content: Json, headers: Json = _HEADERS) -> Json:
    media = {media_type: {"schema": schema} for media_type, schema in content.items()}
    return {"description": description, "headers": headers, "content": media}
