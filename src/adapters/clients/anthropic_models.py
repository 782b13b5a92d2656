"""Models as Anthropic's API describes and pages them ("List Models", "Get a Model")."""

from collections.abc import Mapping, Sequence

from tollgate.gateway.catalog import Model
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


def describe(model: Model, name: str) -> Json:
    """One model under this name. The catalog has no names for display."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": f"{model.created.isoformat()}T00:00:00Z",
        "max_input_tokens": model.context_length,
        "max_tokens": model.capabilities.max_output_tokens,
    }


def page(models: Sequence[tuple[Model, str]], query: Mapping[str, str]) -> Json:
    """One page of models, each with its name, the newest first. Raises BadRequestError, naming the parameter."""
    newest_first = sorted(models, key=lambda entry: entry[0].created, reverse=True)
    names = [name for _, name in newest_first]
    limit = _limit(query)
    if "after_id" in query and "before_id" in query:
        raise BadRequestError("It cannot be combined with after_id.", param="before_id", code="invalid_value")
    if "before_id" in query:
        end = _place(names, query, "before_id")
        start = max(0, end - limit)
        has_more = start > 0
    else:
        start = _place(names, query, "after_id") + 1 if "after_id" in query else 0
        end = start + limit
        has_more = end < len(names)
    data = [describe(model, name) for model, name in newest_first[start:end]]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": has_more, "first_id": first, "last_id": last}


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequestError(f"It is a number from 1 to {MAX_LIMIT}.", param="limit", code="invalid_value")
    return int(text)


def _place(names: Sequence[str], query: Mapping[str, str], param: str) -> int:
    if query[param] not in names:
        raise BadRequestError("It is the id of a model on another page.", param=param, code="invalid_value")
    return names.index(query[param])
