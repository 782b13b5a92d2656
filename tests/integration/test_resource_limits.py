"""Abusive requests, to server and function: they are refused at a bounded cost. Memory is read from the system."""

import json
import secrets
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.http import HTTP
from support.running_gateway import RunningGateway
from support.waiting import LIMIT_SECONDS

BODY_BYTES = 2_900_000
"""A function accepts 6 MB, in which each quotation mark of a body counts as two characters."""
MESSAGES = [{"role": "user", "content": "How many?"}]
UNKNOWN_KEY = f"sk-tg-{secrets.token_hex(6)}-{secrets.token_hex(32)}"


def body_of(item: str, size: int = BODY_BYTES) -> bytes:
    head = '{"model":"test/whole","messages":[{"role":"user","content":['
    return (head + item * ((size - len(head) - 6) // len(item)) + "0]}]}").encode()


def post(gateway: RunningGateway, key: str, body: bytes) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return HTTP.post(f"{gateway.base_url}/chat/completions", content=body, headers=headers, timeout=LIMIT_SECONDS)


@pytest.fixture
def memory_growth(gateway: RunningGateway) -> Any:
    """A function that returns the growth of peak memory since the start of the test, in MB."""
    HTTP.get(gateway.base_url.removesuffix("/v1") + "/health", timeout=LIMIT_SECONDS)  # its process has started
    for process in gateway.processes():
        Path(f"/proc/{process}/clear_refs").write_text("5")  # resets the peak to the current use (proc(5))
    before = gateway.peak_megabytes()
    return lambda: gateway.peak_megabytes() - before


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_largest_batch_of_embeddings_is_answered(gateway: RunningGateway, memory_growth: Any, encoding: str) -> None:
    body = {"model": "test/embed-largest", "input": ["a"] * 2048, "encoding_format": encoding}
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    response = HTTP.post(f"{gateway.base_url}/embeddings", json=body, headers=headers, timeout=LIMIT_SECONDS)
    assert response.status_code == 200, response.text
    assert response.content.count(b'"index":') == 2048
    assert response.content.endswith(b'"total_tokens":1000},"provider":"scripted"}')
    assert memory_growth() < 100


@pytest.mark.parametrize("key", [UNKNOWN_KEY, "junk", "sk-" + "x" * 5000], ids=["unknown", "malformed", "long"])
@pytest.mark.parametrize("item", ["0,", "{},", '{"a":[]},'])
def test_body_with_an_invalid_key_is_not_parsed(
    gateway: RunningGateway, memory_growth: Any, key: str, item: str
) -> None:
    response = post(gateway, key, body_of(item))
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert memory_growth() < 3 * BODY_BYTES / 1e6 + 4  # and what else the process does meanwhile


@pytest.mark.parametrize("item", ["0,", "{},", '"",', '{"a":[]},'])
def test_body_of_too_many_values_is_400(gateway: RunningGateway, memory_growth: Any, item: str) -> None:
    response = post(gateway, gateway.api_key, body_of(item))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert memory_growth() < 3 * BODY_BYTES / 1e6 + 4


@pytest.mark.parametrize(
    "fields", [{"models": ["test/expensive"]}, {"plugins": [{"id": "x", "models": ["vendor/expensive"]}]}]
)
def test_models_of_a_key_apply_to_every_model_in_the_request(gateway: RunningGateway, fields: dict[str, Any]) -> None:
    key = gateway.key("--models", "test/whole")
    body = {"model": "test/whole", "messages": MESSAGES}
    assert post(gateway, key, json.dumps(body).encode()).status_code == 200
    refused = post(gateway, key, json.dumps({**body, **fields}).encode())
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert refused.json()["error"]["param"] == "models"


def test_path_without_v1_names_the_base_url(gateway: RunningGateway) -> None:
    root = gateway.base_url.removesuffix("/v1")
    response = HTTP.post(f"{root}/chat/completions", json={"model": "m", "messages": MESSAGES}, timeout=LIMIT_SECONDS)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")
    assert "base URL ends in /v1" in response.json()["error"]["message"]
    assert "/v1/chat/completions" in response.json()["error"]["message"]


def test_key_in_a_path_is_not_logged(gateway: RunningGateway) -> None:
    path = f"/models/{gateway.api_key}{'x' * 3000}"
    response = HTTP.get(
        f"{gateway.base_url}{path}", headers={"authorization": f"Bearer {gateway.api_key}"}, timeout=LIMIT_SECONDS
    )
    assert response.status_code == 404
    line = gateway.log_of(response.headers["x-request-id"])
    assert line["path"] == "/v1/models/[redacted]"


def test_incomplete_request_does_not_block_others(gateway: RunningGateway) -> None:
    parts = urlsplit(gateway.base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as incomplete:
        incomplete.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        body = json.dumps({"model": "test/whole", "messages": MESSAGES}).encode()
        assert [post(gateway, gateway.api_key, body).status_code for _ in range(3)] == [200] * 3
