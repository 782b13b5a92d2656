"""A dozen real calls: `python -m live PROVIDER [--model ID]`, through a gateway on this machine.

They need the credential of the provider in the environment, cost some cents, and are not part of the tests. Each call
prints `ok` or its error. The last line is their total cost, as the gateway reports it.
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

MESSAGES: list[Any] = [{"role": "user", "content": "Answer with the one word: yes"}]
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
    """The calls. Each public method is one; it raises AssertionError, or an error of the client."""

    def __init__(self, client: OpenAI, model: str) -> None:
        self._client = client
        self._model = model

    def whole(self) -> None:
        completion = self._chat(MESSAGES)
        assert "yes" in (completion.choices[0].message.content or "").lower(), completion
        assert completion.usage.prompt_tokens * completion.usage.completion_tokens > 0, completion.usage

    def streamed(self) -> None:
        chunks = self._stream(MESSAGES, stream_options={"include_usage": True})
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert "yes" in text.lower(), text
        assert chunks[-1].usage.completion_tokens > 0, chunks[-1]

    def system_and_developer(self) -> None:
        for role in ("system", "developer"):
            completion = self._chat([{"role": role, "content": "Answer in capital letters only."}, *MESSAGES])
            assert "YES" in (completion.choices[0].message.content or ""), completion

    def stop_as_text_and_list(self) -> None:
        messages = [{"role": "user", "content": "Count from one to ten in words, with commas."}]
        for stop in ("four", ["four", "five"]):
            assert "six" not in (self._chat(messages, stop=stop).choices[0].message.content or "")

    def output_limit(self) -> None:
        completion = self._chat([{"role": "user", "content": "Tell a long story."}], max_tokens=2000)
        assert completion.usage.completion_tokens <= 2000, completion.usage

    def tool_call_and_its_result(self) -> None:
        completion = self._chat(WEATHER, tools=[TOOL])
        calls: list[Any] = completion.choices[0].message.tool_calls or []
        call = calls[0]
        assert completion.choices[0].finish_reason == "tool_calls"
        assert "bern" in json.loads(call.function.arguments)["city"].lower()
        assistant = completion.choices[0].message.model_dump(include={"role", "content", "tool_calls"})
        result = {"role": "tool", "tool_call_id": call.id, "content": "Rain, 9 degrees."}
        final = self._chat([*WEATHER, assistant, result], tools=[TOOL])
        assert "9" in (final.choices[0].message.content or ""), final

    def tool_call_streamed(self) -> None:
        arguments = ""
        for chunk in self._stream(WEATHER, tools=[TOOL]):
            fragments: list[Any] = chunk.choices[0].delta.tool_calls or [] if chunk.choices else []
            arguments += "".join(call.function.arguments or "" for call in fragments if call.index == 0)
        assert "bern" in json.loads(arguments)["city"].lower()

    def json_object(self) -> None:
        messages = [{"role": "user", "content": 'The capital of France, as JSON: {"capital": ...}'}]
        self._check_capital(messages, {"type": "json_object"})

    def json_schema(self) -> None:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        self._check_capital(messages, {"type": "json_schema", "json_schema": {"name": "capital", "schema": SCHEMA}})

    def image_by_data_url(self) -> None:
        self._check_image(f"data:image/png;base64,{base64.b64encode(red_square()).decode()}", "red")

    def image_by_url(self) -> None:
        self._check_image(IMAGE_URL, "dice")

    def reasoning(self) -> None:
        completion = self._chat(
            [{"role": "user", "content": "Is 1009 prime?"}], reasoning_effort="low", max_tokens=4000
        )
        assert completion.choices[0].message.content, completion

    def _chat(self, messages: list[Any], **more: Any) -> Any:
        create: Any = self._client.chat.completions.create
        return create(model=self._model, messages=messages, **more)

    def _stream(self, messages: list[Any], **more: Any) -> list[Any]:
        with self._chat(messages, stream=True, **more) as chunks:
            return list(chunks)

    def _check_capital(self, messages: list[Any], response_format: Any) -> None:
        content = self._chat(messages, response_format=response_format).choices[0].message.content
        assert "paris" in json.loads(content or "")["capital"].lower(), content

    def _check_image(self, url: str, expected: str) -> None:
        parts = [
            {"type": "text", "text": "What do you see? Answer with a few words."},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        text = self._chat([{"role": "user", "content": parts}]).choices[0].message.content or ""
        assert expected in text.lower(), text


def red_square() -> bytes:
    """A PNG of 64 by 64 red pixels."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", pixels) + block(b"IEND", b"")


def main() -> None:
    """Run the calls, and exit with 1 if one failed."""
    parser = argparse.ArgumentParser(prog="live", description="Real calls to one provider, through the gateway.")
    parser.add_argument("provider")
    parser.add_argument("--model", help="the model's id in the catalog; by default the provider's first")
    arguments = parser.parse_args()
    catalog = read_catalog(os.environ.get("TOLLGATE_CATALOG"))
    if arguments.provider not in catalog.providers:
        sys.exit(f"There is no provider {arguments.provider!r}. There are: {', '.join(catalog.providers)}.")
    provider = catalog.providers[arguments.provider]
    model = arguments.model or _first_model(catalog, provider)
    with (
        tempfile.TemporaryDirectory() as folder,
        run_gateway("server", Path(folder), env=_environment(provider)) as gateway,
    ):
        failed = _run(gateway, model)
        _print_cost(gateway)
    sys.exit(bool(failed))


def _first_model(catalog: Catalog, provider: Provider) -> str:
    found = [model.id for model in catalog.models.values() if model.routes[0].provider == provider.name]
    if not found:
        sys.exit(f"The catalog has no model of {provider.name!r}: name one with --model, from your own catalog.")
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
            error = _try(getattr(calls, name))
            failed += error is not None
            print(f"{model}  {name:<26} {error or 'ok'}", flush=True)
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
