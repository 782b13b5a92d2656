"""`tollgate chat`: one streaming prompt to any OpenAI-compatible gateway, and what it cost and took."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tollgate.handler.cli.output import fail

BaseUrl = Annotated[
    str, typer.Option(help="The gateway's base URL; it ends in /v1.", envvar=["TOLLGATE_BASE_URL", "OPENAI_BASE_URL"])
]
Key = Annotated[str, typer.Option(help="The key to call it with.", envvar=["TOLLGATE_API_KEY", "OPENAI_API_KEY"])]


def chat(
    prompt: Annotated[str | None, typer.Argument(help="The prompt; without one the standard input is read.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="The model.")] = "auto",
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The most tokens of the answer.")] = None,
    base_url: BaseUrl = "http://127.0.0.1:8080/v1",
    api_key: Key = "",
) -> None:
    """Send a prompt to a gateway and print the answer as it comes; what it took is printed to the standard error."""
    text = prompt if prompt is not None else sys.stdin.read()
    messages = [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": text}]
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    started, first, usage = time.monotonic(), None, None
    for event in _events(base_url.rstrip("/"), api_key, body):
        usage = event.get("usage") or usage
        for choice in event.get("choices", ()):
            piece = choice.get("delta", {}).get("content") or ""
            if piece and first is None:
                first = time.monotonic()
            typer.echo(piece, nl=False)
    typer.echo()
    typer.echo(_summary(started, first, usage), err=True)


def _events(base_url: str, api_key: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of the stream. An error ends the command with its message."""
    import httpx

    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(10, read=600)
    try:
        with httpx.stream(
            "POST", f"{base_url}/chat/completions", json=body, headers=headers, timeout=timeout
        ) as response:
            if response.status_code != 200:
                fail(f"HTTP {response.status_code}: {_message(response.read())}")
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    event: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        fail(f"\nThe answer broke off: {event['error'].get('message')}")
                    yield event
    except httpx.HTTPError as error:
        fail(f"{base_url} does not answer: {error}")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:500].decode(errors="replace")


def _summary(started: float, first: float | None, usage: dict[str, Any] | None) -> str:
    parts = [f"{time.monotonic() - started:.1f} s"]
    if first is not None:
        parts.append(f"first token after {first - started:.2f} s")
    if usage is not None:
        parts.append(f"{usage.get('prompt_tokens', 0)} + {usage.get('completion_tokens', 0)} tokens")
        if usage.get("cost") is not None:
            parts.append(f"{usage['cost']:.6f} USD")
    return "[" + ", ".join(parts) + "]"
