"""SAM's local Lambda in Docker: every event of events/, and the official client through its API Gateway.

It needs a Docker daemon and `make build ARCH=<this machine's>`; `make e2e-sam` does the latter.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from support.artifact import CHECKOUT, event, event_names, event_response_is_right

SAM = CHECKOUT / ".sam-venv" / "bin" / "sam"
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
IMAGE = f"public.ecr.aws/lambda/python:3.13-{ARCHITECTURE}"


def _command(*words: str) -> list[str]:
    image_is_here = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    pull = ["--skip-pull-image"] if image_is_here.returncode == 0 else []
    return [str(SAM), "local", *words, *pull, "--parameter-overrides", f"Architecture={ARCHITECTURE}"]


@pytest.fixture(autouse=True)
def docker() -> None:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Docker daemon answers")


@pytest.mark.parametrize("name", event_names())
def test_event_is_answered(name: str) -> None:
    function = "StreamFunction" if name.startswith("url-") else "ApiFunction"
    invoked = subprocess.run(
        _command("invoke", function, "--event", f"events/{name}"),
        cwd=CHECKOUT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip

    assert invoked.returncode == 0, invoked.stderr.decode()
    if function == "ApiFunction":
        response = json.loads(invoked.stdout)
        event_response_is_right(name, response["statusCode"], response["body"])
    else:  # metadata, eight zero bytes, the body (AWS Lambda, "Response streaming")
        head, _, body = invoked.stdout.decode(errors="replace").partition("\0" * 8)
        event_response_is_right(name, json.loads(head)["statusCode"], body.rstrip() + "\n\n")


@pytest.fixture
def api() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(_command("start-api", "--port", str(port)), cwd=CHECKOUT, env=dict(os.environ))
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx.get(f"{url}/health", timeout=60)
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(30)


def test_official_client_gets_an_answer_and_a_stream(api: str) -> None:
    key = event("local.json")["Parameters"]["TOLLGATE_DEV_KEY"]
    client = openai.OpenAI(base_url=api, api_key=key, timeout=60)
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello"}]

    answer = client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content == "Say hello"
    with client.chat.completions.create(model="echo", messages=messages, stream=True) as chunks:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Say hello"
