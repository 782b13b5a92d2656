"""Broken streams: each leaves one correct usage record, marked as estimated if the provider did not count.

The provider of these tests charges 2 USD per million tokens of input and 8 of output, and sends "Four score" in two
chunks before it breaks off. Tokens that it does not count are estimated from the delivered text: 4 characters each.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.local_function_url import LocalFunctionUrl
from support.artifact import ARTIFACT, artifact_python, local_settings
from support.running_gateway import RunningGateway, records_in
from support.scenarios import overlay
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS, wait_until

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
DEADLINE = 6.0


def stream(model: str) -> dict[str, Any]:
    return {"model": f"test/{model}", "messages": MESSAGES, "stream": True}


def check_record(record: dict[str, Any], code: str, output_tokens: int | None) -> None:
    """Check the record of a broken stream of which so many tokens were delivered; None if nothing is billed."""
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
        ("cut-in-tool-call", "upstream_disconnected", 5),
        ("ends-in-tool-call", "stream_truncated", 5),
        ("error-first", "rate_limit_exceeded", None),
        ("error-later", "upstream_error", 3),
    ],
)
def test_stream_broken_by_the_provider_leaves_one_correct_record(
    http: httpx.Client, gateway: RunningGateway, name: str, code: str, output_tokens: int | None
) -> None:
    response = http.post("/chat/completions", json=stream(name))
    check_record(gateway.settled(response.headers["x-request-id"]), code, output_tokens)


def test_incomplete_tool_call_ends_in_an_error_without_a_finish_reason(http: httpx.Client) -> None:
    for name in ("cut-in-tool-call", "ends-in-tool-call"):
        response = http.post("/chat/completions", json=stream(name))
        *chunks, last = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
        assert chunks[-1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] == '{"query": "gett'
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
        assert last["error"]["type"] == "upstream_error"


def test_stream_abandoned_by_the_client_leaves_one_correct_record(
    http: httpx.Client, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    if gateway.kind == "function":
        pytest.skip("Lambda does not report the disconnection of a client to a function")
    upstream.client_disconnected.clear()
    with http.stream("POST", "/chat/completions", json=stream("stall")) as response:
        next(response.iter_bytes())
        request_id = response.headers["x-request-id"]
    assert upstream.client_disconnected.wait(LIMIT_SECONDS)
    check_record(gateway.settled(request_id), "client_closed_request", 1)


async def test_stream_ended_by_the_deadline_leaves_one_correct_record(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """Before the timeout of the function the response ends in an error, and the request is settled."""
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
        async with httpx.AsyncClient(base_url=local.url, headers=headers, timeout=LIMIT_SECONDS) as client:
            response = await client.post("/v1/chat/completions", json=stream("stall"))
            # It is settled after the last byte, and before the timeout of the function ends its process.
            await asyncio.to_thread(wait_until, lambda: records_in(db)[0], "the settlement")
    *_, last = [line for line in response.text.split("\n\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
    (record,), holds = records_in(db)
    assert not holds
    assert record["request_id"] == response.headers["x-request-id"]
    check_record(record, "timeout", 1)
