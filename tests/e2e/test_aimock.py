"""Every family against a peer that others wrote: aimock speaks the providers' side, the official client the other.

What the client asks for is what the API documents show. aimock reads each family's request into OpenAI's words for its
journal: there, what we wrote must be what the client said. Where it is not a faithful peer, it is passed over:

- It reads no images, stop sequences and response formats but OpenAI's: elsewhere it is only tried that they do no harm.
- It does not decode paths, so that the colon in a model's name stays `%3A`, and knows no `parametersJsonSchema`.
- It checks keys, but no signature of AWS: Bedrock is opened with a key.
- Errors of Converse have Anthropic's body and not AWS's, so that their message does not come through.
- It ends Gemini's calls with FUNCTION_CALL, where Google sends STOP.
"""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from openai import APIError, APIStatusError, OpenAI

from support.artifact import CHECKOUT
from support.image_host import DATA_URL, ImageHost, image_host, page
from support.running_gateway import RunningGateway, run_gateway

NODE = shutil.which("node") and shutil.which("npm")
PACKAGE = Path(__file__).parent / "aimock" / "package.json"
KEY = "peer-key-1"

FAMILIES = {
    "openai": 'base_url = "{url}/v1"\ncredential = "PEER_API_KEY"\n',
    "anthropic": 'base_url = "{url}/v1"\nauth = "header"\nauth_header = "x-api-key"\ncredential = "PEER_API_KEY"\n',
    "gemini": (
        'base_url = "{url}/v1beta"\nauth = "header"\nauth_header = "x-goog-api-key"\ncredential = "PEER_API_KEY"\n'
    ),
    "bedrock": 'base_url = "{url}"\ncredential = "PEER_API_KEY"\n',
}
FETCHED = ("gemini", "bedrock")
"""Families whose images by URL the gateway fetches."""

SAID = "The capital of France is Paris."
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


def fixture(asked: str, response: dict[str, Any], has_result: bool | None = None, **options: Any) -> dict[str, Any]:
    match = {"userMessage": asked} if has_result is None else {"userMessage": asked, "hasToolResult": has_result}
    return {"match": match, "response": {"usage": USAGE, **response}, "chunkSize": 5, **options}


def failing(status: int, **more: Any) -> dict[str, Any]:
    return {
        "match": {"userMessage": f"Fail with {status}."},
        "response": {"error": {"message": "Oh no"}, "status": status, **more},
    }


FIXTURES = [
    fixture("What is the capital of France?", {"content": SAID}),
    fixture("Tell me everything.", {"content": SAID, "finishReason": "length"}),
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
    fixture("Break off in time.", {"content": STORY}, disconnectAfterMs=150, latency=20),
    fixture("Hang up.", {"content": SAID}, chaos={"disconnectRate": 1}),
    fixture("Talk nonsense.", {"content": SAID}, chaos={"malformedRate": 1}),
    failing(400),
    failing(429, retryAfter=7),
    failing(500),
    failing(503),
]


@dataclass
class Aimock:
    """The running peer."""

    url: str

    def heard(self) -> dict[str, Any]:
        """The last request, in OpenAI's words."""
        return httpx.get(f"{self.url}/v1/_requests", headers={"x-api-key": KEY}).json()[-1]["body"]


