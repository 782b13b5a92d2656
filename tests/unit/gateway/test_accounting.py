"""The account of one admitted request: one settlement, whatever happened before it."""

import datetime
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import Account, Hold
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


@dataclass
class StoppedClock:
    at: float = 100.0

    def now(self) -> float:
        return 1_000_000.0 + self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Book:
    """A ledger that writes settlements down, or fails."""

    error: Exception | None = None
    records: list[UsageRecord] = field(default_factory=list[UsageRecord])

    async def admit(self, hold: Hold) -> Account:
        raise NotImplementedError

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        raise NotImplementedError

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        self.records.append(record)
        if self.error is not None:
            raise self.error
        return True


@dataclass
class Line:
    """A provider's answer that can be let go, or refuses to be."""

    error: Exception | None = None
    closed: int = 0
    status: int = 200

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    async def read(self) -> bytes:
        raise NotImplementedError

    def stream(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    def end_within(self, seconds: float | None) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed += 1
        if self.error is not None:
            raise self.error


RESERVATION = Reservation(Usage(8, 100), None, None, 0, 0, True, True)


def accounting(streamed: bool = True, tier: str | None = None) -> RequestAccounting:
    one = RequestAccounting(RequestContext("req_1", 99.0), "chat", HOLD, RESERVATION, PriceTerms(tier), streamed)
    one.begin(ROUTE)
    return one


def said(text: str, finish: str | None = None, usage: Usage | None = None) -> Chunk:
    return Chunk([{"index": 0, "delta": {"content": text}, "finish_reason": finish}], usage)


async def settled(one: RequestAccounting, book: Book | None = None) -> UsageRecord:
    book = book or Book()
    await one.settle(book, StoppedClock())
    (record,) = book.records
    assert one.context.record is record
    return record


async def test_whole_stream_leaves_a_whole_record() -> None:
    one = accounting()
    one.attempt.sending(99.25)
    one.read(Chunk(), 99.3)
    one.read(said("a"), 99.5)
    one.read(said("b", "stop"), 99.6)
    one.read(Chunk(usage=Usage(10, 5)), 99.75)
    one.attempt.completed(99.75)
    assert await settled(one) == UsageRecord(
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


async def test_settling_again_does_nothing() -> None:
    one, book, line = accounting(), Book(), Line()
    one.attempt.response = line
    for _ in range(3):
        await one.close(book, StoppedClock())
    assert (len(book.records), line.closed) == (1, 1)


async def test_store_that_fails_is_noted_and_breaks_nothing() -> None:
    one, error = accounting(), StoreUnavailableError("no")
    await settled(one, Book(error))
    assert one.context.unsettled is error


async def test_provider_that_cannot_be_let_go_is_still_billed() -> None:
    one, book = accounting(), Book()
    one.attempt.response = Line(RuntimeError("stuck"))
    with pytest.raises(RuntimeError, match="stuck"):
        await one.close(book, StoppedClock())
    assert len(book.records) == 1


async def test_request_that_neither_ended_nor_failed_was_closed_by_the_client() -> None:
    record = await settled(accounting())
    assert (record.status, record.error_code) == (499, "client_closed_request")
    assert (record.time_to_first_token_ms, record.upstream_ms) == (None, None)
    assert record.cost == NO_COST


async def test_client_that_left_after_the_first_token_had_a_200() -> None:
    one = accounting()
    one.read(said("a"), 99.5)
    record = await settled(one)
    assert (record.status, record.error_code) == (200, "client_closed_request")


async def test_failure_before_the_first_token_has_its_status() -> None:
    one = accounting()
    one.failed(OverloadedError("x"), 99.5)
    record = await settled(one)
    assert (record.status, record.error_code, record.finish_reason) == (503, "overloaded", None)


async def test_failure_after_the_last_token_has_no_finish_reason() -> None:
    one = accounting()
    one.read(said("a", "stop"), 99.5)
    one.failed(OverloadedError("x"), 99.5)
    record = await settled(one)
    assert (record.status, record.error_code, record.finish_reason) == (200, "overloaded", None)


async def test_fault_of_ours_is_called_so_and_keeps_its_words_to_itself() -> None:
    one = accounting()
    one.failed(KeyError("the client's secret"), 99.5)
    record = await settled(one)
    assert (record.status, record.error_code) == (500, "internal_error")
    assert "secret" not in repr(record)


async def test_usage_seen_before_a_failure_is_billed() -> None:
    one = accounting()
    one.read(Chunk(usage=Usage(1_000_000, 0)), 99.5)
    one.failed(OverloadedError("x"), 99.6)
    assert (await settled(one)).cost == Cost(Decimal("2.000000"), "catalog", DAY)


async def test_largest_of_cumulative_counts_holds() -> None:
    one = accounting()
    one.read(said("a", usage=Usage(1, 1, cost_usd=Decimal("0.1"))), 99.5)
    one.read(said("b", usage=Usage(5, 2, cached_tokens=3)), 99.6)
    one.read(said("c", usage=Usage(0, 0, cost_usd=Decimal(0))), 99.6)
    assert (await settled(one)).usage == Usage(5, 2, cached_tokens=3, cost_usd=Decimal("0.1"))


@pytest.mark.parametrize(
    ("told", "billed"),
    [
        (Usage(7, 0), Usage(7, 2)),  # two tokens of text came
        (Usage(0, 5), Usage(8, 5)),  # eight were held for the prompt
        (Usage(cost_usd=Decimal("0.5")), Usage(8, 2, cost_usd=Decimal("0.5"))),
    ],
)
async def test_what_was_plainly_not_counted_is_estimated_and_not_told(told: Usage, billed: Usage) -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.read(said("12345678", "stop", told), 99.5)
    one.attempt.completed(99.6)
    assert one.attempt.reported_usage is None
    record = await settled(one)
    assert (record.usage, record.estimated) == (billed, True)
    assert record.cost.source == ("estimated" if told.cost_usd is None else "provider")


async def test_answer_without_a_word_may_have_no_output() -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.read(said("", "stop", Usage(7, 0)), 99.5)
    one.attempt.completed(99.6)
    assert one.attempt.reported_usage == Usage(7, 0)
    assert not (await settled(one)).estimated


@pytest.mark.parametrize("code", ["timeout", "upstream_disconnected"])
async def test_call_that_breaks_off_before_any_answer_is_billed_its_prompt(code: str) -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.failed(UpstreamError("cut", code=code), 99.6)
    record = await settled(one)
    assert record.estimated
    assert record.usage is not None
    assert record.usage.input_tokens > 0
    assert record.usage.output_tokens == 0


@pytest.mark.parametrize("code", ["timeout", "upstream_error"])
async def test_call_that_was_turned_down_costs_nothing(code: str) -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.attempt.rejected()
    one.failed(UpstreamError("HTTP 504", code=code), 99.6)
    record = await settled(one)
    assert (record.usage, record.cost, record.estimated) == (None, NO_COST, False)


async def test_call_that_reached_nobody_costs_nothing() -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.failed(UpstreamError("x", code="upstream_unreachable"), 99.6)
    assert (await settled(one)).cost == NO_COST


async def test_input_told_at_the_beginning_holds_for_a_stream_that_breaks() -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.read(said("", usage=Usage(50_000, 0, cached_tokens=40_000)), 99.4)
    one.read(said("12345678"), 99.5)
    one.failed(UpstreamError("cut", code="stream_truncated"), 99.6)
    record = await settled(one)
    assert (record.usage, record.estimated) == (Usage(50_000, 2, cached_tokens=40_000), True)


async def test_reasoning_told_twice_counts_once() -> None:
    one = accounting()
    one.attempt.sending(99.2)
    one.read(Chunk([{"index": 0, "delta": {"reasoning": "1234", "reasoning_content": "1234"}}]), 99.4)
    usage = (await settled(one)).usage
    assert usage is not None
    assert usage.output_tokens == 1


@pytest.mark.parametrize(
    ("asked", "served", "dropped", "source"),
    [
        ("flex", "default", (), "catalog"),  # what answered is billed, not what was asked for
        ("default", "flex", (), "estimated"),
        ("flex", None, (), "estimated"),
        ("flex", None, ("service_tier",), "catalog"),  # the provider was never asked for it
        ("flex", 7, (), "estimated"),
    ],
)
async def test_bill_is_by_the_tier_that_answered(
    asked: str, served: str | None, dropped: tuple[str, ...], source: str
) -> None:
    one = accounting(tier=asked)
    one.attempt.dropped = dropped
    one.attempt.sending(99.25)
    one.read(Chunk([], None, {} if served is None else {"service_tier": served}), 99.3)
    one.read(said("a", "stop", Usage(10, 5)), 99.5)
    one.attempt.completed(99.75)
    assert (await settled(one)).cost.source == source
