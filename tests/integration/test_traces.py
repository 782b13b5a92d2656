"""A trace of each admitted request, as a collector gets it."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.collector import Collector, attributes, collector
from support.running_gateway import RunningGateway, run_gateway
from support.upstream import Script, ScriptedUpstream, scripted_upstream
from support.waiting import wait_until

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "a secret answer"}, "finish_reason": "stop"}
ANSWER = Script([json.dumps({"choices": [CHOICE], "usage": USAGE}).encode()])
DELTA = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
STREAM = Script(
    [b"data: " + json.dumps({**DELTA, "usage": USAGE}).encode() + b"\n\n", b"data: [DONE]\n\n"],
    200,
    {"content-type": "text/event-stream"},
)


def answer(body: Any) -> Script:
    return STREAM if body.get("stream") else ANSWER


SCRIPTS = {"up": answer, "down": Script([b"{}"], 500)}


def overlay(url: str) -> str:
    return f"""
[providers.mistral]
family = "openai"
base_url = "{url}/v1"
auth = "none"

[models.m]
owned_by = "x"
context_length = 1000
prices = {{ input_usd_per_mtok = 1, output_usd_per_mtok = 1, source = "tests", date = 2026-01-01 }}
routes = [{{ provider = "mistral", model = "up" }}]

[models.failing]
owned_by = "x"
context_length = 1000
routes = [{{ provider = "mistral", model = "down" }}, {{ provider = "mistral", model = "up", weight = 0 }}]
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedUpstream]:
    with scripted_upstream(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module")
def collecting() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest,
    provider: ScriptedUpstream,
    collecting: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningGateway]:
    env = {
        "TOLLGATE_TRACES": collecting.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=abc%3D,Authorization=Bearer%20t",
        "TOLLGATE_ECHO": "off",
    }
    with run_gateway(request.param, tmp_path_factory.mktemp("gateway"), overlay(provider.url), env) as running:
        yield running


def ask(gateway: RunningGateway, model: str, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or gateway.api_key}", **more.pop("headers", {})}
    body = {"model": model, "messages": [{"role": "user", "content": "a secret prompt"}], **more}
    return httpx.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=30, verify=False)


def trace_of(collecting: Collector, trace_id: str) -> list[Any]:
    wait_until(lambda: bool(collecting.trace(trace_id)), f"the trace {trace_id}")
    return collecting.trace(trace_id)


@pytest.mark.parametrize("stream", [False, True])
def test_trace_has_the_request_and_its_attempt(gateway: RunningGateway, collecting: Collector, stream: bool) -> None:
    response = ask(gateway, "m", stream=stream)
    request_id = response.headers["x-request-id"]
    root, attempt = trace_of(collecting, request_id.removeprefix("req_"))
    of_root, of_attempt = attributes(root), attributes(attempt)
    assert (root.name, root.kind, root.parent_span_id) == ("POST /v1/chat/completions", 2, b"")
    assert of_root["tollgate.request_id"] == request_id
    assert of_root["http.response.status_code"] == 200
    assert of_root["tollgate.cost_usd"] > 0
    assert (attempt.name, attempt.kind, attempt.parent_span_id) == ("chat up", 3, root.span_id)
    assert of_attempt == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "up",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
    }
    assert root.start_time_unix_nano <= attempt.start_time_unix_nano <= attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= root.end_time_unix_nano
    headers, spans = collecting.exports[-1]
    assert (headers["x-team"], headers["authorization"]) == ("abc=", "Bearer t")
    assert "secret" not in str(spans)


def test_each_attempt_is_a_span_with_its_error(gateway: RunningGateway, collecting: Collector) -> None:
    response = ask(gateway, "failing")
    root, *attempts = trace_of(collecting, response.headers["x-request-id"].removeprefix("req_"))
    assert "error.type" not in attributes(root)
    assert [attributes(each).get("error.type") for each in attempts] == ["upstream_error", "upstream_error", None]
    assert [each.status.code for each in attempts] == [2, 2, 0]
    assert [each.parent_span_id for each in attempts] == [root.span_id] * 3


def test_trace_of_the_client_is_continued_if_it_is_sampled(gateway: RunningGateway, collecting: Collector) -> None:
    ids = [secrets.token_hex(16) for _ in range(2)]
    for trace_id, flags in zip(ids, ("00", "01"), strict=True):
        ask(gateway, "m", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"})
    root, _ = trace_of(collecting, ids[1])
    assert root.parent_span_id.hex() == "00f067aa0ba902b7"
    assert collecting.trace(ids[0]) == []  # exports come in the order of requests


def test_strangers_cause_no_export(gateway: RunningGateway, collecting: Collector) -> None:
    refused = ask(gateway, "m", f"sk-tg-{'0' * 12}-{'0' * 64}")
    assert refused.status_code == 401
    gateway.log_of(refused.headers["x-request-id"])
    last = ask(gateway, "m").headers["x-request-id"].removeprefix("req_")  # exports come in the order of requests
    trace_of(collecting, last)
    assert collecting.trace(refused.headers["x-request-id"].removeprefix("req_")) == []


def test_collector_that_refuses_costs_a_line_and_no_response(gateway: RunningGateway, collecting: Collector) -> None:
    collecting.status = 503
    try:
        response = ask(gateway, "m")
        request_id = response.headers["x-request-id"]
        wait_until(lambda: sum(request_id in line for line in gateway.lines) == 2, "the warning")
    finally:
        collecting.status = 200
    assert response.status_code == 200
    lines = [json.loads(line) for line in gateway.lines if request_id in line]
    assert [(line["level"], line["message"]) for line in lines] == [("INFO", "request"), ("WARNING", "trace not sent")]
    assert lines[1]["error_code"] == "http_503"
