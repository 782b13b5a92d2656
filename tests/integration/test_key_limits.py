"""Limits of a key over HTTP: what is refused, with which error, and the headers of every response."""

import concurrent.futures
import datetime
import subprocess
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from support.http import HTTP
from support.running_gateway import TOLLGATE, RunningGateway
from support.waiting import LIMIT_SECONDS, within_one_minute

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
BODY: dict[str, Any] = {"model": "test/whole", "messages": MESSAGES}


def chat(gateway: RunningGateway, key: str, **changes: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return HTTP.post(
        f"{gateway.base_url}/chat/completions", json={**BODY, **changes}, headers=headers, timeout=LIMIT_SECONDS
    )


def get(gateway: RunningGateway, key: str, path: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return HTTP.get(f"{gateway.base_url}{path}", headers=headers, timeout=LIMIT_SECONDS)


def test_request_over_the_limit_is_429_with_a_retry_delay(gateway: RunningGateway) -> None:
    def send_three() -> list[httpx.Response]:
        key = gateway.key("--rpm", "2")
        return [chat(gateway, key) for _ in range(3)]

    first, second, third = within_one_minute(send_three)
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert [response.headers["x-ratelimit-remaining-requests"] for response in (first, second, third)] == [
        "1",
        "0",
        "0",
    ]
    assert third.json()["error"]["type"] == "rate_limit_error"
    assert third.json()["error"]["code"] == "requests"
    assert 1 <= int(third.headers["retry-after"]) <= 60
    reset = datetime.datetime.fromisoformat(third.headers["x-ratelimit-reset-requests"])
    assert reset.second == 0
    assert third.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert third.headers["ratelimit"].startswith('"requests";r=0;t=')


def test_concurrent_clients_get_exactly_the_request_limit(gateway: RunningGateway) -> None:
    def send_sixty() -> list[int]:
        key = gateway.key("--rpm", "20", "--concurrency", "100")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            submitted = [pool.submit(chat, gateway, key) for _ in range(60)]
            return [response.result().status_code for response in submitted]

    statuses = within_one_minute(send_sixty)
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 20


def test_tokens_are_reserved_and_then_settled_to_the_usage(gateway: RunningGateway) -> None:
    key = gateway.key("--tpm", "1000")
    refused = chat(gateway, key, max_tokens=2000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "tokens")
    response = chat(gateway, key, max_tokens=500)
    assert response.status_code == 200
    gateway.settled(response.headers["x-request-id"])
    after = get(gateway, key, "/models")
    assert after.headers["x-ratelimit-limit-tokens"] == "1000"
    assert int(after.headers["x-ratelimit-remaining-tokens"]) in (988, 1000)  # 12 were used, or the minute changed


def test_request_over_the_budget_is_402_and_is_not_retried(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "0.005/day")
    assert chat(gateway, key, max_tokens=100).status_code == 200
    refused = chat(gateway, key, max_tokens=1000)
    assert refused.status_code == 402
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    with OpenAI(base_url=gateway.base_url, api_key=key) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="test/whole", messages=MESSAGES, max_tokens=1000)
    assert raised.value.status_code == 402


def test_model_that_a_key_may_not_use_is_403_and_not_listed(gateway: RunningGateway) -> None:
    key = gateway.key("--models", "test/wh*,gpt-*")
    assert chat(gateway, key).status_code == 200
    assert chat(gateway, key).status_code == 200
    refused = chat(gateway, key, model="test/stream")
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"
    assert refused.json()["error"]["param"] == "model"
    listed = get(gateway, key, "/models").json()["data"]
    ids = {model["id"] for model in listed}
    assert {"test/whole", "gpt-4o"} <= ids
    assert all(name.startswith(("test/wh", "gpt-")) for name in ids)
    unlisted = get(gateway, key, "/models/test/stream")
    assert (unlisted.status_code, unlisted.json()["error"]["code"]) == (404, "model_not_found")


def test_every_response_has_rate_limit_headers(gateway: RunningGateway) -> None:
    key = gateway.key("--rpm", "1000", "--tpm", "100000")
    responses = [
        chat(gateway, key),
        chat(gateway, key, stream=True, model="test/stream"),
        chat(gateway, key, model="test/500"),
        chat(gateway, key, model="nope"),
        chat(gateway, key, temperature=9),
        get(gateway, key, "/models"),
    ]
    assert [response.status_code for response in responses] == [200, 200, 502, 404, 400, 200]
    for response in responses:
        for kind in ("requests", "tokens"):
            for what in ("limit", "remaining", "reset"):
                assert f"x-ratelimit-{what}-{kind}" in response.headers


def test_previous_secret_is_valid_until_the_overlap_ends(gateway: RunningGateway) -> None:
    key = gateway.key()
    for overlap, expected_status in (("1h", 200), ("0m", 401)):
        command = [TOLLGATE, "keys", "rotate", key.split("-")[2], "--overlap", overlap, "--db", str(gateway.db)]
        new = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert chat(gateway, new).status_code == 200
        assert chat(gateway, key).status_code == expected_status
        key = new


@pytest.mark.parametrize(
    ("name", "streamed", "tokens"),
    [("cut-first", True, (9, 0)), ("cut", True, (9, 3)), ("error-later", True, (9, 3)), ("ends-early", True, (9, 3))],
)
def test_broken_stream_is_billed_for_what_was_delivered(
    gateway: RunningGateway, name: str, streamed: bool, tokens: tuple[int, int]
) -> None:
    response = chat(gateway, gateway.api_key, model=f"test/{name}", stream=streamed)
    record = gateway.settled(response.headers["x-request-id"])
    assert record["estimated"] == 1
    assert record["cost_source"] == "estimated"
    assert record["output_tokens"] == tokens[1]  # "Four score" is ten characters
    assert 1 <= record["input_tokens"] <= 20
    assert record["cost_micro_usd"] == record["input_tokens"] * 2 + tokens[1] * 8


def test_request_that_no_provider_accepted_costs_nothing(gateway: RunningGateway) -> None:
    for name in ("429", "down", "error-in-200"):
        record = gateway.settled(chat(gateway, gateway.api_key, model=f"test/{name}").headers["x-request-id"])
        assert record["cost_micro_usd"] == 0


def test_key_reads_its_own_usage(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "10/month", "--rpm", "100")
    ids = [chat(gateway, key).headers["x-request-id"] for _ in range(2)]
    ids.append(chat(gateway, key, model="test/stream", stream=True).headers["x-request-id"])
    for request_id in ids:
        gateway.settled(request_id)
    by_model = get(gateway, key, "/usage?group_by=model").json()
    assert [(row["model"], row["requests"], row["cost_usd"]) for row in by_model["data"]] == [
        ("test/stream", 1, "0.000036"),
        ("test/whole", 2, "0.000072"),
    ]
    assert by_model["total"]["cost_usd"] == "0.000108"
    as_csv = get(gateway, key, "/usage?group_by=day,model&format=csv")
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert len(as_csv.text.splitlines()) == 3
    account = get(gateway, key, "/key").json()["data"]
    assert account == get(gateway, key, "/auth/key").json()["data"]
    assert account["limit"] == 10
    assert account["limit_remaining"] == pytest.approx(10 - 0.000108)
    assert account["usage"] == pytest.approx(0.000108)
    credits = get(gateway, key, "/credits").json()["data"]
    assert credits == {"total_credits": 10, "total_usage": pytest.approx(0.000108)}
    generation = get(gateway, key, f"/generation?id=chatcmpl-{ids[0][4:]}").json()["data"]
    assert (generation["model"], generation["total_cost"], generation["tokens_prompt"]) == ("test/whole", 0.000036, 9)
    assert get(gateway, key, "/generation?id=nope").status_code == 404
    assert get(gateway, key, "/usage?from=yesterday").json()["error"]["param"] == "from"


def test_only_an_admin_reads_another_keys_usage(gateway: RunningGateway) -> None:
    key, admin = gateway.key(), gateway.key("--role", "admin")
    gateway.settled(chat(gateway, key).headers["x-request-id"])
    path = f"/usage?group_by=key&key_id={key.split('-')[2]}"
    other = get(gateway, gateway.api_key, path)
    assert (other.status_code, other.json()["error"]["code"]) == (403, "admin_only")
    by_admin = get(gateway, admin, path).json()
    assert [row["requests"] for row in by_admin["data"]] == [1]
    everything = get(gateway, admin, "/usage?group_by=key&key_id=*")
    assert key.split("-")[2] in everything.text
