"""What providers answer otherwise than they should, and what the client is told of it, at every gateway."""

import json
import time
from typing import Any

import httpx
import pytest

from support.running_gateway import RunningGateway
from support.scenarios import USAGE

ASK: list[Any] = [{"role": "user", "content": "How many?"}]
SAID = "Four score."


def ask(http: httpx.Client, name: str, **fields: Any) -> httpx.Response:
    return http.post("/chat/completions", json={"model": f"test/{name}", "messages": ASK, **fields})


def events(answer: httpx.Response) -> list[Any]:
    """The JSON of a stream's events; the last one is not `[DONE]` where the stream broke."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    datas = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


def content(answer: httpx.Response) -> str:
    *chunks, done = events(answer)
    assert done == "[DONE]"
    return "".join(step["delta"].get("content") or "" for chunk in chunks for step in chunk["choices"])


@pytest.mark.parametrize("name", ["stream", "stream-as-json", "stream-as-text"])
def test_stream_is_read_as_one_whatever_was_asked_and_whatever_it_is_called(
    http: httpx.Client, gateway: RunningGateway, name: str
) -> None:
    assert content(ask(http, name, stream=True)) == SAID
    whole = ask(http, name)
    (choice,) = whole.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SAID, "stop")
    assert whole.json()["usage"]["total_tokens"] == 12
    assert gateway.settled(whole.headers["x-request-id"])["output_tokens"] == 3


@pytest.mark.parametrize("name", ["whole", "whole-as-stream"])
def test_whole_answer_to_a_request_for_a_stream_is_streamed(
    http: httpx.Client, gateway: RunningGateway, name: str
) -> None:
    answer = ask(http, name, stream=True)
    assert content(answer) == SAID
    assert gateway.settled(answer.headers["x-request-id"])["output_tokens"] == 3


@pytest.mark.parametrize("stream", [True, False])
def test_finished_stream_that_stays_open_is_ended_whole(
    http: httpx.Client, gateway: RunningGateway, stream: bool
) -> None:
    began = time.monotonic()
    answer = ask(http, "stays-open", stream=stream)
    assert time.monotonic() - began < 15  # the provider would go on for twenty seconds
    assert content(answer) == SAID if stream else answer.json()["choices"][0]["message"]["content"] == SAID
    record = gateway.settled(answer.headers["x-request-id"])
    assert (record["error_code"], record["finish_reason"], record["output_tokens"]) == (None, "stop", 3)


def test_answer_that_failed_is_no_answer(http: httpx.Client, gateway: RunningGateway) -> None:
    streamed = ask(http, "aborted", stream=True)
    *chunks, last = events(streamed)
    assert all(step["finish_reason"] is None for chunk in chunks for step in chunk["choices"])
    assert "abort" in last["error"]["message"]
    assert gateway.settled(streamed.headers["x-request-id"])["output_tokens"] == 3
    whole = ask(http, "aborted-whole")
    assert (whole.status_code, whole.json()["error"]["type"]) == (502, "upstream_error")


def test_reasoning_has_both_its_names_and_the_provider_is_named(http: httpx.Client) -> None:
    first, *_ = events(ask(http, "thinks", stream=True))
    whole = ask(http, "thinks-whole").json()
    for said in (first["choices"][0]["delta"], whole["choices"][0]["message"]):
        assert (said["reasoning"], said["reasoning_content"]) == ("Hm.", "Hm.")
    assert first["provider"] == whole["provider"] == "scripted"


def test_zeros_are_no_count(http: httpx.Client, gateway: RunningGateway) -> None:
    answer = ask(http, "counts-nothing", stream=True, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in events(answer)[:-1])
    record = gateway.settled(answer.headers["x-request-id"])
    assert (record["output_tokens"], record["estimated"], record["cost_source"]) == (3, 1, "estimated")
    assert record["input_tokens"] > 0


@pytest.mark.parametrize("asked", [{"usage": {"include": True}}, {"stream_options": {"include_usage": True}}])
def test_usage_chunk_keeps_what_came_with_it(http: httpx.Client, asked: dict[str, Any]) -> None:
    *_, last, _ = events(ask(http, "sources", stream=True, **asked))
    assert (last["choices"], last["usage"]["total_tokens"], last["sources"]) == ([], USAGE["total_tokens"], ["one"])


def test_what_comes_with_the_usage_is_told_to_those_who_asked_for_none(http: httpx.Client) -> None:
    *_, last, _ = events(ask(http, "sources", stream=True))
    assert (last["choices"][0]["finish_reason"], last["sources"]) == ("stop", ["one"])


def test_time_to_wait_is_read_from_words(http: httpx.Client) -> None:
    answer = ask(http, "429-in-words")
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["retry-after-ms"]) == (429, "66", "65500")


def test_address_that_does_not_exist_is_the_owners_mistake(http: httpx.Client) -> None:
    answer = ask(http, "wrong-address")
    assert answer.status_code == 502
    assert "base_url" in answer.json()["error"]["message"]
