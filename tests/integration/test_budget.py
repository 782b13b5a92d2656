"""A budget is a hard limit, for server and function on both stores, with a provider that bills by the token."""

import concurrent.futures
import json
from typing import Any

import httpx
import pytest

from support.http import HTTP
from support.metered import PROMPT_TOKENS, USD_PER_MTOK, MeteredGateway, MeteredProvider
from support.waiting import LIMIT_SECONDS

MESSAGES: list[Any] = [{"role": "user", "content": "Go on."}]
BUDGET = 1.20


@pytest.fixture
def provider(metered: MeteredGateway) -> MeteredProvider:
    """The provider, without requests and with its default output."""
    metered.provider.default_tokens = 200
    metered.provider.bodies.clear()
    metered.provider.output_tokens.clear()
    return metered.provider


@pytest.fixture(params=["key", "team"])
def key_with_budget(request: pytest.FixtureRequest, metered: MeteredGateway) -> str:
    """A key with a budget of its own, or one whose team has the budget."""
    flags = "--budget", f"{BUDGET}/total"
    if request.param == "key":
        return metered.store.key(*flags)
    return metered.store.key("--team", metered.store.team(*flags))


def chat(url: str, key: str, **more: Any) -> httpx.Response:
    body = {"model": "metered", "messages": MESSAGES, **more}
    return HTTP.post(
        f"{url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=LIMIT_SECONDS
    )


def ten_concurrent(url: str, key: str, **more: Any) -> list[httpx.Response]:
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        return [done.result() for done in [pool.submit(chat, url, key, **more) for _ in range(10)]]


def spent(url: str, key: str) -> float:
    response = HTTP.get(f"{url}/credits", headers={"authorization": f"Bearer {key}"}, timeout=LIMIT_SECONDS)
    return response.json()["data"]["total_usage"]


def events(response: httpx.Response) -> list[Any]:
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(event) for event in data if event != "[DONE]"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [{"max_tokens": 100_000}, {"max_completion_tokens": 100_000}, {}])
def test_ten_concurrent_requests_never_exceed_the_budget(
    metered: MeteredGateway, provider: MeteredProvider, stream: bool, limit: dict[str, int]
) -> None:
    provider.default_tokens = 3_000
    key = metered.store.key("--budget", f"{BUDGET}/total")
    responses = ten_concurrent(metered.base_url, key, stream=stream, **limit)
    assert {response.status_code for response in responses} <= {200, 402}
    assert any(response.status_code == 200 for response in responses)
    assert 0 < spent(metered.base_url, key) <= BUDGET
    if limit or not stream:  # a stopped response continues at the provider for a moment
        assert provider.billed_usd <= BUDGET


def test_output_limit_above_the_budget_is_lowered_and_reported(
    metered: MeteredGateway, provider: MeteredProvider, key_with_budget: str
) -> None:
    response = chat(metered.base_url, key_with_budget, max_tokens=100_000)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert 1024 <= sent < BUDGET * 1e6 / USD_PER_MTOK
    assert response.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert (
        chat(metered.base_url, key_with_budget, max_tokens=100_000).status_code == 402
    )  # the rest of the budget does not cover even the usual output


def test_stream_with_a_lowered_limit_is_complete(metered: MeteredGateway, provider: MeteredProvider) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    response = chat(metered.base_url, key, max_tokens=100_000, stream=True)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert response.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
    reasons = [choice["finish_reason"] for event in events(response) for choice in event["choices"]]
    assert len(reasons) == sent + 1
    assert (reasons[-1], response.text.endswith("data: [DONE]\n\n")) == ("length", True)
    assert spent(metered.base_url, key) == pytest.approx((PROMPT_TOKENS + sent) * USD_PER_MTOK / 1e6)


def test_require_parameters_refuses_instead_of_lowering_the_limit(
    metered: MeteredGateway, provider: MeteredProvider
) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    refused = chat(metered.base_url, key, max_tokens=100_000, provider={"require_parameters": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_quota")
    assert provider.bodies == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [{"max_tokens": 2_500}, {}])
def test_sufficient_budget_refuses_and_lowers_nothing(
    metered: MeteredGateway, provider: MeteredProvider, stream: bool, limit: dict[str, int]
) -> None:
    provider.default_tokens = 2_500
    key = metered.store.key("--budget", "300/total")
    responses = ten_concurrent(metered.base_url, key, stream=stream, **limit)
    assert [response.status_code for response in responses] == [200] * 10
    assert not any("x-tollgate-dropped-params" in response.headers for response in responses)
    assert provider.output_tokens == [2_500] * 10
    assert spent(metered.base_url, key) == pytest.approx(10 * (PROMPT_TOKENS + 2_500) * USD_PER_MTOK / 1e6)


def test_stream_without_a_limit_ends_in_an_error_at_the_end_of_the_budget(
    metered: MeteredGateway, provider: MeteredProvider, key_with_budget: str
) -> None:
    provider.default_tokens = 1_000_000
    response = chat(metered.base_url, key_with_budget, stream=True)
    *chunks, last = events(response)
    assert "max_tokens" not in provider.bodies[0]
    assert (last["error"]["code"], "[DONE]" in response.text) == ("insufficient_quota", False)
    assert len(chunks) > 1024 * 4  # the hold was extended more than once
    assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
    assert 0.9 * BUDGET < spent(metered.base_url, key_with_budget) <= BUDGET


def test_buffered_request_without_a_limit_gets_one_that_the_budget_covers(
    metered: MeteredGateway, provider: MeteredProvider
) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    response = chat(metered.base_url, key)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert 1024 <= sent <= BUDGET * 1e6 / USD_PER_MTOK
    assert response.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
