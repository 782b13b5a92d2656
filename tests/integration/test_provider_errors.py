"""Failures of providers: an error status before the first token, an error event after it, and no open hold."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from openai import OpenAI

from support.running_gateway import RunningGateway
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS, wait_until

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]

BEFORE_THE_FIRST_TOKEN = [
    ("html", 502, "upstream_error", "upstream_error"),
    ("html-502", 502, "upstream_error", "upstream_error"),
    ("other-json", 502, "upstream_error", "upstream_error"),
    ("no-message", 502, "upstream_error", "upstream_error"),
    ("error-in-200", 502, "upstream_error", "upstream_error"),
    ("disconnects", 502, "upstream_error", "upstream_disconnected"),
    ("down", 502, "upstream_error", "upstream_unreachable"),
    ("keyless", 502, "upstream_error", "upstream_auth"),
    ("400", 400, "invalid_request_error", "unsupported_value"),
    ("surrogate-code", 400, "invalid_request_error", None),
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
STREAM_BEFORE_THE_FIRST_CHUNK = [
    ("error-first", 429, "rate_limit_error", "rate_limit_exceeded"),
    ("cut-first", 502, "upstream_error", "upstream_disconnected"),
    ("empty-stream", 502, "upstream_error", "stream_truncated"),
    ("only-done", 502, "upstream_error", "upstream_error"),
    ("html", 502, "upstream_error", "stream_truncated"),
    ("error-in-200", 502, "upstream_error", "upstream_error"),
    ("429", 429, "rate_limit_error", "rate_limit_exceeded"),
]


def check_error(
    response: httpx.Response, gateway: RunningGateway, status: int, kind: str, code: str | None
) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == (kind, code)
    assert error["message"]
    record = gateway.settled(response.headers["x-request-id"])
    assert record["status"] == status
    assert record["error_code"] == (code or kind)
    assert record["finish_reason"] is None
    return error


@pytest.mark.parametrize(("name", "status", "kind", "code"), BEFORE_THE_FIRST_TOKEN)
def test_failed_call_has_its_error_status(
    http: httpx.Client, gateway: RunningGateway, name: str, status: int, kind: str, code: str | None
) -> None:
    response = http.post("/chat/completions", json={"model": f"test/{name}", "messages": MESSAGES})
    check_error(response, gateway, status, kind, code)


@pytest.mark.parametrize(("name", "status", "kind", "code"), STREAM_BEFORE_THE_FIRST_CHUNK)
def test_stream_that_fails_before_its_first_chunk_has_its_error_status(
    http: httpx.Client, gateway: RunningGateway, name: str, status: int, kind: str, code: str | None
) -> None:
    response = http.post("/chat/completions", json={"model": f"test/{name}", "messages": MESSAGES, "stream": True})
    assert response.headers["content-type"] == "application/json"
    check_error(response, gateway, status, kind, code)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cut", "upstream_disconnected"),
        ("ends-early", "stream_truncated"),
        ("error-later", "upstream_error"),
        ("broken-json", "upstream_error"),
    ],
)
def test_stream_that_fails_after_its_first_chunk_ends_in_an_error_event(
    http: httpx.Client, gateway: RunningGateway, name: str, code: str
) -> None:
    response = http.post("/chat/completions", json={"model": f"test/{name}", "messages": MESSAGES, "stream": True})
    assert response.status_code == 200
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    *chunks, last = events
    assert chunks[0]["choices"][0]["delta"]["content"] == "Four"
    assert last["error"]["type"] == "upstream_error"
    assert last["error"]["code"] == code
    assert "[DONE]" not in response.text
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["finish_reason"]) == (200, code, None)


def test_official_client_raises_for_a_broken_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="test/cut", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="connection to the provider broke"):
        list(stream)


def test_retry_delay_of_the_provider_is_passed_on(http: httpx.Client) -> None:
    response = http.post("/chat/completions", json={"model": "test/429", "messages": MESSAGES})
    assert response.headers["retry-after"] == "7"
    assert response.headers["retry-after-ms"] == "7000"


def test_message_of_the_provider_is_passed_on_without_secrets(http: httpx.Client) -> None:
    refused = http.post("/chat/completions", json={"model": "test/401", "messages": MESSAGES})
    assert "sk-live" not in refused.text
    assert "provider.example" not in refused.text
    missing = http.post("/chat/completions", json={"model": "test/404", "messages": MESSAGES}).json()["error"][
        "message"
    ]
    assert missing == "No such model at [redacted]"
    assert (
        "Extra inputs are not permitted"
        in http.post("/chat/completions", json={"model": "test/422", "messages": MESSAGES}).text
    )


def test_client_that_leaves_a_stream_ends_the_provider_call_and_is_recorded(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if gateway.kind == "function":
        pytest.skip("Lambda does not report the disconnection of a client to a function")
    upstream.client_disconnected.clear()
    with http.stream(
        "POST", "/chat/completions", json={"model": "test/stall", "messages": MESSAGES, "stream": True}
    ) as response:
        next(response.iter_bytes())
        request_id = response.headers["x-request-id"]
    assert upstream.client_disconnected.wait(LIMIT_SECONDS)
    assert gateway.settled(request_id)["error_code"] == "client_closed_request"


def test_client_that_leaves_before_the_response_ends_the_provider_call(
    gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if gateway.kind == "function":
        pytest.skip("Lambda does not report the disconnection of a client to a function")
    upstream.client_disconnected.clear()
    requests_before, address = len(upstream.requests), urlsplit(gateway.base_url)
    body = json.dumps({"model": "test/slow", "messages": MESSAGES})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.api_key}\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        wait_until(lambda: len(upstream.requests) > requests_before, "the request to the provider")
    assert upstream.client_disconnected.wait(LIMIT_SECONDS)
    wait_until(lambda: gateway.open_holds() == 0, "the release of the hold")


def test_no_hold_is_left_open(gateway: RunningGateway, http: httpx.Client) -> None:
    for name in ("whole", "cut", "401", "down"):
        response = http.post("/chat/completions", json={"model": f"test/{name}", "messages": MESSAGES})
        gateway.log_of(response.headers["x-request-id"])
    assert gateway.open_holds() == 0
