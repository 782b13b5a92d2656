"""Suffixes of model names: the preferences that they stand for, and the names that only look like them."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as struct_replace

from support.gateway_harness import CATALOG, MODEL
from tollgate.gateway.auto import with_model
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError

TAGGED = struct_replace(MODEL, id="llama:free")
NAMED = replace(CATALOG, names={**CATALOG.names, "llama:free": TAGGED})


def chat(model: str, **fields: Any) -> ChatRequest:
    return ChatRequest.of({"model": model, "messages": [{"role": "user", "content": "?"}], **fields})


@pytest.mark.parametrize(
    ("model", "fields", "name", "provider"),
    [
        ("m:nitro", {}, "m", {"sort": "throughput"}),
        ("m:floor", {"provider": {"only": ["a"]}}, "m", {"only": ["a"], "sort": "price"}),
        ("m:free", {}, "m", {"max_price": {"prompt": 0, "completion": 0}}),
        ("p/m:nitro", {}, "p/m:nitro", None),
        ("m:nitro", {"provider": "a"}, "m", "a"),
        ("llama:free", {}, "llama:free", None),
        ("llama3:8b", {}, "llama3:8b", None),
        ("p/maker/m:online", {}, "p/maker/m:online", None),
    ],
)
def test_suffix_stands_for_a_preference(model: str, fields: dict[str, Any], name: str, provider: Any) -> None:
    request = with_model(NAMED, chat(model, **fields))
    assert (request.model, request.extra.get("provider")) == (name, provider)
    assert set(request.wire()) <= {"model", "messages", "provider"}


@pytest.mark.parametrize("suffix", ["online", "exacto"])
def test_suffix_that_cannot_be_followed_is_refused(suffix: str) -> None:
    with pytest.raises(BadRequestError, match=suffix) as raised:
        with_model(NAMED, chat(f"m:{suffix}"))
    assert raised.value.param == "model"
