"""The choice of a model for a client that leaves it: the score of a request, and the rows that it chooses between."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as struct_replace

from support.gateway_harness import CATALOG, MODEL
from tollgate.gateway.auto import score, with_model
from tollgate.gateway.catalog import AutoModel, Catalog, Routing
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import BadRequestError

ROUTED = replace(CATALOG, routing=Routing(default_model="m", auto=AutoModel(plain="m", complex="echo", threshold=4)))
TOOL = {"type": "function", "function": {"name": "f"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


def chat(content: Any = "Hello", model: str | None = "auto", **fields: Any) -> ChatRequest:
    return ChatRequest.of({"model": model, "messages": [{"role": "user", "content": content}], **fields})


@pytest.mark.parametrize(
    ("request_", "points"),
    [
        (chat(), 0),
        (chat("a" * 3_999), 0),
        (chat("a" * 4_000), 1),
        (chat("a" * 16_000), 2),
        (chat("a" * 64_000), 4),
        (chat(messages=[{"role": "user", "content": "a"}] * 11), 1),
        (chat(tools=[TOOL]), 2),
        (chat(tools=[TOOL] * 11), 3),
        (chat([{"type": "text", "text": "What?"}, IMAGE]), 2),
        (chat(response_format={"type": "json_schema", "json_schema": {}}), 1),
        (chat(response_format={"type": "json_object"}), 0),
        (chat("Why?\n```python\n1/0\n```"), 2),
        (chat([{"type": "text", "text": "```"}]), 2),
        (chat(reasoning_effort="high"), 4),
        (chat(reasoning_effort="low"), 0),
        (chat(reasoning={"max_tokens": 2000}), 4),
        (chat(reasoning={"enabled": False}), 0),
        (chat(thinking={"type": "enabled", "budget_tokens": 2000}), 4),
        (chat(thinking={"type": "disabled"}), 0),
        (chat("```", tools=[TOOL]), 4),
    ],
)
def test_score_adds_up_what_a_request_shows(request_: ChatRequest, points: int) -> None:
    assert score(request_) == points


@pytest.mark.parametrize(
    ("request_", "model"),
    [
        (chat(), "m"),
        (chat("```", tools=[TOOL]), "echo"),
        (chat(model=None), "m"),
        (chat(model="alias"), "alias"),
        (chat("```", model="m", tools=[TOOL]), "m"),
    ],
)
def test_model_is_chosen_where_the_client_leaves_it(request_: ChatRequest, model: str) -> None:
    assert with_model(ROUTED, request_).model == model


def test_request_without_a_model_is_400_if_the_catalog_has_no_default() -> None:
    with pytest.raises(BadRequestError) as raised:
        with_model(CATALOG, chat(model=None))
    assert (raised.value.param, raised.value.code) == ("model", "missing_required_parameter")


def test_auto_is_an_ordinary_name_for_other_operations_without_a_row_and_for_a_model_of_this_name() -> None:
    embeddings = EmbeddingsRequest.of({"model": "auto", "input": "a"})
    assert with_model(ROUTED, embeddings).model == "auto"
    assert with_model(CATALOG, chat()).model == "auto"
    own = struct_replace(MODEL, id="auto")
    named = Catalog({}, {"auto": own}, {"auto": own}, {}, routing=ROUTED.routing)
    assert with_model(named, chat("```", tools=[TOOL])).model == "auto"
