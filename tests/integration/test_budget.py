"""A budget is a cap, on both doors and both stores, against a provider that bills what it is asked for."""

import concurrent.futures
import json
from typing import Any

import httpx
import pytest

from support.metered import PROMPT, USD_PER_MTOK, Metered, MeteredGateway

ASK: list[Any] = [{"role": "user", "content": "Go on."}]
BUDGET = 1.20


@pytest.fixture
def provider(metered: MeteredGateway) -> Metered:
    """With nothing asked of it yet."""
    metered.provider.unasked = 200
    metered.provider.bodies.clear()
    metered.provider.answered.clear()
    return metered.provider


def ask(url: str, key: str, **more: Any) -> httpx.Response:
    body = {"model": "test/metered", "messages": ASK, **more}
    return httpx.post(f"{url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=120)


def ten_at_once(url: str, key: str, **more: Any) -> list[httpx.Response]:
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        return [done.result() for done in [pool.submit(ask, url, key, **more) for _ in range(10)]]


def spent(url: str, key: str) -> float:
    answer = httpx.get(f"{url}/credits", headers={"authorization": f"Bearer {key}"}, timeout=60)
    return answer.json()["data"]["total_usage"]


def events(answer: httpx.Response) -> list[Any]:
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(event) for event in data if event != "[DONE]"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [{"max_tokens": 100_000}, {"max_completion_tokens": 100_000}, {}])
def test_ten_at_once_never_spend_more_than_the_budget(
    metered: MeteredGateway, provider: Metered, stream: bool, limit: dict[str, int]
) -> None:
    provider.unasked = 3_000
    key = metered.store.key("--budget", f"{BUDGET}/total")
    answers = ten_at_once(metered.base_url, key, stream=stream, **limit)
    assert {answer.status_code for answer in answers} <= {200, 402}
    assert any(answer.status_code == 200 for answer in answers)
    assert 0 < spent(metered.base_url, key) <= BUDGET
    if limit or not stream:  # an answer that is stopped has gone on at the provider for a moment
        assert provider.billed_usd <= BUDGET


def test_a_limit_that_the_budget_does_not_cover_is_lowered_and_told(metered: MeteredGateway, provider: Metered) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    answer = ask(metered.base_url, key, max_tokens=100_000)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert 1024 <= sent < BUDGET * 1e6 / USD_PER_MTOK
    assert answer.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert (
        ask(metered.base_url, key, max_tokens=100_000).status_code == 402
    )  # not even the usual answer is covered any more


def test_a_stream_with_a_lowered_limit_comes_whole(metered: MeteredGateway, provider: Metered) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    answer = ask(metered.base_url, key, max_tokens=100_000, stream=True)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert answer.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
    reasons = [choice["finish_reason"] for event in events(answer) for choice in event["choices"]]
    assert len(reasons) == sent + 1
    assert (reasons[-1], answer.text.endswith("data: [DONE]\n\n")) == ("length", True)
    assert spent(metered.base_url, key) == pytest.approx((PROMPT + sent) * USD_PER_MTOK / 1e6)


def test_who_requires_every_parameter_is_refused_rather_than_cut(metered: MeteredGateway, provider: Metered) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    refused = ask(metered.base_url, key, max_tokens=100_000, provider={"require_parameters": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_quota")
    assert provider.bodies == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [{"max_tokens": 2_500}, {}])
def test_with_enough_budget_nobody_is_refused_or_cut(
    metered: MeteredGateway, provider: Metered, stream: bool, limit: dict[str, int]
) -> None:
    provider.unasked = 2_500
    key = metered.store.key("--budget", "300/total")
    answers = ten_at_once(metered.base_url, key, stream=stream, **limit)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert not any("x-tollgate-dropped-params" in answer.headers for answer in answers)
    assert provider.answered == [2_500] * 10
    assert spent(metered.base_url, key) == pytest.approx(10 * (PROMPT + 2_500) * USD_PER_MTOK / 1e6)


def test_a_stream_without_a_limit_grows_to_the_end_of_the_budget_and_says_so(
    metered: MeteredGateway, provider: Metered
) -> None:
    provider.unasked = 1_000_000
    key = metered.store.key("--budget", f"{BUDGET}/total")
    answer = ask(metered.base_url, key, stream=True)
    *chunks, last = events(answer)
    assert "max_tokens" not in provider.bodies[0]
    assert (last["error"]["code"], "[DONE]" in answer.text) == ("insufficient_quota", False)
    assert len(chunks) > 1024 * 4  # grown over its first hold, more than once
    assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
    assert 0.9 * BUDGET < spent(metered.base_url, key) <= BUDGET


def test_a_buffered_answer_without_a_limit_gets_one_that_is_paid_for(
    metered: MeteredGateway, provider: Metered
) -> None:
    key = metered.store.key("--budget", f"{BUDGET}/total")
    answer = ask(metered.base_url, key)
    (sent,) = (body["max_tokens"] for body in provider.bodies)
    assert 1024 <= sent <= BUDGET * 1e6 / USD_PER_MTOK
    assert answer.headers["x-tollgate-dropped-params"] == f"max_tokens={sent}"
