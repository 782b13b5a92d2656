"""The accounting of one admitted request: one settlement, however the request ends."""

import datetime
from decimal import Decimal

import pytest

from support.fakes import FakeClock, FakeResponse, FakeStore
from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import Hold
from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import Chunk
from tollgate.gateway.errors import OverloadedError, StoreUnavailableError, UpstreamError
from tollgate.gateway.keys import ApiKey
from tollgate.gateway.metering import NO_COST, Cost, PriceTerms, UsageRecord
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage

DAY = datetime.date(2026, 1, 1)
PRICES = Prices(input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(8), source="s", date=DAY)
PROVIDER = Provider(name="p", family="f", auth="none")
MODEL = Model(
    id="m", created=DAY, owned_by="o", context_length=8, prices=PRICES, routes=(RouteRow(provider="p", model="up"),)
)
ROUTE = Route(MODEL, PROVIDER, "up", PRICES)
HOLD = Hold("req_1", ApiKey("k", "h"), "alias", 1_000_099.0, 1_001_000.0)


RESERVATION = Reservation(Usage(8, 100), None, None, 0, 0, True, True)


def accounting(
    streamed: bool = True, tier: str | None = None, reservation: Reservation = RESERVATION
) -> RequestAccounting:
    request = RequestAccounting(RequestContext("req_1", 99.0), "chat", HOLD, PriceTerms(tier), streamed)
    request.begin(ROUTE, reservation)
    return request


def text_chunk(text: str, finish: str | None = None, usage: Usage | None = None) -> Chunk:
    return Chunk([{"index": 0, "delta": {"content": text}, "finish_reason": finish}], usage)


async def settled(request: RequestAccounting, store: FakeStore | None = None) -> UsageRecord:
    store = store or FakeStore()
    await request.settle(store, FakeClock())
    (record,) = store.settlements
    assert request.context.record is record
    return record


async def test_complete_stream_leaves_a_complete_record() -> None:
    request = accounting()
    request.attempt.sending(99.25)
    request.read(Chunk(), 99.3)
    request.read(text_chunk("a"), 99.5)
    request.read(text_chunk("b", "stop"), 99.6)
    request.read(Chunk(usage=Usage(10, 5)), 99.75)
    request.attempt.completed(99.75)
    assert await settled(request) == UsageRecord(
        request_id="req_1",
        key_id="k",
        model="m",
        started_at=1_000_099.0,
        streamed=True,
        status=200,
        provider="p",
        upstream_model="up",
        finish_reason="stop",
        error_code=None,
        latency_ms=1000,
        time_to_first_token_ms=500,
        upstream_ms=500,
        usage=Usage(10, 5),
        cost=Cost(Decimal("0.000060"), "catalog", DAY),
    )


async def test_close_settles_and_closes_the_response_once() -> None:
    request, store, response = accounting(), FakeStore(), FakeResponse()
    request.attempt.response = response
    for _ in range(3):
        await request.close(store, FakeClock())
    assert (len(store.settlements), response.closed) == (1, 1)


async def test_failed_settlement_is_kept_in_the_context() -> None:
    request, error = accounting(), StoreUnavailableError("no")
    await settled(request, FakeStore(error))
    assert request.context.unsettled is error


async def test_request_is_billed_if_its_response_cannot_be_closed() -> None:
    request, store = accounting(), FakeStore()
    request.attempt.response = FakeResponse(close_error=RuntimeError("stuck"))
    with pytest.raises(RuntimeError, match="stuck"):
        await request.close(store, FakeClock())
    assert len(store.settlements) == 1


async def test_request_without_an_end_or_an_error_was_closed_by_the_client() -> None:
    record = await settled(accounting())
    assert (record.status, record.error_code) == (499, "client_closed_request")
    assert (record.time_to_first_token_ms, record.upstream_ms) == (None, None)
    assert record.cost == NO_COST


async def test_request_closed_by_the_client_after_the_first_token_has_status_200() -> None:
    request = accounting()
    request.read(text_chunk("a"), 99.5)
    record = await settled(request)
    assert (record.status, record.error_code) == (200, "client_closed_request")


async def test_error_before_the_first_token_sets_the_status() -> None:
    request = accounting()
    request.failed(OverloadedError("x"), 99.5)
    record = await settled(request)
    assert (record.status, record.error_code, record.finish_reason) == (503, "overloaded", None)


async def test_error_after_the_last_token_removes_the_finish_reason() -> None:
    request = accounting()
    request.read(text_chunk("a", "stop"), 99.5)
    request.failed(OverloadedError("x"), 99.5)
    record = await settled(request)
    assert (record.status, record.error_code, record.finish_reason) == (200, "overloaded", None)


async def test_internal_error_is_recorded_without_its_message() -> None:
    request = accounting()
    request.failed(KeyError("the client's secret"), 99.5)
    record = await settled(request)
    assert (record.status, record.error_code) == (500, "internal_error")
    assert "secret" not in repr(record)


async def test_usage_before_an_error_is_billed() -> None:
    request = accounting()
    request.read(Chunk(usage=Usage(1_000_000, 0)), 99.5)
    request.failed(OverloadedError("x"), 99.6)
    assert (await settled(request)).cost == Cost(Decimal("2.000000"), "catalog", DAY)


async def test_largest_of_cumulative_counts_is_used() -> None:
    request = accounting()
    request.read(text_chunk("a", usage=Usage(1, 1, cost_usd=Decimal("0.1"))), 99.5)
    request.read(text_chunk("b", usage=Usage(5, 2, cached_tokens=3)), 99.6)
    request.read(text_chunk("c", usage=Usage(0, 0, cost_usd=Decimal(0))), 99.6)
    assert (await settled(request)).usage == Usage(5, 2, cached_tokens=3, cost_usd=Decimal("0.1"))


