"""Several gateways on one store: their limits are exact together. Gateways that die are in the stores' own tests."""

import concurrent.futures
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.instances import SharedStore, instance
from support.scenarios import overlay
from support.upstream import ScriptedUpstream

ASK: list[Any] = [{"role": "user", "content": "How many?"}]


@pytest.fixture
def catalog(upstream: ScriptedUpstream, tmp_path: Path) -> Path:
    path = tmp_path / "overlay.toml"
    path.write_text(overlay(upstream.url))
    return path


def ask(url: str, key: str, model: str = "test/pause", **more: Any) -> int:
    body = {"model": model, "messages": ASK, **more}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60).status_code


def crowd(urls: list[str], key: str, clients: int, requests: int, **more: Any) -> "Counter[int]":
    """The statuses that so many clients at once, spread over the instances, get for so many requests."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask, urls[number % len(urls)], key, **more) for number in range(requests)]
        return Counter(done.result() for done in asked)


def read(url: str, key: str, path: str) -> Any:
    return httpx.get(f"{url}{path}", headers={"authorization": f"Bearer {key}"}, timeout=60).json()


def early_in_the_minute() -> None:
    if time.time() % 60 > 35:
        time.sleep(60 - time.time() % 60)


def test_two_instances_admit_exactly_what_the_limit_says(store: SharedStore, catalog: Path) -> None:
    key = store.key("--rpm", "60", "--concurrency", "1000")
    with instance(store, catalog) as one, instance(store, catalog) as two:
        early_in_the_minute()
        # More clients at once only make DynamoDB Local miss its clock; the stores' own tests have 200.
        statuses = crowd([one, two], key, 12, 120)
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] <= 60
    # A table that did not answer in time may have let a request in all the same: its hold ends by itself.
    assert statuses[200] + statuses[503] >= 60
    assert statuses[503] or statuses == {200: 60, 429: 60}


def test_two_instances_never_let_more_in_at_once(store: SharedStore, catalog: Path, upstream: ScriptedUpstream) -> None:
    key = store.key("--tier", "unlimited", "--concurrency", "10")
    with instance(store, catalog) as one, instance(store, catalog) as two:
        upstream.busiest = 0
        statuses = crowd([one, two], key, 30, 240)
    assert set(statuses) <= {200, 429, 503}  # 503: DynamoDB Local may be too slow for its clock
    assert 1 <= upstream.busiest <= 10
    assert statuses[200] >= 10


def test_two_instances_spend_exactly_the_budget(store: SharedStore, catalog: Path) -> None:
    # An answer of 12,500 tokens at 8 USD per million is held at, and costs, 0.10 USD; the prompt is for nothing.
    priced = (
        catalog.read_text()
        .replace("input_usd_per_mtok = 2.0", "input_usd_per_mtok = 0")
        .replace("cached_usd_per_mtok = 0.5", "cached_usd_per_mtok = 0")
    )
    catalog.write_text(priced.replace('"test/dear"]\n', '"test/dear"]\nusual_output_tokens = 12500\n', 1))
    key = store.key("--tier", "unlimited", "--budget", "1/total")
    with instance(store, catalog) as one, instance(store, catalog) as two:
        statuses = crowd([one, two], key, 8, 40, model="test/dear", max_tokens=12500)
        spent = read(one, key, "/credits")["data"]
        total = read(two, key, "/usage?group_by=key")["total"]
    assert statuses[200] <= 10
    if not statuses[503]:  # a table that was too slow for its clock may hold a little more than was answered
        assert statuses == {200: 10, 402: 30}
        assert spent == {"total_credits": 1.0, "total_usage": pytest.approx(1.0)}
        assert total["cost_usd"] == "1.000000"
