"""A key's limits, through the front: what is refused, how, and what every answer says of how the key stands."""

import concurrent.futures
import datetime
import subprocess
import time
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from support.running_gateway import TOLLGATE, RunningGateway

ASK: list[Any] = [{"role": "user", "content": "How many?"}]
BODY: dict[str, Any] = {"model": "test/whole", "messages": ASK}


def ask(gateway: RunningGateway, key: str, **changes: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{gateway.base_url}/chat/completions", json={**BODY, **changes}, headers=headers, timeout=30)


@pytest.fixture
def whole_minute() -> None:
    """Tests of a window begin early in one, so that it does not turn under them."""
    if time.time() % 60 > 40:
        time.sleep(60 - time.time() % 60)


@pytest.mark.usefixtures("whole_minute")
def test_request_over_the_limit_is_429_and_says_when_to_come_back(gateway: RunningGateway) -> None:
    key = gateway.key("--rpm", "2")
    first, second, third = (ask(gateway, key) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in (first, second, third)] == ["1", "0", "0"]
    assert third.json()["error"]["type"] == "rate_limit_error"
    assert third.json()["error"]["code"] == "requests"
    assert 1 <= int(third.headers["retry-after"]) <= 60
    reset = datetime.datetime.fromisoformat(third.headers["x-ratelimit-reset-requests"])
    assert reset.second == 0
    assert third.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert third.headers["ratelimit"].startswith('"requests";r=0;t=')


@pytest.mark.usefixtures("whole_minute")
def test_parallel_clients_get_exactly_what_there_is(gateway: RunningGateway) -> None:
    key = gateway.key("--rpm", "20", "--concurrency", "100")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, gateway, key) for _ in range(60)]
        statuses = [answer.result().status_code for answer in asked]
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 20


def test_tokens_are_held_and_then_settled_to_what_was_used(gateway: RunningGateway) -> None:
    key = gateway.key("--tpm", "1000")
    refused = ask(gateway, key, max_tokens=2000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "tokens")
    answer = ask(gateway, key, max_tokens=500)
    assert answer.status_code == 200
    gateway.settled(answer.headers["x-request-id"])
    after = httpx.get(f"{gateway.base_url}/models", headers={"authorization": f"Bearer {key}"})
    assert after.headers["x-ratelimit-limit-tokens"] == "1000"
    assert int(after.headers["x-ratelimit-remaining-tokens"]) in (988, 1000)  # 12 were used, or the minute turned


def test_budget_is_402_and_is_not_tried_again(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "0.005/day")
    assert ask(gateway, key, max_tokens=100).status_code == 200
    refused = ask(gateway, key, max_tokens=1000)
    assert refused.status_code == 402
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    with OpenAI(base_url=gateway.base_url, api_key=key) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="test/whole", messages=ASK, max_tokens=1000)
    assert raised.value.status_code == 402


def test_model_that_a_key_may_not_use_is_403_and_not_listed(gateway: RunningGateway) -> None:
    key = gateway.key("--models", "test/wh*,gpt-*")
    assert ask(gateway, key).status_code == 200
    assert ask(gateway, key).status_code == 200
    refused = ask(gateway, key, model="test/stream")
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"
    assert refused.json()["error"]["param"] == "model"
    listed = httpx.get(f"{gateway.base_url}/models", headers={"authorization": f"Bearer {key}"}).json()["data"]
    ids = {model["id"] for model in listed}
    assert {"test/whole", "gpt-4o"} <= ids
    assert all(name.startswith(("test/wh", "gpt-")) for name in ids)
    unlisted = httpx.get(f"{gateway.base_url}/models/test/stream", headers={"authorization": f"Bearer {key}"})
    assert (unlisted.status_code, unlisted.json()["error"]["code"]) == (404, "model_not_found")


