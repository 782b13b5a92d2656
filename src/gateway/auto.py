"""Which model the name `auto` stands for, and a request without a model: the table `[routing]` of the catalog.

A request is complex from a score on that the catalog sets. The score adds up what a request shows of itself:

| a prompt of 4,000 / 16,000 / 64,000 bytes and more | 1 / 2 / 4 |
| more than ten messages | 1 |
| tools / more than ten | 2 / 3 |
| images, sounds, documents | 2 |
| a JSON schema for the answer | 1 |
| code, in a fenced block | 2 |
| reasoning requested, other than none, minimal or low | 4 |
"""

from collections.abc import Mapping
from typing import Any, cast

from tollgate.gateway.catalog import Catalog
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_estimate import measured
from tollgate.gateway.model_suffixes import without_suffix
from tollgate.gateway.operations import Req
from tollgate.gateway.types import Json
from tollgate.gateway.validation import missing

AUTO = "auto"
_LENGTHS = ((64_000, 4), (16_000, 2), (4_000, 1))
_MANY_MESSAGES, _MANY_TOOLS = 10, 10
_FENCE = "```"
_LITTLE_REASONING = frozenset({"none", "minimal", "low"})


def with_model(catalog: Catalog, request: Req) -> Req:
    """The request with the model that the catalog chooses for it, if its client leaves the choice, and without a
    suffix for the gateway.

    Raises BadRequestError for a request without a model, if the catalog has no default, and for a suffix that the
    gateway cannot follow.
    """
    if not request.model and (first := _first_of_models(request.extra)):
        request = _with_model(request, first)
    if not request.model:
        default = catalog.routing.default_model
        if default is None:
            raise missing("model")
        return _with_model(request, default)
    auto = catalog.routing.auto
    if request.model != AUTO or auto is None or AUTO in catalog.names or not isinstance(request, ChatRequest):
        return without_suffix(catalog, request) if ":" in request.model else request
    return _with_model(request, auto.complex if score(request) >= auto.threshold else auto.plain)


def _first_of_models(fields: Mapping[str, Any]) -> str | None:
    """The first of OpenRouter's `models`, which may stand alone; wrong values are refused where they are read."""
    models = cast("list[Any]", fields["models"]) if isinstance(fields.get("models"), list) else []
    return models[0] if models and isinstance(models[0], str) and models[0] else None


def score(request: ChatRequest) -> int:
    """How complex a request is, by the table above."""
    length, attached = measured(request)
    tools = len(request.tools or ())
    return (
        next((points for at_least, points in _LENGTHS if length >= at_least), 0)
        + (len(request.messages) > _MANY_MESSAGES)
        + (3 if tools > _MANY_TOOLS else 2 if tools else 0)
        + (2 if attached else 0)
        + ((request.response_format or {}).get("type") == "json_schema")
        + (2 if _has_code(request) else 0)
        + (4 if _requests_reasoning(request.extra) else 0)
    )


def _has_code(request: ChatRequest) -> bool:
    for message in request.messages:
        content = message.get("content")
        texts = [content] if isinstance(content, str) else [part.get("text") or "" for part in content or ()]
        if any(_FENCE in text for text in texts):
            return True
    return False


def _requests_reasoning(fields: Mapping[str, Any]) -> bool:
    """In OpenAI's field, OpenRouter's or Anthropic's."""
    reasoning = _object(fields.get("reasoning"))
    effort = fields.get("reasoning_effort") or reasoning.get("effort")
    if isinstance(effort, str):
        return effort not in _LITTLE_REASONING
    thinking = _object(fields.get("thinking")).get("type", "disabled")
    return bool(reasoning.get("enabled") or reasoning.get("max_tokens")) or thinking != "disabled"


def _object(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _with_model(request: Req, model: str) -> Req:
    assert isinstance(request, ChatRequest)
    return cast(Req, request.with_fields(model=model))
