"""Every way a provider fails: a true status before the first token, an error event after it, and no hold left open."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from support.running_gateway import RunningGateway
from support.upstream import ScriptedUpstream

ASK: list[Any] = [{"role": "user", "content": "How many?"}]

BEFORE_THE_FIRST_TOKEN = [
    ("html", 502, "upstream_error", "upstream_error"),
    ("html-502", 502, "upstream_error", "upstream_error"),
    ("not-an-answer", 502, "upstream_error", "upstream_error"),
    ("no-message", 502, "upstream_error", "upstream_error"),
    ("error-in-200", 502, "upstream_error", "upstream_error"),
    ("hangs-up", 502, "upstream_error", "upstream_disconnected"),
    ("down", 502, "upstream_error", "upstream_unreachable"),
    ("keyless", 502, "upstream_error", "upstream_auth"),
    ("400", 400, "invalid_request_error", "unsupported_value"),
    ("odd-code", 400, "invalid_request_error", None),
    ("long-code", 400, "invalid_request_error", None),
    ("context", 400, "invalid_request_error", "context_length_exceeded"),
    ("422", 400, "invalid_request_error", None),
    ("401", 502, "upstream_error", "upstream_auth"),
    ("403", 502, "upstream_error", "upstream_auth"),
    ("404", 404, "invalid_request_error", "model_not_found"),
    ("429", 429, "rate_limit_error", "rate_limit_exceeded"),
    ("quota", 502, "upstream_error", "upstream_auth"),
    ("500", 502, "upstream_error", "upstream_error"),
    ("503", 503, "server_error", "overloaded"),
    ("redirect", 502, "upstream_error", "upstream_error"),
]
STREAM_FAILS_AT_ONCE = [
    ("error-first", 429, "rate_limit_error", "rate_limit_exceeded"),
    ("cut-first", 502, "upstream_error", "upstream_disconnected"),
    ("empty-stream", 502, "upstream_error", "stream_truncated"),
    ("only-done", 502, "upstream_error", "upstream_error"),
    ("html", 502, "upstream_error", "stream_truncated"),
    ("error-in-200", 502, "upstream_error", "upstream_error"),
    ("429", 429, "rate_limit_error", "rate_limit_exceeded"),
]


def check_error(
    answer: httpx.Response, gateway: RunningGateway, status: int, kind: str, code: str | None
) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == (kind, code)
    assert error["message"]
    record = gateway.settled(answer.headers["x-request-id"])
    assert record["status"] == status
    assert record["error_code"] == (code or kind)
    assert record["finish_reason"] is None
    return error


@pytest.mark.parametrize(("name", "status", "kind", "code"), BEFORE_THE_FIRST_TOKEN)
def test_failed_call_has_its_true_status(
    http: httpx.Client, gateway: RunningGateway, name: str, status: int, kind: str, code: str | None
) -> None:
    answer = http.post("/chat/completions", json={"model": f"test/{name}", "messages": ASK})
    check_error(answer, gateway, status, kind, code)


@pytest.mark.parametrize(("name", "status", "kind", "code"), STREAM_FAILS_AT_ONCE)
def test_stream_that_fails_at_once_has_its_true_status(
    http: httpx.Client, gateway: RunningGateway, name: str, status: int, kind: str, code: str | None
) -> None:
    answer = http.post("/chat/completions", json={"model": f"test/{name}", "messages": ASK, "stream": True})
    assert answer.headers["content-type"] == "application/json"
    check_error(answer, gateway, status, kind, code)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cut", "upstream_disconnected"),
        ("ends-early", "stream_truncated"),
        ("error-later", "upstream_error"),
        ("broken-json", "upstream_error"),
    ],
)
def test_stream_that_breaks_later_ends_in_an_error_event(
    http: httpx.Client, gateway: RunningGateway, name: str, code: str
) -> None:
    answer = http.post("/chat/completions", json={"model": f"test/{name}", "messages": ASK, "stream": True})
    assert answer.status_code == 200
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    *chunks, last = events
    assert chunks[0]["choices"][0]["delta"]["content"] == "Four"
    assert last["error"]["type"] == "upstream_error"
    assert last["error"]["code"] == code
    assert "[DONE]" not in answer.text
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
    record = gateway.settled(answer.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["finish_reason"]) == (200, code, None)


def test_official_client_raises_for_a_broken_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="test/cut", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match="connection to the provider broke"):
        list(stream)


def test_wait_that_a_provider_asks_for_is_passed_on(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json={"model": "test/429", "messages": ASK})
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["retry-after-ms"] == "7000"


def test_providers_message_is_relayed_without_its_secrets(http: httpx.Client) -> None:
    refused = http.post("/chat/completions", json={"model": "test/401", "messages": ASK})
    assert "sk-live" not in refused.text
    assert "provider.example" not in refused.text
    missing = http.post("/chat/completions", json={"model": "test/404", "messages": ASK}).json()["error"]["message"]
    assert missing == "No such model at [redacted]"
    assert (
        "Extra inputs are not permitted"
        in http.post("/chat/completions", json={"model": "test/422", "messages": ASK}).text
    )


def test_client_that_leaves_a_stream_frees_the_provider_and_is_recorded(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if "lambda" in gateway.db.name:
        pytest.skip("Lambda does not tell a function that its client has gone")
    upstream.gone.clear()
    with http.stream("POST", "/chat/completions", json={"model": "test/stall", "messages": ASK, "stream": True}) as got:
        next(got.iter_bytes())
        request_id = got.headers["x-request-id"]
    assert upstream.gone.wait(10)
    assert gateway.settled(request_id)["error_code"] == "client_closed_request"


def test_client_that_leaves_before_the_answer_frees_the_provider(
    gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if "lambda" in gateway.db.name:
        pytest.skip("Lambda does not tell a function that its client has gone")
    upstream.gone.clear()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{gateway.base_url}/chat/completions",
            json={"model": "test/slow", "messages": ASK},
            headers={"authorization": f"Bearer {gateway.api_key}"},
            timeout=1,
        )
    assert upstream.gone.wait(10)


def test_no_hold_is_left_open(gateway: RunningGateway, http: httpx.Client) -> None:
    for name in ("whole", "cut", "401", "down"):
        answer = http.post("/chat/completions", json={"model": f"test/{name}", "messages": ASK})
        gateway.log_of(answer.headers["x-request-id"])
    assert gateway.open_holds() == 0
