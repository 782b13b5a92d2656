"""HTTP headers of responses: the provider that served the request, and the dropped parameters."""

import asyncio
import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message

from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.routing import Route
from tollgate.handler.http.responses import EventStreamResponse, WholeResponse, cancel_on_disconnect

MODEL = Model(
    id="m",
    created=datetime.date(2026, 1, 1),
    owned_by="o",
    context_length=8,
    routes=(RouteRow(provider="p", model="up"),),
)


def headers(mode: str, *dropped: str) -> Any:
    route = Route(MODEL, Provider(name="p", family="openai", base_url="https://x", auth="none"), "up", None)
    result: Any = SimpleNamespace(route=route, dropped=dropped, body={}, attempts=1, overhead_ms=2)
    telemetry: Any = None
    encoder = ChatEncoder(ResponseInfo("req_1", 5, "m", "p", "openai"))
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


async def test_result_of_work_that_ends_as_its_caller_is_cancelled_is_discarded() -> None:
    release, ended = asyncio.Event(), list[str]()
    discarded: list[str] = []

    async def work() -> str:
        await release.wait()
        ended.append("work")
        return "result"

    async def discard(result: str) -> None:
        discarded.append(result)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    caller = asyncio.create_task(cancel_on_disconnect({}, receive, work(), discard))
    await asyncio.sleep(0)
    release.set()
    while not ended:  # noqa: ASYNC110 - the turn of the loop in which the work ends
        await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert discarded == ["result"]
