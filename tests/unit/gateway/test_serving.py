"""The use case over in-memory ports: authentication, holds, routes and whole responses."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from support.fakes import FakeResponse, FakeStore
from support.gateway_harness import (
    API_KEY,
    BODY,
    DAY,
    JSON,
    OTHER_KEY,
    SUBSTITUTE,
    BufferedResult,
    GatewayHarness,
    contents,
)
from support.json_lines import lines
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import Account
from tollgate.gateway.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    StoreUnavailableError,
    UpstreamError,
)
from tollgate.gateway.limits import Limits, full
from tollgate.gateway.metering import Cost
from tollgate.gateway.serving import HOLD_MARGIN, HOLD_SECONDS
from tollgate.gateway.types import Usage


async def test_whole_response_is_settled_once_on_settle() -> None:
    harness = GatewayHarness(FakeResponse([BODY[:7], BODY[7:]], headers=JSON))
    result = await harness.send()
    assert isinstance(result, BufferedResult)
    assert result.body == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_000_000,
        "model": "alias",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Four score."}, "finish_reason": "stop"},
        ],
        "system_fingerprint": "fp",
        "provider": "p",
        "usage": Usage(3, 2).to_wire(),
    }
    assert not harness.store.settlements
    assert set(harness.store.holds) == {"req_1"}
    await result.settle()
    await result.settle()
    assert harness.record().cost == Cost(Decimal("22.000000"), "catalog", DAY)
    assert harness.record().status == 200


async def test_hold_expires_after_the_deadline_of_its_request() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON))
    await harness.send()
    hold = harness.store.holds["req_1"]
    assert hold.opened_at == 1_000_000.5
    assert hold.expires_at - hold.opened_at == pytest.approx(900 - 50 + HOLD_MARGIN, abs=1)


async def test_hold_without_a_deadline_lasts_for_the_maximum_function_timeout() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON), context=RequestContext("req_1", 50.0))
    await harness.send()
    hold = harness.store.holds["req_1"]
    assert hold.expires_at - hold.opened_at == HOLD_SECONDS + HOLD_MARGIN


async def test_refused_request_reserves_nothing_and_reports_the_account() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON))
    await harness.send()
    record = replace(harness.store.records[API_KEY.key_id], limits=Limits(tpm=10))
    harness.store.records[API_KEY.key_id] = record
    with pytest.raises(RateLimitError) as raised:
        await harness.send()
    assert raised.value.code == "tokens"
    assert harness.context.account == Account(record, full(record.limits, 1_000_000.5))
    assert len(harness.upstream.sent) == 1


async def test_provider_receives_its_model_name_and_the_deadline() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON))
    await harness.send()
    ((request, provider, deadline),) = harness.upstream.sent
    assert (request.body, provider, deadline) == (b"up-m", "p", 900.0)


async def test_dropped_parameters_are_reported_in_the_response() -> None:
    assert (await GatewayHarness(FakeResponse([BODY], headers=JSON)).send(n=2)).dropped == ("seed",)
    assert (await GatewayHarness(FakeResponse([lines("Four", None)])).stream(n=2)).dropped == ("seed",)
    assert (await GatewayHarness(FakeResponse([BODY], headers=JSON)).send()).dropped == ()


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 429, 500, 599])
async def test_every_status_except_success_is_an_error(status: int) -> None:
    harness = GatewayHarness(FakeResponse([b"wait"], status, {**JSON, "retry-after": "3"}))
    with pytest.raises(RateLimitError, match="wait") as caught:
        await harness.send()
    assert caught.value.retry_after == 3
    assert harness.record().error_code == "rate_limit_exceeded"


async def test_unsupported_request_releases_the_hold_and_sends_nothing() -> None:
    harness = GatewayHarness(FakeResponse([BODY]))
    with pytest.raises(BadRequestError):
        await harness.send(n=7)
    assert harness.upstream.sent == []
    record = harness.record()
    assert (record.status, record.error_code, record.upstream_ms) == (400, "invalid_request_error", None)


@pytest.mark.parametrize(("error", "code"), [(UpstreamError("x"), "upstream_error"), (KeyError("x"), "internal_error")])
async def test_failed_call_releases_the_hold(error: Exception, code: str) -> None:
    harness = GatewayHarness(error)
    with pytest.raises(type(error)):
        await harness.send()
    assert harness.record().error_code == code


async def test_failed_settlement_does_not_break_the_response() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON), FakeStore(settle_error=StoreUnavailableError("no")))
    result = await harness.send()
    await result.settle()
    assert isinstance(harness.context.unsettled, StoreUnavailableError)
    assert harness.context.record is not None


async def test_failed_settlement_does_not_hide_the_error_of_the_call() -> None:
    harness = GatewayHarness(UpstreamError("unreachable"), FakeStore(settle_error=StoreUnavailableError("no")))
    with pytest.raises(UpstreamError, match="unreachable"):
        await harness.send()
    assert harness.context.unsettled is not None


@pytest.mark.parametrize("key", ["", "garbage", OTHER_KEY])
@pytest.mark.parametrize("name", ["m", "nowhere"])
async def test_invalid_key_is_401_for_every_model_and_leaves_no_hold_and_no_record(key: str, name: str) -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON))
    with pytest.raises(AuthenticationError):
        await harness.send(key, model=name)
    assert (harness.store.holds, harness.store.settlements, harness.upstream.sent, harness.context.record) == (
        {},
        [],
        [],
        None,
    )


async def test_unknown_model_is_404_with_a_valid_key() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON))
    with pytest.raises(NotFoundError):
        await harness.send(model="nowhere")
    assert (harness.store.holds, harness.store.settlements) == ({}, [])


async def test_substitute_serves_a_model_without_a_credential_at_its_own_price() -> None:
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON), without_credential="p", substitute=SUBSTITUTE)
    result = await harness.send()
    assert isinstance(result, BufferedResult)
    assert (result.body["model"], result.route.provider.name) == ("alias", "e")
    await result.settle()
    record = harness.record()
    assert (record.model, record.provider, record.upstream_model) == ("m", "e", "up-echo")
    assert record.cost == Cost(Decimal("0.000000"), "catalog", DAY)


async def test_concurrent_requests_share_no_state() -> None:
    store, release = FakeStore(), asyncio.Event()
    make: Callable[[int], GatewayHarness] = lambda number: GatewayHarness(  # noqa: E731
        FakeResponse([lines(f"{number}"), release, lines(f"{number}.", None)]),
        store,
        context=RequestContext(f"req_{number}", 50.0),
    )
    harnesses = [make(number) for number in range(20)]
    results = await asyncio.gather(*(harness.stream() for harness in harnesses))
    assert len(store.holds) == 20
    release.set()
    for number, result in enumerate(results):
        assert [text async for batch in result for text in contents(batch)] == [f"{number}", f"{number}."]
        await result.settle()
    assert not store.holds
    assert [record.request_id for record in store.settlements] == [f"req_{number}" for number in range(20)]
