"""HTTP headers of responses: the provider that served the request, and the dropped parameters."""

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


def headers(mode: str, *dropped: str) -> Any:
    route = Route(MODEL, Provider(name="p", family="openai", base_url="https://x", auth="none"), "up", None)
    result: Any = SimpleNamespace(route=route, dropped=dropped, body={})
    telemetry: Any = None
    encoder = ChatEncoder(ResponseInfo("req_1", 5, "m", "p"))
    whole = mode == "whole"
    response = WholeResponse(result, encoder) if whole else EventStreamResponse(result, encoder, "req_1", telemetry)
    return response.headers


@pytest.mark.parametrize("mode", ["whole", "streamed"])
def test_dropped_parameters_are_in_a_header(mode: str) -> None:
    received = headers(mode, "seed", "temperature=1")
    assert received["x-tollgate-dropped-params"] == "seed, temperature=1"
    assert (received["x-tollgate-provider"], received["x-tollgate-upstream-model"]) == ("p", "up")


@pytest.mark.parametrize("mode", ["whole", "streamed"])
def test_response_without_dropped_parameters_has_no_such_header(mode: str) -> None:
    assert "x-tollgate-dropped-params" not in headers(mode)
