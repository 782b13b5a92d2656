"""A stream can break in six ways. Each leaves one right record: what was used, and said to be estimated if it is.

The provider of these tests charges 2 USD per million tokens of input and 8 of output, and says "Four score" in two
pieces before it breaks off. What it does not count is counted from what came through: 4 characters to a token.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.local_function_url import LocalFunctionUrl
from support.artifact import ARTIFACT, artifact_python, local_settings
from support.running_gateway import RunningGateway, records_in
from support.scenarios import overlay
from support.upstream import ScriptedUpstream

ASK: list[Any] = [{"role": "user", "content": "How many?"}]
DEADLINE = 5.0


def stream(model: str) -> dict[str, Any]:
    return {"model": f"test/{model}", "messages": ASK, "stream": True}


def check(record: dict[str, Any], code: str, output_tokens: int | None) -> None:
    """The record of a broken stream of which so many tokens came through; None where nothing was answered for."""
    assert record["error_code"] == code
    assert record["finish_reason"] is None
    if output_tokens is None:
        assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (None, None, 0)
        assert record["cost_micro_usd"] == 0
        return
    assert (record["output_tokens"], record["estimated"], record["cost_source"]) == (output_tokens, 1, "estimated")
    assert record["input_tokens"] > 0
    assert record["cost_micro_usd"] == 2 * record["input_tokens"] + 8 * output_tokens


@pytest.mark.parametrize(
    ("name", "code", "output_tokens"),
    [
        ("cut-first", "upstream_disconnected", 0),
        ("cut", "upstream_disconnected", 3),
        ("ends-early", "stream_truncated", 3),
        ("cut-in-a-call", "upstream_disconnected", 5),
        ("ends-in-a-call", "stream_truncated", 5),
        ("error-first", "rate_limit_exceeded", None),
        ("error-later", "upstream_error", 3),
    ],
)
def test_stream_the_provider_breaks_leaves_one_right_record(
    http: httpx.Client, gateway: RunningGateway, name: str, code: str, output_tokens: int | None
) -> None:
    answer = http.post("/chat/completions", json=stream(name))
    check(gateway.settled(answer.headers["x-request-id"]), code, output_tokens)


def test_half_a_call_ends_in_an_error_and_is_never_finished(http: httpx.Client) -> None:
    for name in ("cut-in-a-call", "ends-in-a-call"):
        answer = http.post("/chat/completions", json=stream(name))
        *chunks, last = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
        assert chunks[-1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] == '{"query": "gett'
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
        assert last["error"]["type"] == "upstream_error"


def test_stream_a_client_leaves_leaves_one_right_record(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if "lambda" in gateway.db.name:
        pytest.skip("Lambda does not tell a function that its client has gone")
    upstream.gone.clear()
    with http.stream("POST", "/chat/completions", json=stream("stall")) as got:
        next(got.iter_bytes())
        request_id = got.headers["x-request-id"]
    assert upstream.gone.wait(10)
    check(gateway.settled(request_id), "client_closed_request", 1)


async def test_stream_the_deadline_ends_leaves_one_right_record(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """The function's own timeout: the answer ends in an error some time before it, and is settled."""
    catalog = tmp_path / "overlay.toml"
    catalog.write_text(overlay(upstream.url))
    settings = local_settings(tmp_path)
    db = Path(settings["TOLLGATE_DB"])
    env = {**settings, "TOLLGATE_CATALOG": str(catalog), "SCRIPTED_API_KEY": "sk-upstream"}
    handler, python = "tollgate.handler.lambda_function.app", artifact_python()
    async with LocalFunctionUrl(
        artifact=ARTIFACT, handler=handler, python=python, env=env, timeout=DEADLINE, log=lambda _: None
    ) as local:
        headers = {"authorization": f"Bearer {settings['TOLLGATE_DEV_KEY']}"}
        async with httpx.AsyncClient(base_url=local.url, headers=headers, timeout=DEADLINE + 5) as client:
            began = time.monotonic()
            answer = await client.post("/v1/chat/completions", json=stream("stall"))
            took = time.monotonic() - began
            while not records_in(db)[0] and time.monotonic() - began < DEADLINE:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # it is settled after the last byte, and before the function's end
    assert took < DEADLINE
    *_, last = [line for line in answer.text.split("\n\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
    (record,), holds = records_in(db)
    assert not holds
    assert record["request_id"] == answer.headers["x-request-id"]
    check(record, "timeout", 1)
