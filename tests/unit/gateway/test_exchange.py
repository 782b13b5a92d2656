"""An attempt of several requests: how many are open at once, how a failure ends the others, and what is billed."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from support.fakes import FakeResponse, TickingClock
from support.families import route
from tollgate.adapters.openai.embeddings import EmbeddingsCall
from tollgate.gateway.attempt import Attempt
from tollgate.gateway.catalog import Provider
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import RateLimitError, UpstreamError
from tollgate.gateway.exchange import MAX_PARTS_AT_ONCE, Exchange
from tollgate.gateway.ports import TimeLimits, UpstreamResponse
from tollgate.gateway.types import Result, UpstreamRequest, Usage

ROUTE = route("openai")
EXPECTED = Usage(100)
UNCOUNTED = json.dumps({"data": [{"index": 0, "embedding": [1.0]}]}).encode()
COUNTED = json.dumps({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 7}}).encode()


@dataclass
class PartsUpstream:
    """Responds to the parts in the order in which they are sent; the last response is repeated."""

    responses: Sequence[FakeResponse | Exception]
    sent: int = 0
    opened: list[FakeResponse] = field(default_factory=list[FakeResponse])

    async def send(self, request: UpstreamRequest, provider: Provider, limits: TimeLimits) -> UpstreamResponse:
        response = self.responses[min(self.sent, len(self.responses) - 1)]
        self.sent += 1
        await asyncio.sleep(0)
        if isinstance(response, Exception):
            raise response
        self.opened.append(FakeResponse(response.pieces, response.status))
        return self.opened[-1]

    def has_credential(self, provider: Provider) -> bool:
        return True

    async def find_credential(self, provider: Provider) -> bool:
        return self.has_credential(provider)

    async def reread_credential(self, provider: Provider) -> bool:
        return False


def ok(body: bytes = COUNTED) -> FakeResponse:
    return FakeResponse([body])


async def send(upstream: PartsUpstream, attempt: Attempt, parts: int) -> Sequence[Result]:
    calls = [EmbeddingsCall(EmbeddingsRequest.of({"model": "m", "input": "a"}), ROUTE) for _ in range(parts)]
    exchange = Exchange(upstream, ROUTE.provider, TimeLimits(), TickingClock())
    return await exchange.send_parts(calls, attempt, [EXPECTED] * parts)


async def turns() -> None:
    """Let the event loop go on until everything waits that will wait."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_no_more_parts_are_open_than_allowed() -> None:
    held, attempt = asyncio.Event(), Attempt(ROUTE, EXPECTED)
    upstream = PartsUpstream([FakeResponse([held, COUNTED])])
    sending = asyncio.create_task(send(upstream, attempt, 3 * MAX_PARTS_AT_ONCE))
    await turns()
    assert upstream.sent == MAX_PARTS_AT_ONCE
    held.set()
    assert len(await sending) == upstream.sent == 3 * MAX_PARTS_AT_ONCE
    assert attempt.bill() == (Usage(7 * upstream.sent), False)


@pytest.mark.parametrize(
    ("responses", "billed"),
    [
        ([ok(), FakeResponse([b'{"error":{"message":"slow down"}}'], 429)], (Usage(7), False)),
        ([ok(UNCOUNTED), FakeResponse([b'{"error":{"message":"slow down"}}'], 429)], (Usage(100), True)),
        ([ok(), FakeResponse([b"{}"])], (Usage(107), True)),
        ([ok(), UpstreamError("x", code="upstream_unreachable")], (Usage(7), False)),
        ([FakeResponse([b'{"error":{"message":"slow down"}}'], 429)], (None, False)),
    ],
)
async def test_failure_bills_what_the_other_parts_used(
    responses: Sequence[FakeResponse | Exception], billed: tuple[Usage | None, bool]
) -> None:
    attempt = Attempt(ROUTE, EXPECTED)
    with pytest.raises((RateLimitError, UpstreamError)) as raised:
        await send(PartsUpstream(responses), attempt, 2)
    attempt.ended(1.0, raised.value)
    assert attempt.bill() == billed


async def test_parts_that_are_open_at_a_failure_are_abandoned_and_billed_as_expected() -> None:
    open_part = FakeResponse([asyncio.Event()])
    upstream, attempt = PartsUpstream([open_part, FakeResponse([b"{}"], 429)]), Attempt(ROUTE, EXPECTED)
    with pytest.raises(RateLimitError) as raised:
        await send(upstream, attempt, 3 * MAX_PARTS_AT_ONCE)
    attempt.ended(1.0, raised.value)
    assert attempt.bill() == (EXPECTED, True)
    assert upstream.sent == MAX_PARTS_AT_ONCE
    await attempt.close()
    assert {response.closed for response in upstream.opened} == {1}


async def test_cancelled_parts_are_billed_as_expected() -> None:
    upstream, attempt = PartsUpstream([FakeResponse([asyncio.Event()])]), Attempt(ROUTE, EXPECTED)
    sending = asyncio.create_task(send(upstream, attempt, 2))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert attempt.bill() == (Usage(200), True)


async def test_fault_of_the_gateway_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError):
        await send(PartsUpstream([KeyError("bug")]), Attempt(ROUTE, EXPECTED), 2)
