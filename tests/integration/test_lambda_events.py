"""Every event of events/, sent to its entry point in the built artifact."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devtools.local_function_url.local import LocalFunctionUrl
from support.artifact import (
    ARTIFACT,
    artifact_python,
    event,
    event_names,
    event_response_is_right,
    local_settings,
)

THROUGH_MANGUM = """
import json, sys
class Context:
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    def get_remaining_time_in_millis(self):
        return 30000
from tollgate.handler.api_gateway import lambda_handler
print("RESPONSE", json.dumps(lambda_handler(json.load(sys.stdin), Context())))
"""


def is_function_url(name: str) -> bool:
    return name.startswith("url-")


@pytest.mark.parametrize("name", [name for name in event_names() if not is_function_url(name)])
def test_event_through_mangum(name: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ARTIFACT), **local_settings(tmp_path)}
    process = subprocess.run(
        [artifact_python(), "-c", THROUGH_MANGUM],
        input=json.dumps(event(name)),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    line = next(line for line in process.stdout.splitlines() if line.startswith("RESPONSE "))
    response: dict[str, Any] = json.loads(line.removeprefix("RESPONSE "))
    event_response_is_right(name, response["statusCode"], response["body"])
    assert response["headers"]["x-request-id"].startswith("req_")


async def test_every_event_through_the_streaming_runtime(tmp_path: Path) -> None:
    env = {"PYTHONPATH": "", **local_settings(tmp_path)}
    async with LocalFunctionUrl(
        artifact=ARTIFACT, handler="tollgate.handler.lambda_function.app", python=artifact_python(), env=env
    ) as local:
        for name in event_names():
            invocation = await local.invoke(event(name))
            if is_function_url(name):
                assert invocation.prelude is not None
                event_response_is_right(name, invocation.prelude["statusCode"], invocation.body.decode())
            else:
                assert invocation.response is not None
                event_response_is_right(name, invocation.response["statusCode"], invocation.response["body"])


async def test_request_is_settled_before_the_next_invocation_is_requested(tmp_path: Path) -> None:
    env = local_settings(tmp_path)
    async with LocalFunctionUrl(
        artifact=ARTIFACT, handler="tollgate.handler.lambda_function.app", python=artifact_python(), env=env
    ) as local:
        await (await local.invoke(event("url-chat-stream.json"))).released.wait()
        assert sum('"message":"request"' in line for line in local.log_lines) == 1


async def test_concurrent_invocations_in_one_process(tmp_path: Path) -> None:
    env = local_settings(tmp_path)
    async with LocalFunctionUrl(
        artifact=ARTIFACT,
        handler="tollgate.handler.lambda_function.app",
        python=artifact_python(),
        env=env,
        max_concurrency=8,
    ) as local:
        responses = await asyncio.gather(*(local.invoke(event("url-chat-stream.json")) for _ in range(32)))
    for invocation in responses:
        event_response_is_right("url-chat-stream.json", 200, invocation.body.decode())