def overlay(url: str) -> str:
    """One provider and one model for each family, and one provider that has the wrong key."""
    providers = {name: (name, columns.format(url=url)) for name, columns in FAMILIES.items()}
    providers |= {f"{name}-shut": (name, columns.replace("PEER", "WRONG")) for name, (_, columns) in providers.items()}
    return "".join(
        f'[providers.peer-{name}]\nfamily = "{family}"\n{columns}'
        f'[models.{name}]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'routes = [{{ provider = "peer-{name}", model = "eu.some-{name}-v1:0" }}]\n'
        f'prices = {{ input_usd_per_mtok = 200, output_usd_per_mtok = 800, source = "tests", date = 2026-01-01 }}\n'
        for name, (family, columns) in providers.items()
    )


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    if not NODE:
        pytest.skip("no Node.js with npm on this machine: aimock was not tried")
    folder = CHECKOUT / ".cache" / "aimock"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "package.json").exists() or (folder / "package.json").read_bytes() != PACKAGE.read_bytes():
        shutil.copy(PACKAGE, folder)
        install = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=folder, check=True)
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    process = subprocess.Popen(
        ["node", "node_modules/.bin/llmock", "--port", "0", "--fixtures", str(fixtures), "--validate-on-load"],
        cwd=folder,
        env={**os.environ, "AIMOCK_API_KEYS": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if listening := re.search(r"listening on (http://\S+)", line):
            break
    else:
        raise AssertionError(told)
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    reader.start()
    try:
        yield Aimock(listening[1])
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageHost]:
    with image_host(tmp_path_factory.mktemp("host"), {"/image.png": page()}) as running:
        yield running


@pytest.fixture(scope="module", params=["asgi", "lambda"])
def gateway(
    request: pytest.FixtureRequest, aimock: Aimock, host: ImageHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("door")
    catalog = folder / "overlay.toml"
    catalog.write_text(overlay(aimock.url))
    env = {
        "TOLLGATE_ECHO": "off",
        "TOLLGATE_IMAGE_HOSTS": "localhost",
        "SSL_CERT_FILE": str(host.authority),
        "PEER_API_KEY": KEY,
        "WRONG_API_KEY": "peer-key-2",
    }
    with run_gateway(request.param, folder, catalog, env) as opened:
        yield opened


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=gateway.api_key, max_retries=0, timeout=30) as openai:
        yield openai


every_family = pytest.mark.parametrize("family", FAMILIES)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def user(content: str | Sequence[Any]) -> Any:
    return {"role": "user", "content": content}


def ask(client: Any, family: str, messages: list[Any], stream: bool, **fields: Any) -> Any:
    """The whole answer, streamed or not; a stream is put together by the client."""
    if not stream:
        return client.chat.completions.create(model=family, messages=messages, **fields)
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(model=family, messages=messages, stream_options=options, **fields) as events:
        return events.get_final_completion()


# --- what is answered -------------------------------------------------------------------------------------------------


@every_family
@both_ways
def test_text_is_answered_with_its_usage(
    client: OpenAI, aimock: Aimock, gateway: RunningGateway, family: str, stream: bool
) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "You are a helpful assistant."},
        user("Hello"),
        {"role": "assistant", "content": "Hello!"},
        user("What is the capital of France?"),
    ]
    answer = ask(client, family, messages, stream, temperature=0.7, max_tokens=1000)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason, answer.model) == (SAID, "stop", family)
    usage = answer.usage.model_dump()
    assert {name: usage[name] for name in USAGE} == USAGE
    record = gateway.settled(f"req_{answer.id.removeprefix('chatcmpl-')}")
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (20, 8, 0)
    assert record["cost_micro_usd"] == 20 * 200 + 8 * 800

    heard = aimock.heard()
    assert heard["messages"] == messages
    assert (heard["temperature"], heard["max_tokens"]) == (0.7, 1000)
    assert unquote(heard["model"]) == f"eu.some-{family}-v1:0"


@every_family
@both_ways
def test_answer_that_was_cut_short_says_so(client: Any, family: str, stream: bool) -> None:
    answer = client.chat.completions.create(model=family, messages=[user("Tell me everything.")], stream=stream)
    choices = [choice for chunk in answer for choice in chunk.choices] if stream else answer.choices
    assert choices[-1].finish_reason == "length"


@every_family
@both_ways
def test_tool_is_called_and_its_result_taken(client: OpenAI, aimock: Aimock, family: str, stream: bool) -> None:
    question = user("What is the weather in Paris?")
    answer = ask(client, family, [question], stream, tools=TOOLS, tool_choice="auto")
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    (called,) = choice.message.tool_calls
    assert (called.type, called.function.name) == ("function", "get_weather")
    assert json.loads(called.function.arguments) == WEATHER
    told = aimock.heard()["tools"][0]["function"]
    assert told["name"] == "get_weather"
    assert told["description"] == "Get current weather for a location"
    if family != "gemini":
        assert told["parameters"]["properties"].keys() == {"location", "unit"}

    turn = choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    result = {"role": "tool", "tool_call_id": called.id, "content": "18 degrees"}
    final = ask(client, family, [question, turn, result], stream, tools=TOOLS)
    assert final.choices[0].message.content == "It is 18 degrees."
    asked, calling, answered = aimock.heard()["messages"]
    assert asked == question
    (sent,) = calling["tool_calls"]
    assert (sent["function"]["name"], json.loads(sent["function"]["arguments"])) == ("get_weather", WEATHER)
    assert answered["tool_call_id"] == sent["id"]
    assert "18 degrees" in answered["content"]


