"""What a client can get wrong: a clear 4xx in OpenAI's envelope that names the field, and nothing taken for it."""

import contextlib
import json
import sqlite3
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from support.running_gateway import RunningGateway

ASK = [{"role": "user", "content": "How many?"}]
GOOD: dict[str, Any] = {"model": "test/whole", "messages": ASK}
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
        ({"messages": ASK}, "model"),
        ({"model": None, "messages": ASK}, "model"),
        ({"model": 7, "messages": ASK}, "model"),
        ({"model": "", "messages": ASK}, "model"),
        ({"model": "test/whole"}, "messages"),
        ({"model": "test/whole", "messages": None}, "messages"),
        ({"model": "test/whole", "messages": "hello"}, "messages"),
        ({"model": "test/whole", "messages": []}, "messages"),
        ({"model": "test/whole", "messages": ["hello"]}, "messages[0]"),
        ({"model": "test/whole", "messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"model": "test/whole", "messages": [*ASK, {"role": "robot", "content": "hi"}]}, "messages[1].role"),
        ({"model": "test/whole", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({**GOOD, "temperature": 2.1}, "temperature"),
        ({**GOOD, "temperature": -1}, "temperature"),
        ({**GOOD, "temperature": "0.5"}, "temperature"),
        ({**GOOD, "stream": "yes"}, "stream"),
        ({**GOOD, "max_tokens": 0}, "max_tokens"),
        ({**GOOD, "top_p": 1.5}, "top_p"),
        ({**GOOD, "stop": [1]}, "stop"),
        ({**GOOD, "tools": "none"}, "tools"),
    ],
)
def test_malformed_request_is_told_which_field_is_wrong(
    http: httpx.Client, gateway: RunningGateway, body: Any, param: str | None
) -> None:
    before = records(gateway)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = http.post("/chat/completions", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or "").startswith(param or "")
    assert (error["param"] is None) == (param is None)
    assert answer.headers["x-request-id"].startswith("req_")
    assert records(gateway) == before
    assert gateway.open_holds() == 0


def test_numbers_that_json_does_not_have_never_reach_a_provider(http: httpx.Client) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        content = b'{"model":"test/whole","messages":[{"role":"user","content":"x"}],"top_k":' + number.encode() + b"}"
        assert http.post("/chat/completions", content=content).status_code == 400


def test_explicit_nulls_count_as_absent(http: httpx.Client) -> None:
    nulls = dict.fromkeys(["temperature", "stream", "stop", "tools", "max_tokens", "n", "stream_options", "user"])
    assert http.post("/chat/completions", json={**GOOD, **nulls}).status_code == 200


@pytest.mark.parametrize("model", ["nope", "test/nope", "test/whole "])
def test_unknown_model_is_404(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(model)


def test_endless_model_name_is_not_sent_back(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json={**GOOD, "model": "\U0001f600" * 1_000_000})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert len(answer.content) < 1000


def bad_keys(gateway: RunningGateway) -> dict[str, str | None]:
    good = gateway.api_key
    return {
        "missing": None,
        "other scheme": f"Basic {good}",
        "no key": "Bearer",
        "garbled": "Bearer sk-tg-hello",
        "not ours": "Bearer sk-proj-abcdefghijklmnop",
        "wrong secret": f"Bearer {good[:-1]}{'0' if good[-1] != '0' else '1'}",
        "unknown id": f"Bearer sk-tg-{'f' * 12}-{good.split('-')[3]}",
        "not ascii": "Bearer sk-tg-\u00e9",
    }


@pytest.mark.parametrize(
    "reason", ["missing", "other scheme", "no key", "garbled", "not ours", "wrong secret", "unknown id", "not ascii"]
)
@pytest.mark.parametrize("body", [GOOD, {**GOOD, "model": "nope"}, {"model": 5}], ids=["good", "no model", "garbled"])
def test_every_bad_key_gets_the_same_401(gateway: RunningGateway, reason: str, body: dict[str, Any]) -> None:
    value = bad_keys(gateway)[reason]
    headers = {} if value is None else {b"authorization": value.encode("latin-1")}
    answer = httpx.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    models = httpx.get(f"{gateway.base_url}/models", headers=headers)
    assert (models.status_code, models.json()) == (401, UNAUTHORIZED)


def test_revoked_and_expired_keys_get_the_same_401(gateway: RunningGateway) -> None:
    for change in ("status = 'revoked'", "expires_at = 1"):
        with contextlib.closing(sqlite3.connect(gateway.db)) as db, db:
            db.execute("CREATE TEMP TABLE kept AS SELECT * FROM keys")
            db.execute(f"UPDATE keys SET {change}")
            db.commit()
            headers = {"authorization": f"Bearer {gateway.api_key}"}
            answer = httpx.post(f"{gateway.base_url}/chat/completions", json=GOOD, headers=headers)
            db.execute("REPLACE INTO keys SELECT * FROM kept")
            db.commit()
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


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
def test_wrong_path_or_method_is_told_in_the_envelope(
    http: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"]


def test_body_just_under_the_limit_is_let_in(http: httpx.Client) -> None:
    # Lambda's limit is on the event, which holds the body as JSON text: escapes and headers count.
    assert http.post("/chat/completions", json={**GOOD, "user": "x" * (5 * 1024 * 1024)}).status_code == 200


def test_body_over_six_megabytes_is_413(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json={**GOOD, "user": "x" * (6 * 1024 * 1024)})
    assert answer.status_code == 413


def test_body_over_the_limit_without_a_declared_length_is_413_in_the_envelope(gateway: RunningGateway) -> None:
    if "lambda" in gateway.db.name:
        pytest.skip("before a function it is Lambda itself that refuses such a body, in its own words")
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    pieces = (b"x" * 1024 * 1024 for _ in range(8))
    answer = httpx.post(f"{gateway.base_url}/chat/completions", content=pieces, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert "Lambda" in answer.json()["error"]["message"]
