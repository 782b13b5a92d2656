"""Invalid requests: a 4xx in OpenAI's format that names the field, and nothing reserved or recorded."""

import contextlib
import json
import sqlite3
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from support.http import HTTP
from support.running_gateway import RunningGateway
from support.waiting import LIMIT_SECONDS

MESSAGES = [{"role": "user", "content": "How many?"}]
VALID: dict[str, Any] = {"model": "test/whole", "messages": MESSAGES}
UNAUTHORIZED = {
    "error": {
        "message": "Invalid API key provided.",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
}


def records(gateway: RunningGateway) -> int:
    with contextlib.closing(sqlite3.connect(gateway.db)) as db:
        return db.execute("SELECT count(*) FROM usage").fetchone()[0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe\x00", None),
        (b"[" * 100_000, None),
        ({"messages": MESSAGES}, "model"),
        ({"model": None, "messages": MESSAGES}, "model"),
        ({"model": 7, "messages": MESSAGES}, "model"),
        ({"model": "", "messages": MESSAGES}, "model"),
        ({"model": "test/whole"}, "messages"),
        ({"model": "test/whole", "messages": None}, "messages"),
        ({"model": "test/whole", "messages": "hello"}, "messages"),
        ({"model": "test/whole", "messages": []}, "messages"),
        ({"model": "test/whole", "messages": ["hello"]}, "messages[0]"),
        ({"model": "test/whole", "messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"model": "test/whole", "messages": [*MESSAGES, {"role": "robot", "content": "hi"}]}, "messages[1].role"),
        ({"model": "test/whole", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({**VALID, "temperature": 2.1}, "temperature"),
        ({**VALID, "temperature": -1}, "temperature"),
        ({**VALID, "temperature": "0.5"}, "temperature"),
        ({**VALID, "stream": "yes"}, "stream"),
        ({**VALID, "max_tokens": 0}, "max_tokens"),
        ({**VALID, "top_p": 1.5}, "top_p"),
        ({**VALID, "stop": [1]}, "stop"),
        ({**VALID, "tools": "none"}, "tools"),
    ],
)
def test_malformed_request_is_400_and_names_the_field(
    http: httpx.Client, gateway: RunningGateway, body: Any, param: str | None
) -> None:
    before = records(gateway)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = http.post("/chat/completions", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or "").startswith(param or "")
    assert (error["param"] is None) == (param is None)
    assert response.headers["x-request-id"].startswith("req_")
    assert records(gateway) == before
    assert gateway.open_holds() == 0


def test_numbers_that_json_does_not_have_are_400(http: httpx.Client) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        content = b'{"model":"test/whole","messages":[{"role":"user","content":"x"}],"top_k":' + number.encode() + b"}"
        assert http.post("/chat/completions", content=content).status_code == 400


def test_null_fields_count_as_absent(http: httpx.Client) -> None:
    nulls = dict.fromkeys(["temperature", "stream", "stop", "tools", "max_tokens", "n", "stream_options", "user"])
    assert http.post("/chat/completions", json={**VALID, **nulls}).status_code == 200


@pytest.mark.parametrize("model", ["nope", "test/nope", "test/whole "])
def test_unknown_model_is_404(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(model)


def test_long_model_name_is_not_repeated_in_the_error(http: httpx.Client) -> None:
    response = http.post("/chat/completions", json={**VALID, "model": "\U0001f600" * 1_000_000})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
    assert len(response.content) < 1000


def invalid_keys(gateway: RunningGateway) -> dict[str, str | None]:
    valid_key = gateway.api_key
    return {
        "missing": None,
        "other scheme": f"Basic {valid_key}",
        "no key": "Bearer",
        "malformed": "Bearer sk-tg-hello",
        "not ours": "Bearer sk-proj-abcdefghijklmnop",
        "wrong secret": f"Bearer {valid_key[:-1]}{'0' if valid_key[-1] != '0' else '1'}",
        "unknown id": f"Bearer sk-tg-{'f' * 12}-{valid_key.split('-')[3]}",
        "not ascii": "Bearer sk-tg-\u00e9",
    }


@pytest.mark.parametrize(
    "reason", ["missing", "other scheme", "no key", "malformed", "not ours", "wrong secret", "unknown id", "not ascii"]
)
@pytest.mark.parametrize(
    "body", [VALID, {**VALID, "model": "nope"}, {"model": 5}], ids=["valid", "unknown model", "invalid model"]
)
def test_every_invalid_key_gets_the_same_401(gateway: RunningGateway, reason: str, body: dict[str, Any]) -> None:
    value = invalid_keys(gateway)[reason]
    headers = {} if value is None else {b"authorization": value.encode("latin-1")}
    response = HTTP.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS)
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
    models = HTTP.get(f"{gateway.base_url}/models", headers=headers, timeout=LIMIT_SECONDS)
    assert (models.status_code, models.json()) == (401, UNAUTHORIZED)


def test_revoked_and_expired_keys_get_the_same_401(gateway: RunningGateway) -> None:
    for change in ("status = 'revoked'", "expires_at = 1"):
        with contextlib.closing(sqlite3.connect(gateway.db)) as db, db:
            db.execute("CREATE TEMP TABLE saved AS SELECT * FROM keys")
            db.execute(f"UPDATE keys SET {change}")
            db.commit()
            headers = {"authorization": f"Bearer {gateway.api_key}"}
            response = HTTP.post(
                f"{gateway.base_url}/chat/completions", json=VALID, headers=headers, timeout=LIMIT_SECONDS
            )
            db.execute("REPLACE INTO keys SELECT * FROM saved")
            db.commit()
        assert (response.status_code, response.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "unknown_url"),
        ("POST", "/chat/completion", 404, "unknown_url"),
        ("GET", "/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/models", 405, "method_not_allowed"),
        ("POST", "/chat/completions/", 404, "unknown_url"),
    ],
)
def test_unknown_path_or_method_has_an_error_body(
    http: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    response = http.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.headers["x-request-id"]
    if status == 405:
        assert response.headers["allow"]


def test_body_below_the_limit_is_accepted(http: httpx.Client) -> None:
    # Lambda limits the size of the event, which contains the body as JSON text: escapes and headers count.
    assert http.post("/chat/completions", json={**VALID, "user": "x" * (5 * 1024 * 1024)}).status_code == 200


def test_body_over_six_megabytes_is_413(http: httpx.Client) -> None:
    response = http.post("/chat/completions", json={**VALID, "user": "x" * (6 * 1024 * 1024)})
    assert response.status_code == 413


def test_body_over_the_limit_without_a_declared_length_is_413(gateway: RunningGateway) -> None:
    if gateway.kind == "function":
        pytest.skip("for a function, Lambda itself refuses such a body")
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    pieces = (b"x" * 1024 * 1024 for _ in range(8))
    response = HTTP.post(f"{gateway.base_url}/chat/completions", content=pieces, headers=headers, timeout=LIMIT_SECONDS)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"
    assert "TOLLGATE_MAX_BODY_MB" in response.json()["error"]["message"]
