"""What strangers send, on both doors: it is refused, and costs next to nothing. Memory is read from the system."""

import json
import secrets
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.running_gateway import RunningGateway

BODY = 2_900_000
"""A function takes 6 MB, and each quotation mark in a body is two characters there."""
ASK = [{"role": "user", "content": "How many?"}]
STRANGER = f"sk-tg-{secrets.token_hex(6)}-{secrets.token_hex(32)}"


def junk(item: str, size: int = BODY) -> bytes:
    head = '{"model":"test/whole","messages":[{"role":"user","content":['
    return (head + item * ((size - len(head) - 6) // len(item)) + "0]}]}").encode()


def post(gateway: RunningGateway, key: str, body: bytes) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return httpx.post(f"{gateway.base_url}/chat/completions", content=body, headers=headers, timeout=60)


@pytest.fixture
def grown(gateway: RunningGateway) -> Any:
    """How many MB the peak of memory has grown since the test began."""
    for process in gateway.processes():
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak is what is used now (proc(5))
    before = gateway.peak_megabytes()
    return lambda: gateway.peak_megabytes() - before


@pytest.mark.parametrize("key", [STRANGER, "junk", "sk-" + "x" * 5000], ids=["stranger", "junk", "long"])
@pytest.mark.parametrize("item", ["0,", "{},", '{"a":[]},'])
def test_a_body_without_a_key_is_not_worth_its_parsing(
    gateway: RunningGateway, grown: Any, key: str, item: str
) -> None:
    answer = post(gateway, key, junk(item))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert grown() < 3 * BODY / 1e6 + 4  # what else happens meanwhile


@pytest.mark.parametrize("item", ["0,", "{},", '"",', '{"a":[]},'])
def test_a_body_of_nothing_but_values_is_400(gateway: RunningGateway, grown: Any, item: str) -> None:
    answer = post(gateway, gateway.api_key, junk(item))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert grown() < 3 * BODY / 1e6 + 4


@pytest.mark.parametrize("fields", [{"models": ["vendor/dear"]}, {"plugins": [{"id": "x", "models": ["vendor/dear"]}]}])
def test_a_keys_list_of_models_holds_for_every_model_that_is_named(
    gateway: RunningGateway, fields: dict[str, Any]
) -> None:
    key = gateway.key("--models", "test/whole")
    body = {"model": "test/whole", "messages": ASK}
    assert post(gateway, key, json.dumps(body).encode()).status_code == 200
    refused = post(gateway, key, json.dumps({**body, **fields}).encode())
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert refused.json()["error"]["param"] == "models"


def test_a_wrong_path_says_what_a_base_url_is(gateway: RunningGateway) -> None:
    root = gateway.base_url.removesuffix("/v1")
    answer = httpx.post(f"{root}/chat/completions", json={"model": "m", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert "base URL ends in /v1" in answer.json()["error"]["message"]
    assert "/v1/chat/completions" in answer.json()["error"]["message"]


def test_a_key_in_a_path_is_not_in_the_log(gateway: RunningGateway) -> None:
    path = f"/models/{gateway.api_key}{'x' * 3000}"
    answer = httpx.get(f"{gateway.base_url}{path}", headers={"authorization": f"Bearer {gateway.api_key}"})
    assert answer.status_code == 404
    line = gateway.log_of(answer.headers["x-request-id"])
    assert line["path"] == "/v1/models/[redacted]"


def test_half_a_request_is_not_waited_for_by_others(gateway: RunningGateway) -> None:
    parts = urlsplit(gateway.base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as half:
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        body = json.dumps({"model": "test/whole", "messages": ASK}).encode()
        assert [post(gateway, gateway.api_key, body).status_code for _ in range(3)] == [200] * 3
