"""Stored responses end to end: `Idempotency-Key` and `x-tollgate-cache`, by server and function."""

import secrets
from typing import Any

import httpx
import pytest
from openai import OpenAI

from support.running_gateway import RunningGateway
from support.scenarios import HELD
from support.upstream import ScriptedUpstream

REPLAYED = "x-tollgate-idempotent-replay"
CACHE = "x-tollgate-cache"


def body_of(script: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Say hello."}]
    return {"model": f"test/{script}", "messages": messages, "stream": stream, **more}


def unique() -> dict[str, str]:
    return {"idempotency-key": secrets.token_hex(8)}


def test_official_client_gets_the_first_result_again(client: OpenAI, upstream: ScriptedUpstream) -> None:
    create: Any = client.chat.completions.with_raw_response.create
    headers, before = unique(), len(upstream.requests)
    first = create(**body_of("whole"), extra_headers=headers)
    again = create(**body_of("whole"), extra_headers=headers)
    assert len(upstream.requests) == before + 1
    assert again.text == first.text
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", body_of("stream", stream=True)),
        ("/embeddings", {"model": "test/embed-one", "input": "one"}),
        ("/messages", body_of("stream", stream=True, max_tokens=9)),
    ],
)
def test_replay_is_what_was_sent(http: httpx.Client, upstream: ScriptedUpstream, path: str, body: Any) -> None:
    headers, before = unique(), len(upstream.requests)
    first, again = (http.post(path, json=body, headers=headers) for _ in range(2))
    assert len(upstream.requests) == before + 1
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]


def test_a_key_of_another_request_is_422(http: httpx.Client) -> None:
    headers = unique()
    assert http.post("/chat/completions", json=body_of("whole"), headers=headers).status_code == 200
    other = http.post("/chat/completions", json=body_of("whole", user="u"), headers=headers)
    assert (other.status_code, other.json()["error"]["param"]) == (422, "Idempotency-Key")


def test_a_repeated_request_is_409_while_the_first_is_in_flight(http: httpx.Client) -> None:
    headers, body = unique(), body_of("held", stream=True)
    HELD.hold()
    try:
        with http.stream("POST", "/chat/completions", json=body, headers=headers) as first:
            assert first.status_code == 200
            again = http.post("/chat/completions", json=body, headers=headers)
            HELD.release()
            first.read()
    finally:
        HELD.release()
    assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_key_in_flight")
    assert http.post("/chat/completions", json=body, headers=headers).headers[REPLAYED] == "true"


@pytest.mark.parametrize(("script", "stream"), [("500", False), ("cut", True), ("error-later", True)])
def test_failures_are_not_stored(http: httpx.Client, upstream: ScriptedUpstream, script: str, stream: bool) -> None:
    headers, counts = unique(), [len(upstream.requests)]
    for _ in range(2):
        response = http.post("/chat/completions", json=body_of(script, stream=stream), headers=headers)
        assert REPLAYED not in response.headers
        assert response.status_code != 409
        counts.append(len(upstream.requests))
    assert counts[0] < counts[1] < counts[2]


def test_a_result_that_is_too_large_says_that_it_is_not_stored(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    headers, before = unique(), len(upstream.requests)
    body = {"model": "test/embed-largest", "input": ["x"] * 2048, "encoding_format": "base64"}
    first, again = (http.post("/embeddings", json=body, headers=headers) for _ in range(2))
    assert [each.headers.get("x-tollgate-stored") for each in (first, again)] == ["false", "false"]
    assert (len(upstream.requests), again.content[:9]) == (before + 2, first.content[:9])


@pytest.mark.parametrize("script", ["whole", "stream"])
def test_a_hit_of_the_cache_is_recorded_and_free(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream, script: str
) -> None:
    before, seed = len(upstream.requests), secrets.randbelow(10**6)
    bodies = [body_of(script, stream=script == "stream", seed=seed, user=user) for user in ("one", "two")]
    miss, hit = (http.post("/chat/completions", json=body, headers={CACHE: "ttl=60"}) for body in bodies)
    assert len(upstream.requests) == before + 1
    assert (miss.headers[CACHE], hit.headers[CACHE], hit.content) == ("miss", "hit", miss.content)
    record = gateway.settled(hit.headers["x-request-id"])
    assert (record["cost_micro_usd"], record["cost_source"]) == (0, "cache")
    assert gateway.log_of(hit.headers["x-request-id"])["cost_source"] == "cache"


def test_key_may_cache_every_request(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    key, before = gateway.key("--cache", "60"), len(upstream.requests)
    body, headers = body_of("whole", seed=secrets.randbelow(10**6)), {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=gateway.base_url, headers=headers, verify=False) as client:
        answers = [client.post("/chat/completions", json=body) for _ in range(12)]
    seen = [each.headers.get(CACHE) for each in answers]
    # Each of the environments of a function learns of the cache with the key's first request.
    assert (seen[0], seen[-1], seen.count("miss")) == (None, "hit", 1)
    assert len(upstream.requests) - before <= 5
    assert {each.json()["choices"][0]["message"]["content"] for each in answers} == {"Four score."}


@pytest.mark.parametrize("value", ["", "on", "ttl=0", "ttl=86401", "ttl=-1", "ttl=1.5"])
def test_a_bad_value_is_400_behind_the_key(http: httpx.Client, value: str) -> None:
    headers = {CACHE: value}
    refused = http.post("/chat/completions", json=body_of("whole"), headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, CACHE)
    wrong = {**headers, "authorization": "Bearer sk-tg-wrong"}
    assert http.post("/chat/completions", json=body_of("whole"), headers=wrong).status_code == 401
