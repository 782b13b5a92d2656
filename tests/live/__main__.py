"""A dozen real calls: `python -m live PROVIDER [--model ID]`, through a gateway on this machine.

It needs the provider's credential in the environment, costs some cents, and is never part of the tests. Each call says
`ok` or what went wrong; the last line is what they cost together, as the gateway has it.
"""

import argparse
import base64
import json
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from support.running_gateway import RunningGateway, run_gateway
from tollgate.gateway.catalog import Catalog, Provider
from tollgate.handler.components import read_catalog

ASK: list[Any] = [{"role": "user", "content": "Answer with the one word: yes"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Bern? Use the tool."}]
SCHEMA: Any = {
    "type": "object",
    "properties": {"capital": {"type": "string"}},
    "required": ["capital"],
    "additionalProperties": False,
}
IMAGE_URL = "https://upload.wikimedia.org/wikipedia/commons/4/47/PNG_transparency_demonstration_1.png"


class Calls:
    """The calls, each a method that raises AssertionError, or whatever the client raises."""

    def __init__(self, client: OpenAI, model: str) -> None:
        self._client = client
        self._model = model

    def whole(self) -> None:
        answer = self._ask(ASK)
        assert "yes" in (answer.choices[0].message.content or "").lower(), answer
        assert answer.usage.prompt_tokens * answer.usage.completion_tokens > 0, answer.usage

    def streamed(self) -> None:
        seen = self._stream(ASK, stream_options={"include_usage": True})
        said = "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices)
        assert "yes" in said.lower(), said
        assert seen[-1].usage.completion_tokens > 0, seen[-1]

    def system_and_developer(self) -> None:
        for role in ("system", "developer"):
            said = self._ask([{"role": role, "content": "Answer in capital letters only."}, *ASK])
            assert "YES" in (said.choices[0].message.content or ""), said

    def stop_as_text_and_list(self) -> None:
        count = [{"role": "user", "content": "Count from one to ten in words, with commas."}]
        for stop in ("four", ["four", "five"]):
            assert "six" not in (self._ask(count, stop=stop).choices[0].message.content or "")

    def output_limit(self) -> None:
        answer = self._ask([{"role": "user", "content": "Tell a long story."}], max_tokens=2000)
        assert answer.usage.completion_tokens <= 2000, answer.usage

    def tool_call_and_its_result(self) -> None:
        answer = self._ask(WEATHER, tools=[TOOL])
        calls: list[Any] = answer.choices[0].message.tool_calls or []
        call = calls[0]
        assert answer.choices[0].finish_reason == "tool_calls"
        assert "bern" in json.loads(call.function.arguments)["city"].lower()
        said = answer.choices[0].message.model_dump(include={"role", "content", "tool_calls"})
        result = {"role": "tool", "tool_call_id": call.id, "content": "Rain, 9 degrees."}
        after = self._ask([*WEATHER, said, result], tools=[TOOL])
        assert "9" in (after.choices[0].message.content or ""), after

    def tool_call_streamed(self) -> None:
        arguments = ""
        for chunk in self._stream(WEATHER, tools=[TOOL]):
            fragments: list[Any] = chunk.choices[0].delta.tool_calls or [] if chunk.choices else []
            arguments += "".join(call.function.arguments or "" for call in fragments if call.index == 0)
        assert "bern" in json.loads(arguments)["city"].lower()

    def json_object(self) -> None:
        ask = [{"role": "user", "content": 'The capital of France, as JSON: {"capital": ...}'}]
        self._is_paris(ask, {"type": "json_object"})

    def json_schema(self) -> None:
        ask = [{"role": "user", "content": "What is the capital of France?"}]
        self._is_paris(ask, {"type": "json_schema", "json_schema": {"name": "capital", "schema": SCHEMA}})

    def image_by_data_url(self) -> None:
        self._sees(f"data:image/png;base64,{base64.b64encode(red_square()).decode()}", "red")

    def image_by_url(self) -> None:
        self._sees(IMAGE_URL, "dice")

    def reasoning(self) -> None:
        answer = self._ask([{"role": "user", "content": "Is 1009 prime?"}], reasoning_effort="low", max_tokens=4000)
        assert answer.choices[0].message.content, answer

    def _ask(self, messages: list[Any], **more: Any) -> Any:
        create: Any = self._client.chat.completions.create
        return create(model=self._model, messages=messages, **more)

    def _stream(self, messages: list[Any], **more: Any) -> list[Any]:
        with self._ask(messages, stream=True, **more) as chunks:
            return list(chunks)

    def _is_paris(self, messages: list[Any], response_format: Any) -> None:
        content = self._ask(messages, response_format=response_format).choices[0].message.content
        assert "paris" in json.loads(content or "")["capital"].lower(), content

    def _sees(self, url: str, what: str) -> None:
        parts = [
            {"type": "text", "text": "What do you see? Answer with a few words."},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        said = self._ask([{"role": "user", "content": parts}]).choices[0].message.content or ""
        assert what in said.lower(), said


def red_square() -> bytes:
    """A PNG of 64 by 64 red pixels."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", pixels) + block(b"IEND", b"")


def main() -> None:
    """Run, and end with 1 where a call went wrong."""
    parser = argparse.ArgumentParser(prog="live", description="Real calls to one provider, through the gateway.")
    parser.add_argument("provider")
    parser.add_argument("--model", help="the model's id in the catalog; by default the provider's first")
    given = parser.parse_args()
    catalog = read_catalog(os.environ.get("TOLLGATE_CATALOG"))
    if given.provider not in catalog.providers:
        sys.exit(f"There is no provider {given.provider!r}. There are: {', '.join(catalog.providers)}.")
    provider = catalog.providers[given.provider]
    model = given.model or _first_model(catalog, provider)
    with (
        tempfile.TemporaryDirectory() as folder,
        run_gateway("asgi", Path(folder), env=_environment(provider)) as gateway,
    ):
        failed = _run(gateway, model)
        _print_cost(gateway)
    sys.exit(bool(failed))


def _first_model(catalog: Catalog, provider: Provider) -> str:
    found = [model.id for model in catalog.models.values() if model.routes[0].provider == provider.name]
    if not found:
        sys.exit(f"The catalog has no model of {provider.name!r}: name one with --model, in a catalog of your own.")
    return found[0]


def _environment(provider: Provider) -> Mapping[str, str]:
    names = ["TOLLGATE_CATALOG", *([provider.credential] if provider.credential else [])]
    if provider.auth == "sigv4":
        names += [name for name in os.environ if name.startswith("AWS_")]
    elif provider.credential and not os.environ.get(provider.credential):
        sys.exit(f"{provider.credential} is not set: {provider.name} cannot be called.")
    return {"TOLLGATE_ECHO": "off", **{name: os.environ[name] for name in names if name in os.environ}}


def _run(gateway: RunningGateway, model: str) -> int:
    failed = 0
    with OpenAI(base_url=gateway.base_url, api_key=gateway.api_key, max_retries=1, timeout=120) as client:
        calls = Calls(client, model)
        names = [name for name in vars(Calls) if not name.startswith("_")]
        for name in names:
            went_wrong = _try(getattr(calls, name))
            failed += went_wrong is not None
            print(f"{model}  {name:<26} {went_wrong or 'ok'}", flush=True)
    return failed


def _try(call: Callable[[], None]) -> str | None:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return None


def _print_cost(gateway: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    total = httpx.get(f"{gateway.base_url}/usage", headers=headers).json()["total"]
    print(f"{total['requests']} requests, {total['errors']} errors, {total['cost_usd']} USD")


if __name__ == "__main__":
    main()