@pytest.mark.parametrize(
    ("reported", "billed"),
    [
        (Usage(7, 0), Usage(7, 2)),  # text of two tokens was delivered
        (Usage(0, 5), Usage(8, 5)),  # eight were reserved for the prompt
        (Usage(cost_usd=Decimal("0.5")), Usage(8, 2, cost_usd=Decimal("0.5"))),
    ],
)
async def test_implausible_zero_count_is_estimated_and_not_reported(reported: Usage, billed: Usage) -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.read(text_chunk("12345678", "stop", reported), 99.5)
    request.attempt.completed(99.6)
    assert request.attempt.reported_usage is None
    record = await settled(request)
    assert (record.usage, record.estimated) == (billed, True)
    assert record.cost.source == ("estimated" if reported.cost_usd is None else "provider")


async def test_response_without_text_may_have_zero_output_tokens() -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.read(text_chunk("", "stop", Usage(7, 0)), 99.5)
    request.attempt.completed(99.6)
    assert request.attempt.reported_usage == Usage(7, 0)
    assert not (await settled(request)).estimated


@pytest.mark.parametrize("code", ["timeout", "upstream_disconnected"])
async def test_call_broken_before_any_output_is_billed_for_its_prompt(code: str) -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.failed(UpstreamError("cut", code=code), 99.6)
    record = await settled(request)
    assert record.estimated
    assert record.usage is not None
    assert record.usage.input_tokens > 0
    assert record.usage.output_tokens == 0


@pytest.mark.parametrize("error", [None, "timeout", "upstream_disconnected"])
@pytest.mark.parametrize(
    ("expected", "delivered", "billed"),
    [
        (Usage(8, 4000), "", Usage(8, 4000)),
        (Usage(8, 4000), "partial image", Usage(8, 4000)),
        (Usage(100, 40, input_audio_tokens=100), "", Usage(100, 40, input_audio_tokens=100)),
        (Usage(seconds=60), "", Usage(seconds=60)),
    ],
)
async def test_interrupted_output_that_is_made_as_a_whole_is_billed_as_expected(
    expected: Usage, delivered: str, billed: Usage, error: str | None
) -> None:
    request = accounting(reservation=Reservation(expected, None, 0, 0, 0, False, True, is_whole=True))
    request.attempt.sending(99.2)
    if delivered:
        request.read(text_chunk(delivered), 99.4)
    if error is not None:
        request.failed(UpstreamError("cut", code=error), 99.6)
    record = await settled(request)
    assert (record.usage, record.estimated) == (billed, True)


async def test_complete_output_that_was_not_counted_is_billed_as_it_was_delivered() -> None:
    request = accounting(reservation=Reservation(Usage(8, 4000), None, 0, 0, 0, False, True, is_whole=True))
    request.attempt.sending(99.2)
    request.read(text_chunk("12345678"), 99.4)
    request.attempt.completed(99.6)
    record = await settled(request)
    assert (record.usage, record.estimated) == (Usage(8, 2), True)


@pytest.mark.parametrize("code", ["timeout", "upstream_error"])
async def test_call_rejected_by_the_provider_costs_nothing(code: str) -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.attempt.rejected()
    request.failed(UpstreamError("HTTP 504", code=code), 99.6)
    record = await settled(request)
    assert (record.usage, record.cost, record.estimated) == (None, NO_COST, False)


async def test_call_to_an_unreachable_provider_costs_nothing() -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.failed(UpstreamError("x", code="upstream_unreachable"), 99.6)
    assert (await settled(request)).cost == NO_COST


async def test_input_count_at_the_beginning_is_used_for_a_broken_stream() -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.read(text_chunk("", usage=Usage(50_000, 0, cached_tokens=40_000)), 99.4)
    request.read(text_chunk("12345678"), 99.5)
    request.failed(UpstreamError("cut", code="stream_truncated"), 99.6)
    record = await settled(request)
    assert (record.usage, record.estimated) == (Usage(50_000, 2, cached_tokens=40_000), True)


async def test_reasoning_under_two_names_counts_once() -> None:
    request = accounting()
    request.attempt.sending(99.2)
    request.read(Chunk([{"index": 0, "delta": {"reasoning": "1234", "reasoning_content": "1234"}}]), 99.4)
    usage = (await settled(request)).usage
    assert usage is not None
    assert usage.output_tokens == 1


@pytest.mark.parametrize(
    ("requested", "served", "dropped", "source"),
    [
        ("flex", "default", (), "catalog"),  # the tier that served the request is billed, not the requested tier
        ("default", "flex", (), "estimated"),
        ("flex", None, (), "estimated"),
        ("flex", None, ("service_tier",), "catalog"),  # the provider did not receive the parameter
        ("flex", 7, (), "estimated"),
    ],
)
async def test_cost_is_of_the_tier_that_served_the_request(
    requested: str, served: str | None, dropped: tuple[str, ...], source: str
) -> None:
    request = accounting(tier=requested)
    request.attempt.dropped = dropped
    request.attempt.sending(99.25)
    request.read(Chunk([], None, {} if served is None else {"service_tier": served}), 99.3)
    request.read(text_chunk("a", "stop", Usage(10, 5)), 99.5)
    request.attempt.completed(99.75)
    assert (await settled(request)).cost.source == source
