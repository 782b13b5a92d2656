"""The examples of the API documents, with only base URL and key changed: Python, JavaScript, curl."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from openai import OpenAI

from support.node import NODE, node_folder
from support.running_gateway import RunningGateway

JS = Path(__file__).parent / "js"


def test_python_client_gets_a_buffered_response(served: RunningGateway) -> None:
    client = OpenAI(api_key=served.api_key, base_url=served.base_url)
    response = client.chat.completions.create(
        model="claude-3-5-sonnet",
        messages=[{"role": "user", "content": "Hello"}],
    )
    assert response.choices[0].message.content == "Hello"
    assert response.model == "claude-3-5-sonnet"


def test_python_client_gets_a_stream_in_a_with_block(served: RunningGateway) -> None:
    client = OpenAI(api_key=served.api_key, base_url=served.base_url)
    story = ""
    with client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Tell me a story"}],
        stream=True,
    ) as stream:
        for chunk in stream:
            story += chunk.choices[0].delta.content or ""
    assert story == "Tell me a story"


@pytest.fixture(scope="session")
def javascript_folder() -> Path:
    if not NODE:
        pytest.skip("no Node.js with npm on this machine: the JavaScript client was not tested")
    return node_folder(JS, "ci")


@pytest.mark.parametrize("script", ["buffered.mjs", "streamed.mjs"])
def test_javascript_client(served: RunningGateway, javascript_folder: Path, script: str) -> None:
    assert _printed(served, javascript_folder, script) in ("Give me 3 product tagline options.", "Tell me a story")


def test_openrouters_provider_for_the_ai_sdk(served: RunningGateway, javascript_folder: Path) -> None:
    seen = json.loads(_printed(served, javascript_folder, "openrouter.mjs"))
    assert (seen["whole"], seen["wholeReason"], seen["streamed"]) == ("Hello", "stop", "Tell me a story")
    assert seen["wholeProvider"] == "echo"
    for usage in (seen["wholeUsage"], seen["streamedUsage"]):
        assert usage["totalTokens"] == usage["promptTokens"] + usage["completionTokens"] > 0
        assert usage["cost"] == usage["costDetails"]["upstreamInferenceCost"] == 0
    assert seen["status"] == 400
    assert ":online" in seen["message"]


def _printed(served: RunningGateway, folder: Path, script: str) -> str:
    """What a script prints."""
    env = {**os.environ, "TOLLGATE_BASE_URL": served.base_url, "TOLLGATE_API_KEY": served.api_key}
    process = subprocess.run(["node", script], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-sonnet-4", "gemini-2.5-flash", "deepseek-r1"])
def test_curl_with_every_model_name(served: RunningGateway, model: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    system = {"role": "system", "content": "You are a concise assistant."}
    body = {"model": model, "messages": [system, {"role": "user", "content": "Explain inference in one paragraph."}]}
    process = subprocess.run(
        [
            *("curl", "-s", "-X", "POST", f"{served.base_url}/chat/completions"),
            *("-H", f"Authorization: Bearer {served.api_key}", "-H", "Content-Type: application/json"),
            *("-d", json.dumps(body)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    response = json.loads(process.stdout)
    assert response["model"] == model
    assert response["choices"][0]["message"]["content"] == "Explain inference in one paragraph."


def test_echo_is_named_as_the_provider(served: RunningGateway) -> None:
    client = OpenAI(api_key=served.api_key, base_url=served.base_url)
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Who is there?"}]
    )
    assert raw.headers["x-tollgate-provider"] == "echo"
    assert served.settled(raw.headers["x-request-id"])["cost_micro_usd"] == 0
