"""From the core's answers to HTTP: the headers that tell who answered, and what of the request it was not told."""

import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.routing import Route
from tollgate.handler.http.responses import EventStreamResponse, WholeResponse

MODEL = Model(
    id="m",
    created=datetime.date(2026, 1, 1),
    owned_by="o",
    context_length=8,
    routes=(RouteRow(provider="p", model="up"),),
)


def headers(kind: str, *dropped: str) -> Any:
    route = Route(MODEL, Provider(name="p", family="openai", base_url="https://x", auth="none"), "up", None)
    answer: Any = SimpleNamespace(route=route, dropped=dropped, body={})
    telemetry: Any = None
    encoder = ChatEncoder(ResponseInfo("req_1", 5, "m", "p"))
    whole = kind == "whole"
    response = WholeResponse(answer, encoder) if whole else EventStreamResponse(answer, encoder, "req_1", telemetry)
    return response.headers


@pytest.mark.parametrize("kind", ["whole", "streamed"])
def test_what_was_dropped_is_told_in_a_header(kind: str) -> None:
    told = headers(kind, "seed", "temperature=1")
    assert told["x-tollgate-dropped-params"] == "seed, temperature=1"
    assert (told["x-tollgate-provider"], told["x-tollgate-upstream-model"]) == ("p", "up")


@pytest.mark.parametrize("kind", ["whole", "streamed"])
def test_where_nothing_was_dropped_nothing_is_told(kind: str) -> None:
    assert "x-tollgate-dropped-params" not in headers(kind)
