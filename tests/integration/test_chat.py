"""Chat completions end to end, from the official client to a scripted provider, by server and function."""

from typing import Any

import httpx
import pytest
from openai import OpenAI

from support.http import HTTP
from support.running_gateway import RunningGateway
from support.scenarios import HELD, USAGE
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]


def test_buffered_response_has_the_envelope_of_the_gateway(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.chat.completions.with_raw_response.create(model="test/whole", messages=MESSAGES)
    response = raw.parse()
    request_id = raw.headers["x-request-id"]
    assert response.choices[0].message.content == "Four score."
    assert response.choices[0].finish_reason == "stop"
    assert response.model == "test/whole"
    assert response.id == f"chatcmpl-{request_id.removeprefix('req_')}"
    assert response.system_fingerprint == "fp_1"
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.completion_tokens, response.usage.total_tokens) == (9, 3, 12)
    assert raw.headers["x-tollgate-provider"] == "scripted"
    # 5 uncached at 2.0, 4 cached at 0.5, 3 out at 8.0 USD per million: 36 millionths.
    assert gateway.settled(request_id)["cost_micro_usd"] == 36


def test_tool_arguments_sent_as_an_object_are_returned_as_text(client: OpenAI) -> None:
    choice = client.chat.completions.create(model="test/tools", messages=MESSAGES).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].to_dict()["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert choice.message.content is None


def test_stream_has_one_id_the_role_first_and_one_finish_reason(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="test/stream", messages=MESSAGES, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"test/stream"}
    assert len({chunk.created for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Four score."
    assert all(chunk.usage is None for chunk in chunks)


def test_requested_usage_chunk_comes_last(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="test/stream", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (9, 3)
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)


def test_usage_of_a_stream_is_billed_if_the_client_did_not_request_it(
    http: httpx.Client, gateway: RunningGateway
) -> None:
    response = http.post("/chat/completions", json={"model": "test/stream", "messages": MESSAGES, "stream": True})
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["cached_tokens"]) == (9, 3, 4)
    assert record["reasoning_tokens"] == 1
    assert record["finish_reason"] == "stop"
    assert record["cost_micro_usd"] == 36


def test_irregular_stream_is_normalised(client: OpenAI, gateway: RunningGateway) -> None:
    stream = client.chat.completions.with_raw_response.create(model="test/irregular", messages=MESSAGES, stream=True)
    chunks = list(stream.parse())
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Four score\u2028., late"
    assert gateway.settled(stream.headers["x-request-id"])["output_tokens"] == 3


def test_first_token_is_delivered_before_the_provider_sends_the_second(http: httpx.Client) -> None:
    HELD.hold()
    with http.stream(
        "POST", "/chat/completions", json={"model": "test/held", "messages": MESSAGES, "stream": True}
    ) as response:
        pieces = response.iter_bytes()
        first = next(pieces)
        assert b'"Four"' in first
        HELD.release()  # the provider continues only now
        assert b"[DONE]" in b"".join(pieces)


def test_stream_has_the_headers_of_an_event_stream(http: httpx.Client) -> None:
    response = http.post("/chat/completions", json={"model": "test/stream", "messages": MESSAGES, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text.endswith("data: [DONE]\n\n")


def test_fields_of_the_client_reach_the_provider_and_its_headers_do_not(
    http: httpx.Client, upstream: ScriptedUpstream
) -> None:
    body = {"model": "test/whole", "messages": MESSAGES, "seed": None, "top_k": 7, "temperature": 1, "user": "u\u2028"}
    http.post("/chat/completions", json=body, headers={"openai-organization": "org-of-the-client"})
    sent = upstream.requests[-1]
    assert sent.path == "/v1/chat/completions"
    assert sent.body == {"model": "whole", "messages": MESSAGES, "top_k": 7, "temperature": 1, "user": "u\u2028"}
    assert sent.headers["authorization"] == "Bearer sk-upstream-secret"
    assert "openai-organization" not in sent.headers


def test_usage_is_requested_from_the_provider_in_every_stream(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    http.post("/chat/completions", json={"model": "test/stream", "messages": MESSAGES, "stream": True})
    assert upstream.requests[-1].body["stream_options"] == {"include_usage": True}


def test_compressed_response_is_decoded_without_headers_of_the_provider(http: httpx.Client) -> None:
    response = http.post("/chat/completions", json={"model": "test/gzip", "messages": MESSAGES})
    assert response.json()["choices"][0]["message"]["content"] == "Four score."
    assert not {"set-cookie", "content-encoding", "openai-organization"} & set(response.headers)


def test_log_line_has_all_fields_but_no_content_and_no_secret(http: httpx.Client, gateway: RunningGateway) -> None:
    response = http.post("/chat/completions", json={"model": "test/stream", "messages": MESSAGES, "stream": True})
    line = gateway.log_of(response.headers["x-request-id"])
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
        "cost_usd": 0.000036,
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
def test_model_ids_may_contain_slashes(client: OpenAI, path: str) -> None:
    model_id = path.removeprefix("/models/")
    assert client.models.retrieve(model_id).id == model_id


def test_models_are_listed_with_context_length_architecture_and_prices_as_text(http: httpx.Client) -> None:
    listed = {model["id"]: model for model in http.get("/models").json()["data"]}
    assert listed["gpt-4o-mini"]["context_length"] == 128000
    assert listed["gpt-4o-mini"]["pricing"]["prompt"] == "0.00000015"
    assert listed["gpt-4o-mini"]["object"] == "model"
    assert listed["test/whole"]["architecture"]["input_modalities"] == ["text"]
    assert listed["openai/gpt-5-mini"]["operations"] == ["chat"]  # a generated row
    assert "echo" not in listed  # echo is off in this gateway


def test_health_needs_no_key(gateway: RunningGateway) -> None:
    response = HTTP.get(gateway.base_url.removesuffix("/v1") + "/health", timeout=LIMIT_SECONDS)
    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert response.json()["timestamp"].endswith("Z")
    assert response.headers["x-request-id"].startswith("req_")
