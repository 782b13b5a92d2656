"""One chat completion all the way through, from the official client to a scripted provider, by both streaming doors."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai import OpenAI

from support.running_gateway import RunningGateway
from support.scenarios import HELD, USAGE
from support.upstream import ScriptedUpstream

ASK: list[Any] = [{"role": "user", "content": "How many?"}]


def test_buffered_answer_comes_back_in_the_gateways_envelope(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.chat.completions.with_raw_response.create(model="test/whole", messages=ASK)
    answer = raw.parse()
    request_id = raw.headers["x-request-id"]
    assert answer.choices[0].message.content == "Four score."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "test/whole"
    assert answer.id == f"chatcmpl-{request_id.removeprefix('req_')}"
    assert answer.system_fingerprint == "fp_1"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (9, 3, 12)
    assert raw.headers["x-tollgate-provider"] == "scripted"
    # 5 uncached at 2.0, 4 cached at 0.5, 3 out at 8.0 USD per million: 36 millionths.
    assert gateway.settled(request_id)["cost_micro_usd"] == 36


def test_tool_arguments_sent_as_an_object_arrive_as_text(client: OpenAI) -> None:
    choice = client.chat.completions.create(model="test/tools", messages=ASK).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].to_dict()["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert choice.message.content is None


def test_stream_is_one_answer_with_one_id_role_first_and_one_finish_reason(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="test/stream", messages=ASK, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"test/stream"}
    assert len({chunk.created for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Four score."
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_chunk_comes_last_when_asked_for(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="test/stream", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (9, 3)
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)


def test_usage_of_a_stream_is_billed_though_the_client_did_not_ask(http: httpx.Client, gateway: RunningGateway) -> None:
    answer = http.post("/chat/completions", json={"model": "test/stream", "messages": ASK, "stream": True})
    record = gateway.settled(answer.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["cached_tokens"]) == (9, 3, 4)
    assert record["reasoning_tokens"] == 1
    assert record["finish_reason"] == "stop"
    assert record["cost_micro_usd"] == 36


def test_sloppy_stream_is_put_in_order(client: OpenAI, gateway: RunningGateway) -> None:
    stream = client.chat.completions.with_raw_response.create(model="test/sloppy", messages=ASK, stream=True)
    chunks = list(stream.parse())
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Four score\u2028., late"
    assert gateway.settled(stream.headers["x-request-id"])["output_tokens"] == 3


def test_first_token_is_delivered_while_the_provider_still_holds_the_second(http: httpx.Client) -> None:
    HELD.hold()
    with http.stream("POST", "/chat/completions", json={"model": "test/held", "messages": ASK, "stream": True}) as got:
        pieces = got.iter_bytes()
        first = next(pieces)
        assert b'"Four"' in first
        HELD.release()  # only now may the provider go on
        assert b"[DONE]" in b"".join(pieces)


def test_stream_says_what_it_is(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json={"model": "test/stream", "messages": ASK, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text.endswith("data: [DONE]\n\n")


def test_request_reaches_the_provider_as_the_client_meant_it(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    body = {"model": "test/whole", "messages": ASK, "seed": None, "top_k": 7, "temperature": 1, "user": "u\u2028"}
    http.post("/chat/completions", json=body, headers={"openai-organization": "org-of-the-client"})
    sent = upstream.requests[-1]
    assert sent.path == "/v1/chat/completions"
    assert sent.body == {"model": "whole", "messages": ASK, "top_k": 7, "temperature": 1, "user": "u\u2028"}
    assert sent.headers["authorization"] == "Bearer sk-upstream-secret"
    assert "openai-organization" not in sent.headers


def test_provider_is_asked_for_usage_in_every_stream(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    http.post("/chat/completions", json={"model": "test/stream", "messages": ASK, "stream": True})
    assert upstream.requests[-1].body["stream_options"] == {"include_usage": True}


def test_compressed_answer_is_decoded_and_the_providers_headers_stay_behind(http: httpx.Client) -> None:
    answer = http.post("/chat/completions", json={"model": "test/gzip", "messages": ASK})
    assert answer.json()["choices"][0]["message"]["content"] == "Four score."
    assert not {"set-cookie", "content-encoding", "openai-organization"} & set(answer.headers)


def test_log_line_tells_all_but_what_was_said(http: httpx.Client, gateway: RunningGateway) -> None:
    answer = http.post("/chat/completions", json={"model": "test/stream", "messages": ASK, "stream": True})
    line = gateway.log_of(answer.headers["x-request-id"])
    expected = {
        "model": "test/stream",
        "provider": "scripted",
        "upstream_model": "stream",
        "streamed": True,
        "status": 200,
        "finish_reason": "stop",
        "input_tokens": USAGE["prompt_tokens"],
        "output_tokens": USAGE["completion_tokens"],
        "cached_tokens": 4,
        "cost_usd": str(Decimal("0.000036")),
        "cost_source": "catalog",
        "key_id": gateway.api_key.split("-")[2],
    }
    assert {name: line.get(name) for name in expected} == expected
    for name in ("latency_ms", "time_to_first_token_ms", "upstream_ms"):
        assert isinstance(line[name], int)
    written = "\n".join(gateway.lines)
    for secret in (gateway.api_key, "sk-upstream-secret", "How many?", "score"):
        assert secret not in written


@pytest.mark.parametrize("path", ["/models/test/whole", "/models/gpt-4o"])
def test_model_ids_may_hold_slashes(client: OpenAI, path: str) -> None:
    model_id = path.removeprefix("/models/")
    assert client.models.retrieve(model_id).id == model_id


def test_models_are_listed_with_length_architecture_and_prices_as_text(http: httpx.Client) -> None:
    listed = {model["id"]: model for model in http.get("/models").json()["data"]}
    assert listed["gpt-4o-mini"]["context_length"] == 128000
    assert listed["gpt-4o-mini"]["pricing"]["prompt"] == "0.00000015"
    assert listed["gpt-4o-mini"]["object"] == "model"
    assert set(listed["test/whole"]["architecture"]) == {"modality", "tokenizer", "instruct_type"}
    assert "echo" not in listed  # this gateway was opened with echo off


def test_health_needs_no_key(gateway: RunningGateway) -> None:
    answer = httpx.get(gateway.base_url.removesuffix("/v1") + "/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["timestamp"].endswith("Z")
    assert answer.headers["x-request-id"].startswith("req_")