def test_every_answer_says_how_the_key_stands(gateway: RunningGateway) -> None:
    key = gateway.key("--rpm", "1000", "--tpm", "100000")
    headers = {"authorization": f"Bearer {key}"}
    answers = [
        ask(gateway, key),
        ask(gateway, key, stream=True, model="test/stream"),
        ask(gateway, key, model="test/500"),
        ask(gateway, key, model="nope"),
        ask(gateway, key, temperature=9),
        httpx.get(f"{gateway.base_url}/models", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 502, 404, 400, 200]
    for answer in answers:
        for kind in ("requests", "tokens"):
            for what in ("limit", "remaining", "reset"):
                assert f"x-ratelimit-{what}-{kind}" in answer.headers


def test_old_secret_works_until_the_overlap_is_over(gateway: RunningGateway) -> None:
    key = gateway.key()
    for overlap, works in (("1h", 200), ("0m", 401)):
        command = [TOLLGATE, "keys", "rotate", key.split("-")[2], "--overlap", overlap, "--db", str(gateway.db)]
        new = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert ask(gateway, new).status_code == 200
        assert ask(gateway, key).status_code == works
        key = new


@pytest.mark.parametrize(
    ("name", "streamed", "tokens"),
    [("cut-first", True, (9, 0)), ("cut", True, (9, 3)), ("error-later", True, (9, 3)), ("ends-early", True, (9, 3))],
)
def test_broken_stream_is_billed_for_what_was_delivered(
    gateway: RunningGateway, name: str, streamed: bool, tokens: tuple[int, int]
) -> None:
    answer = ask(gateway, gateway.api_key, model=f"test/{name}", stream=streamed)
    record = gateway.settled(answer.headers["x-request-id"])
    assert record["estimated"] == 1
    assert record["cost_source"] == "estimated"
    assert record["output_tokens"] == tokens[1]  # "Four score" is ten characters
    assert 1 <= record["input_tokens"] <= 20
    assert record["cost_micro_usd"] == record["input_tokens"] * 2 + tokens[1] * 8


def test_request_that_no_provider_took_up_costs_nothing(gateway: RunningGateway) -> None:
    for name in ("429", "down", "error-in-200"):
        record = gateway.settled(ask(gateway, gateway.api_key, model=f"test/{name}").headers["x-request-id"])
        assert record["cost_micro_usd"] == 0


def test_own_usage_is_read_back(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "10/month", "--rpm", "100")
    headers = {"authorization": f"Bearer {key}"}
    ids = [ask(gateway, key).headers["x-request-id"] for _ in range(2)]
    ids.append(ask(gateway, key, model="test/stream", stream=True).headers["x-request-id"])
    for request_id in ids:
        gateway.settled(request_id)
    by_model = httpx.get(f"{gateway.base_url}/usage?group_by=model", headers=headers).json()
    assert [(row["model"], row["requests"], row["cost_usd"]) for row in by_model["data"]] == [
        ("test/stream", 1, "0.000036"),
        ("test/whole", 2, "0.000072"),
    ]
    assert by_model["total"]["cost_usd"] == "0.000108"
    as_csv = httpx.get(f"{gateway.base_url}/usage?group_by=day,model&format=csv", headers=headers)
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert len(as_csv.text.splitlines()) == 3
    one = httpx.get(f"{gateway.base_url}/key", headers=headers).json()["data"]
    assert one == httpx.get(f"{gateway.base_url}/auth/key", headers=headers).json()["data"]
    assert one["limit"] == 10
    assert one["limit_remaining"] == pytest.approx(10 - 0.000108)
    assert one["usage"] == pytest.approx(0.000108)
    credits = httpx.get(f"{gateway.base_url}/credits", headers=headers).json()["data"]
    assert credits == {"total_credits": 10, "total_usage": pytest.approx(0.000108)}
    generation = httpx.get(f"{gateway.base_url}/generation?id=chatcmpl-{ids[0][4:]}", headers=headers).json()["data"]
    assert (generation["model"], generation["total_cost"], generation["tokens_prompt"]) == ("test/whole", 0.000036, 9)
    assert httpx.get(f"{gateway.base_url}/generation?id=nope", headers=headers).status_code == 404
    assert httpx.get(f"{gateway.base_url}/usage?from=yesterday", headers=headers).json()["error"]["param"] == "from"


def test_only_an_admin_reads_another_keys_usage(gateway: RunningGateway) -> None:
    key, admin = gateway.key(), gateway.key("--role", "admin")
    gateway.settled(ask(gateway, key).headers["x-request-id"])
    path = f"{gateway.base_url}/usage?group_by=key&key_id={key.split('-')[2]}"
    other = httpx.get(path, headers={"authorization": f"Bearer {gateway.api_key}"})
    assert (other.status_code, other.json()["error"]["code"]) == (403, "admin_only")
    seen = httpx.get(path, headers={"authorization": f"Bearer {admin}"}).json()
    assert [row["requests"] for row in seen["data"]] == [1]
    everything = httpx.get(
        f"{gateway.base_url}/usage?group_by=key&key_id=*", headers={"authorization": f"Bearer {admin}"}
    )
    assert key.split("-")[2] in everything.text
