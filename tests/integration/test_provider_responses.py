"""Unusual provider responses: what the client receives, by server and function."""

import json
from typing import Any

import httpx
import pytest

from support.running_gateway import RunningGateway
from support.scenarios import USAGE
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
CONTENT = "Four score."


def chat(http: httpx.Client, name: str, **fields: Any) -> httpx.Response:
    return http.post("/chat/completions", json={"model": f"test/{name}", "messages": MESSAGES, **fields})


def events(response: httpx.Response) -> list[Any]:
    """The JSON events of a stream, and `[DONE]` as text. A broken stream has no `[DONE]`."""
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    payloads = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in payloads]


def content(response: httpx.Response) -> str:
    *chunks, done = events(response)
    assert done == "[DONE]"
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("name", ["stream", "stream-as-json", "stream-as-text"])
def test_stream_is_read_whatever_was_requested_and_whatever_its_media_type(
    http: httpx.Client, gateway: RunningGateway, name: str
) -> None:
    assert content(chat(http, name, stream=True)) == CONTENT
    whole = chat(http, name)
    (choice,) = whole.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (CONTENT, "stop")
    assert whole.json()["usage"]["total_tokens"] == 12
    assert gateway.settled(whole.headers["x-request-id"])["output_tokens"] == 3


@pytest.mark.parametrize("name", ["whole", "whole-as-stream"])
def test_whole_response_to_a_stream_request_is_streamed(http: httpx.Client, gateway: RunningGateway, name: str) -> None:
    response = chat(http, name, stream=True)
    assert content(response) == CONTENT
    assert gateway.settled(response.headers["x-request-id"])["output_tokens"] == 3


@pytest.mark.parametrize("stream", [True, False])
def test_finished_stream_that_stays_open_is_completed(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream, stream: bool
) -> None:
    upstream.client_disconnected.clear()
    response = chat(http, "stays-open", stream=stream)
    assert upstream.client_disconnected.wait(LIMIT_SECONDS)  # the provider would send comments for 200 seconds
    assert content(response) == CONTENT if stream else response.json()["choices"][0]["message"]["content"] == CONTENT
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["error_code"], record["finish_reason"], record["output_tokens"]) == (None, "stop", 3)


def test_failure_as_finish_reason_is_an_error(http: httpx.Client, gateway: RunningGateway) -> None:
    streamed = chat(http, "aborted", stream=True)
    *chunks, last = events(streamed)
    assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])
    assert "abort" in last["error"]["message"]
    assert gateway.settled(streamed.headers["x-request-id"])["output_tokens"] == 3
    whole = chat(http, "aborted-whole")
    assert (whole.status_code, whole.json()["error"]["type"]) == (502, "upstream_error")


def test_reasoning_has_both_names_and_the_provider_is_named(http: httpx.Client) -> None:
    first, *_ = events(chat(http, "reasoning", stream=True))
    whole = chat(http, "reasoning-whole").json()
    for message in (first["choices"][0]["delta"], whole["choices"][0]["message"]):
        assert (message["reasoning"], message["reasoning_content"]) == ("Hm.", "Hm.")
    assert first["provider"] == whole["provider"] == "scripted"


def test_usage_of_zeros_is_estimated(http: httpx.Client, gateway: RunningGateway) -> None:
    response = chat(http, "zero-usage", stream=True, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in events(response)[:-1])
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["output_tokens"], record["estimated"], record["cost_source"]) == (3, 1, "estimated")
    assert record["input_tokens"] > 0


@pytest.mark.parametrize("requested", [{"usage": {"include": True}}, {"stream_options": {"include_usage": True}}])
def test_requested_usage_chunk_keeps_its_extra_fields(http: httpx.Client, requested: dict[str, Any]) -> None:
    *_, last, _ = events(chat(http, "usage-with-sources", stream=True, **requested))
    assert (last["choices"], last["usage"]["total_tokens"], last["sources"]) == ([], USAGE["total_tokens"], ["one"])


def test_extra_fields_of_an_unrequested_usage_chunk_are_in_the_last_chunk(http: httpx.Client) -> None:
    *_, last, _ = events(chat(http, "usage-with-sources", stream=True))
    assert (last["choices"][0]["finish_reason"], last["sources"]) == ("stop", ["one"])


def test_retry_delay_is_read_from_the_message(http: httpx.Client) -> None:
    response = chat(http, "429-delay-in-message")
    assert (response.status_code, response.headers["retry-after"], response.headers["retry-after-ms"]) == (
        429,
        "66",
        "65500",
    )


def test_unknown_path_at_the_provider_is_a_wrong_base_url(http: httpx.Client) -> None:
    response = chat(http, "wrong-base-url")
    assert response.status_code == 502
    assert "base_url" in response.json()["error"]["message"]