@every_family
@both_ways
def test_words_and_calls_come_together(client: OpenAI, aimock: Aimock, family: str, stream: bool) -> None:
    question = user("How is the weather here and there?")
    answer = ask(client, family, [question], stream, tools=TOOLS)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    calls = choice.message.tool_calls
    assert [json.loads(call.function.arguments)["location"] for call in calls] == ["Paris", "Rome"]
    assert len({call.id for call in calls}) == 2

    turn = choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"} for n, call in enumerate(calls)]
    ask(client, family, [question, turn, *results], stream, tools=TOOLS)
    _, calling, *answered = aimock.heard()["messages"]
    assert calling["content"] == "Let me see."
    assert [json.loads(call["function"]["arguments"])["location"] for call in calling["tool_calls"]] == [
        "Paris",
        "Rome",
    ]
    assert [(f"{n} degrees" in result["content"]) for n, result in enumerate(answered)] == [True, True]


@every_family
@both_ways
def test_json_mode(client: OpenAI, aimock: Aimock, family: str, stream: bool) -> None:
    question = user("Extract person info: John is a 30-year-old engineer. Return as JSON.")
    answer = ask(client, family, [question], stream, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == PERSON
    heard = aimock.heard()
    if family == "openai":
        assert heard["response_format"] == {"type": "json_object"}
    assert heard["messages"][-1] == question


@every_family
@both_ways
@pytest.mark.parametrize("by_url", [False, True], ids=["data", "url"])
def test_vision(client: OpenAI, aimock: Aimock, host: ImageHost, family: str, stream: bool, by_url: bool) -> None:
    image = {"type": "image_url", "image_url": {"url": host.url("/image.png") if by_url else DATA_URL}}
    question = user([{"type": "text", "text": "What's in this image?"}, image])
    connections = host.connections
    answer = ask(client, family, [question], stream)
    assert answer.choices[0].message.content == "A cat."
    assert host.connections == connections + (by_url and family in FETCHED)
    if family == "openai":
        assert aimock.heard()["messages"] == [question]


@every_family
@both_ways
@pytest.mark.parametrize("stop", ["three", ["\n\n", "###", "three"]], ids=["string", "list"])
def test_stop(client: OpenAI, aimock: Aimock, family: str, stream: bool, stop: Any) -> None:
    answer = ask(client, family, [user("Count to five.")], stream, stop=stop)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("one two ", "stop")
    if family == "openai":
        assert aimock.heard()["stop"] == stop


# --- what fails -------------------------------------------------------------------------------------------------------


@every_family
@both_ways
@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("Fail with 400.", 400, None),
        ("Fail with 429.", 429, "rate_limit_exceeded"),
        ("Fail with 500.", 502, "upstream_error"),
        ("Fail with 503.", 503, "overloaded"),
        ("Say what is in no fixture.", 502, "upstream_error"),  # a 404 that does not speak of a model
        ("Talk nonsense.", 502, "upstream_error"),
    ],
)
def test_failure_has_its_status_and_costs_nothing(
    client: OpenAI, gateway: RunningGateway, family: str, stream: bool, asked: str, status: int, code: str | None
) -> None:
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model=family, messages=[user(asked)], stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    if asked.startswith("Fail") and family != "bedrock":
        assert "Oh no" in caught.value.message
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "7"
    record = gateway.settled(caught.value.response.headers["x-request-id"])
    assert (record["status"], record["cost_micro_usd"], record["estimated"]) == (status, 0, 0)


@every_family
@both_ways
def test_provider_that_hangs_up_is_an_error_and_estimated(
    client: OpenAI, gateway: RunningGateway, family: str, stream: bool
) -> None:
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model=family, messages=[user("Hang up.")], stream=stream)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_disconnected")
    record = gateway.settled(caught.value.response.headers["x-request-id"])
    assert (record["status"], record["output_tokens"], record["estimated"]) == (502, 0, 1)


@every_family
def test_key_that_the_provider_refuses_is_not_the_clients(client: OpenAI, family: str) -> None:
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model=f"{family}-shut", messages=[user("What is the capital of France?")])
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_auth")


@every_family
@pytest.mark.parametrize("asked", ["Break off after a while.", "Break off in time."])
def test_stream_that_breaks_off_is_an_error_and_estimated(
    client: OpenAI, gateway: RunningGateway, family: str, asked: str
) -> None:
    stream = client.chat.completions.create(model=family, messages=[user(asked)], stream=True)
    choices: list[Any] = []
    with pytest.raises(APIError) as caught:
        choices.extend(choice for chunk in stream for choice in chunk.choices)
    said = "".join(choice.delta.content or "" for choice in choices)
    assert caught.value.code in ("upstream_disconnected", "stream_truncated")
    assert 0 < len(said) < len(STORY)
    assert STORY.startswith(said)
    assert {choice.finish_reason for choice in choices} == {None}
    record = gateway.settled(stream.response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == (200, caught.value.code)
    assert record["estimated"]
    assert record["cost_micro_usd"] > 0
