"""Several gateways on one store share exact limits. The tests of the stores cover gateways that die."""

import concurrent.futures
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.http import HTTP
from support.instances import SharedStore, instance, make_store, process
from support.scenarios import HELD, overlay
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS, wait_until, within_one_minute

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]


@dataclass(frozen=True)
class TwoInstances:
    """A store and the base URLs of two gateways on it."""

    store: SharedStore
    urls: tuple[str, str]


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def two(
    request: pytest.FixtureRequest, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoInstances]:
    """A response of 12,500 tokens at 8 USD per million reserves, and costs, 0.10 USD; the prompt is free."""
    folder = tmp_path_factory.mktemp("instances")
    store, catalog = make_store(request.param, request, folder), folder / "overlay.toml"
    text = overlay(upstream.url)
    for price in ("input_usd_per_mtok = 2.0", "cached_usd_per_mtok = 0.5"):
        text = text.replace(price, f"{price.split()[0]} = 0")
    catalog.write_text(text.replace('"test/expensive"]\n', '"test/expensive"]\nusual_output_tokens = 12500\n', 1))
    with instance(store, catalog) as one, instance(store, catalog) as other:
        yield TwoInstances(store, (one, other))


def status_of(url: str, key: str, model: str = "test/pause", **more: Any) -> int:
    body = {"model": model, "messages": MESSAGES, **more}
    headers = {"authorization": f"Bearer {key}"}
    return HTTP.post(f"{url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS).status_code


def concurrent_statuses(urls: Sequence[str], key: str, clients: int, requests: int, **more: Any) -> "Counter[int]":
    """The statuses of so many requests by so many concurrent clients, distributed over the instances."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        submitted = [pool.submit(status_of, urls[number % len(urls)], key, **more) for number in range(requests)]
        return Counter(done.result() for done in submitted)


def read(url: str, key: str, path: str) -> Any:
    return HTTP.get(f"{url}{path}", headers={"authorization": f"Bearer {key}"}, timeout=LIMIT_SECONDS).json()


def test_two_instances_admit_exactly_the_request_limit(two: TwoInstances) -> None:
    # More concurrent clients only exceed the timeouts of DynamoDB Local; the tests of the stores have 200.
    statuses = within_one_minute(
        lambda: concurrent_statuses(two.urls, two.store.key("--rpm", "60", "--concurrency", "1000"), 12, 120)
    )
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] <= 60
    # A table that did not respond in time may have admitted a request: its hold expires.
    assert statuses[200] + statuses[503] >= 60
    assert statuses[503] or statuses == {200: 60, 429: 60}


def test_two_instances_never_exceed_the_concurrency_limit(two: TwoInstances, upstream: ScriptedUpstream) -> None:
    key = two.store.key("--tier", "unlimited", "--concurrency", "10")
    upstream.max_concurrent = 0
    statuses = concurrent_statuses(two.urls, key, 30, 240)
    assert set(statuses) <= {200, 429, 503}  # 503: DynamoDB Local may exceed the timeouts
    assert 1 <= upstream.max_concurrent <= 10
    assert statuses[200] >= 10


def test_two_instances_spend_exactly_the_budget(two: TwoInstances) -> None:
    key = two.store.key("--tier", "unlimited", "--budget", "1/total")
    statuses = concurrent_statuses(two.urls, key, 8, 40, model="test/expensive", max_tokens=12500)
    spent = read(two.urls[0], key, "/credits")["data"]
    total = read(two.urls[1], key, "/usage?group_by=key")["total"]
    assert statuses[200] <= 10
    if not statuses[503]:  # a table that exceeds the timeouts may have admitted more requests
        assert statuses == {200: 10, 402: 30}
        assert spent == {"total_credits": 1.0, "total_usage": pytest.approx(1.0)}
        assert total["cost_usd"] == "1.000000"


def test_two_instances_spend_exactly_the_budget_of_a_team(two: TwoInstances) -> None:
    team = two.store.team("--budget", "1/month")
    keys = [two.store.key("--tier", "unlimited", "--team", team) for _ in range(10)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        submitted = [
            pool.submit(status_of, two.urls[number % 2], keys[number // 2 % 10], "test/expensive", max_tokens=12500)
            for number in range(40)
        ]
        statuses = Counter(done.result() for done in submitted)
    assert statuses[200] <= 10
    if not statuses[503]:  # a table that exceeds the timeouts may have admitted more requests
        assert statuses == {200: 10, 402: 30}
        left = read(two.urls[0], keys[0], "/key")["data"]["team"]["limit_remaining"]
        costs = [Decimal(read(two.urls[1], key, "/usage?group_by=key")["total"]["cost_usd"]) for key in keys]
        assert (left, sum(costs)) == (0.0, 1)


def test_two_instances_make_one_call_for_one_idempotency_key(two: TwoInstances, upstream: ScriptedUpstream) -> None:
    headers = {"authorization": f"Bearer {two.store.key()}", "idempotency-key": "the one"}
    body = {"model": "test/pause", "messages": MESSAGES}
    before = len(upstream.requests)

    def post(url: str) -> int:
        return HTTP.post(f"{url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(post, two.urls * 4))
    assert set(statuses) <= {200, 409, 503}  # 503: DynamoDB Local may exceed the timeouts
    assert statuses[200] >= 1
    assert len(upstream.requests) == before + 1


def with_idempotency_key(url: str, key: str, name: str, model: str = "test/pause", **headers: str) -> httpx.Response:
    """The response to a request that runs once."""
    sent = {"authorization": f"Bearer {key}", "idempotency-key": name, **headers}
    body = {"model": model, "messages": MESSAGES}
    return HTTP.post(f"{url}/chat/completions", json=body, headers=sent, timeout=LIMIT_SECONDS)


def test_equal_requests_at_two_instances_run_once(two: TwoInstances, upstream: ScriptedUpstream) -> None:
    key, before = two.store.key(), len(upstream.requests)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(with_idempotency_key, two.urls[number % 2], key, "once") for number in range(16)]
        statuses = Counter(each.result().status_code for each in sent)
    assert len(upstream.requests) == before + 1
    assert statuses[200] >= 1
    assert statuses.keys() <= {200, 409}
    again = with_idempotency_key(two.urls[1], key, "once")
    assert (again.status_code, again.headers["x-tollgate-idempotent-replay"]) == (200, "true")


def test_client_that_gave_up_gets_the_response_of_its_first_request(
    two: TwoInstances, upstream: ScriptedUpstream
) -> None:
    key, name, before = two.store.key(), "gave up", len(upstream.requests)
    body, headers = {"model": "test/held", "messages": MESSAGES}, {"authorization": f"Bearer {key}"}
    HELD.hold()
    with httpx.Client(
        headers={**headers, "idempotency-key": name}, timeout=httpx.Timeout(LIMIT_SECONDS, read=1)
    ) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{two.urls[0]}/chat/completions", json=body)
    wait_until(lambda: len(upstream.requests) == before + 1, "the request to the provider")
    HELD.release()
    wait_until(
        lambda: with_idempotency_key(two.urls[1], key, name, "test/held").status_code == 200,
        "the response of the first",
    )
    assert len(upstream.requests) == before + 1


def test_request_of_a_killed_instance_can_be_repeated(
    two: TwoInstances, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    key, catalog, before = two.store.key(), tmp_path / "overlay.toml", len(upstream.requests)
    catalog.write_text(overlay(upstream.url))
    HELD.hold()
    with process(two.store, catalog) as (url, killed), concurrent.futures.ThreadPoolExecutor() as pool:
        name, limit = "killed", {"x-tollgate-timeout-ms": "5000"}
        first = pool.submit(with_idempotency_key, url, key, name, "test/held", **limit)
        wait_until(lambda: len(upstream.requests) == before + 1, "the request to the provider")
        killed.kill()
        assert isinstance(first.exception(LIMIT_SECONDS), httpx.TransportError)
        again = with_idempotency_key(two.urls[0], key, name, "test/held")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_key_in_flight")
    HELD.release()
    # The claim ends with the time of the request that made it.
    wait_until(
        lambda: with_idempotency_key(two.urls[0], key, name, "test/held").status_code == 200, "the repeated request"
    )
