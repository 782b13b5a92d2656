"""aimock: a server, written by others, that speaks the protocols of the providers. Its fixtures, and its process.

aimock reads a request of each family into OpenAI's format for its journal. The journal must have what the client sent.
It is not faithful in these points, which the tests leave out:

- It reads images, stop sequences and response formats only in OpenAI's format. For other families the tests only show
  that they do no harm.
- It does not decode paths, so that the colon in the name of a model stays `%3A`. It has no `parametersJsonSchema`.
- It checks keys, but no AWS signature: Bedrock is called with a key.
- Errors of Converse have the body of Anthropic and not of AWS, so that their message is lost.
- It ends calls of Gemini with FUNCTION_CALL, where Google sends STOP.
"""

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from support.artifact import CHECKOUT
from support.http import HTTP
from support.node import node_folder
from support.waiting import LIMIT_SECONDS

SOURCE = CHECKOUT / "tests" / "e2e" / "aimock"
KEY = "aimock-key-1"

FAMILIES = {
    "openai": 'base_url = "{url}/v1"\ncredential = "AIMOCK_API_KEY"\n',
    "anthropic": 'base_url = "{url}/v1"\nauth = "header"\nauth_header = "x-api-key"\ncredential = "AIMOCK_API_KEY"\n',
    "gemini": (
        'base_url = "{url}/v1beta"\nauth = "header"\nauth_header = "x-goog-api-key"\ncredential = "AIMOCK_API_KEY"\n'
    ),
    "bedrock": 'base_url = "{url}"\ncredential = "AIMOCK_API_KEY"\n',
}
FETCHED_FAMILIES = ("gemini", "bedrock")
"""Families for which the gateway fetches images by URL."""

CONTENT = "The capital of France is Paris."
STORY = "Once upon a time there was a gateway that counted every word it let through."
PERSON = {"name": "John", "age": 30, "occupation": "engineer"}
USAGE = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}
WEATHER = {"location": "Paris", "unit": "celsius"}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get current weather for a location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "City name"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["location"],
            },
        },
    }
]


def call(call_id: str, **arguments: str) -> dict[str, Any]:
    return {"id": call_id, "name": "get_weather", "arguments": arguments}


def fixture(prompt: str, response: dict[str, Any], has_result: bool | None = None, **options: Any) -> dict[str, Any]:
    match = {"userMessage": prompt} if has_result is None else {"userMessage": prompt, "hasToolResult": has_result}
    return {"match": match, "response": {"usage": USAGE, **response}, "chunkSize": 5, **options}


def error_fixture(status: int, **more: Any) -> dict[str, Any]:
    return {
        "match": {"userMessage": f"Fail with {status}."},
        "response": {"error": {"message": "Oh no"}, "status": status, **more},
    }


FIXTURES = [
    fixture("What is the capital of France?", {"content": CONTENT}),
    fixture("Tell me everything.", {"content": CONTENT, "finishReason": "length"}),
    fixture("Count to five.", {"content": "one two "}),
    fixture("Extract person info", {"content": PERSON}),
    fixture("What's in this image?", {"content": "A cat."}),
    fixture("weather in Paris", {"toolCalls": [call("call_abc123", **WEATHER)]}, has_result=False),
    fixture(
        "weather here and there",
        {"content": "Let me see.", "toolCalls": [call("call_1", location="Paris"), call("call_2", location="Rome")]},
        has_result=False,
    ),
    fixture("weather", {"content": "It is 18 degrees."}, has_result=True),
    fixture("Break off after a while.", {"content": STORY}, truncateAfterChunks=7, latency=10),
    fixture("Break off in time.", {"content": STORY}, disconnectAfterMs=800, latency=100),
    fixture("Hang up.", {"content": CONTENT}, chaos={"disconnectRate": 1}),
    fixture("Talk nonsense.", {"content": CONTENT}, chaos={"malformedRate": 1}),
    error_fixture(400),
    error_fixture(429, retryAfter=7),
    error_fixture(500),
    error_fixture(503),
]


@dataclass
class AimockServer:
    """The running server."""

    url: str

    def last_request(self) -> dict[str, Any]:
        """The last request, in the format of OpenAI."""
        return HTTP.get(f"{self.url}/v1/_requests", headers={"x-api-key": KEY}, timeout=LIMIT_SECONDS).json()[-1][
            "body"
        ]


def overlay(url: str) -> str:
    """For each family one provider and one model, and one of each with a wrong credential."""
    providers = {name: (name, columns.format(url=url)) for name, columns in FAMILIES.items()}
    providers |= {
        f"{name}-wrong-key": (name, columns.replace("AIMOCK", "WRONG")) for name, (_, columns) in providers.items()
    }
    return "".join(
        f'[providers.aimock-{name}]\nfamily = "{family}"\n{columns}'
        f'[models.{name}]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'routes = [{{ provider = "aimock-{name}", model = "eu.some-{name}-v1:0" }}]\n'
        f'prices = {{ input_usd_per_mtok = 200, output_usd_per_mtok = 800, source = "tests", date = 2026-01-01 }}\n'
        for name, (family, columns) in providers.items()
    )


@contextlib.contextmanager
def aimock_server(folder: Path) -> Generator[AimockServer]:
    """The server on a free port until the block ends; `folder` gets its fixtures."""
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    process = subprocess.Popen(
        ["node", "node_modules/.bin/llmock", "--port", "0", "--fixtures", str(fixtures), "--validate-on-load"],
        cwd=node_folder(SOURCE, "install", "--no-package-lock", "--ignore-scripts"),
        env={**os.environ, "AIMOCK_API_KEYS": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    stdout = process.stdout
    reader = threading.Thread(target=stdout.read, daemon=True)
    try:
        server = AimockServer(_url_in(stdout))
        reader.start()
        yield server
    finally:
        process.kill()
        process.wait()
        if reader.is_alive():
            reader.join()
        stdout.close()


def _url_in(output: IO[str]) -> str:
    """The URL that aimock prints when it listens."""
    text = ""
    for line in output:
        text += line
        if listening := re.search(r"listening on (http://\S+)", line):
            return listening[1]
    raise AssertionError(text)
