"""Recorded responses of every family in every client format of chat: the text is the same, whole and streamed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from support.families import ALL, Family, read
from tollgate.adapters.clients.anthropic_messages import AnthropicMessages
from tollgate.adapters.clients.openai_completions import OpenAICompletions
from tollgate.adapters.clients.openai_responses import OpenAIResponses
from tollgate.gateway.accumulation import ChunkAccumulator
from tollgate.gateway.chat import Completion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader

USER = [{"role": "user", "content": "Hi"}]
FORMATS: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "messages": (AnthropicMessages(), {"model": "m", "max_tokens": 9, "messages": USER}),
    "responses": (OpenAIResponses(), {"model": "m", "input": USER}),
    "completions": (OpenAICompletions(), {"model": "m", "prompt": "Hi"}),
}
WHOLE = [pytest.param(family, name, id=f"{family.name}-{name}") for family in ALL.values() for name in family.wholes]
STREAMS = [
    pytest.param(family, name, id=f"{family.name}-{name}")
    for family in ALL.values()
    for name in family.streams
    if not name.startswith(("error", "truncated"))
]


def encoder(format_name: str, family: Family) -> Any:
    client_format, body = FORMATS[format_name]
    _, encoder = client_format.parse({}, json.dumps(body).encode())
    return encoder(ResponseInfo("req_1", 9, "m", "p", family.name))


def text_of(body: Any) -> str:
    """The text in a whole response of any format."""
    if "choices" in body:
        return "".join(choice["text"] for choice in body["choices"] if choice["index"] == 0)
    contents = [body["content"]] if "content" in body else [item.get("content", ()) for item in body["output"]]
    return "".join(part["text"] for content in contents for part in content if part["type"] in ("text", "output_text"))


def streamed_text(events: Sequence[Any]) -> str:
    """The text in the events of any format."""
    pieces: list[str] = []
    for event in events:
        kind = event.get("type")
        if "choices" in event:
            pieces += [choice["text"] for choice in event["choices"] if choice["index"] == 0]
        elif kind == "content_block_delta":
            pieces.append(event["delta"].get("text", ""))
        elif kind == "response.output_text.delta":
            pieces.append(event["delta"])
    return "".join(pieces)


def answer(completion: Completion, format_name: str) -> str:
    """The text of the first choice; with a refusal, which is text in Messages."""
    message = completion.choices[0]["message"]
    return (message.get("content") or "") + ((message.get("refusal") or "") if format_name == "messages" else "")


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("family", "name"), WHOLE)
def test_whole_response_has_its_text(format_name: str, family: Family, name: str) -> None:
    completion = family.parse(name)
    body = json.loads(encoder(format_name, family).result(completion, completion.usage))
    assert text_of(body) == answer(completion, format_name)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("family", "name"), STREAMS)
def test_stream_has_the_text_of_its_whole(format_name: str, family: Family, name: str) -> None:
    chunks = read(family.open(name), family.stream(name))
    whole = ChunkAccumulator()
    for chunk in chunks:
        whole.add(chunk)
    writer = encoder(format_name, family)
    written = b"".join([*map(writer.chunk, chunks), writer.end(None, {})])
    events = [json.loads(event) for event in EventReader().feed(written) if event != "[DONE]"]
    assert streamed_text(events) == answer(whole.completion(), format_name)
    if format_name == "responses":
        assert text_of(events[-1]["response"]) == answer(whole.completion(), format_name)


@pytest.mark.parametrize("format_name", FORMATS)
def test_failure_of_a_stream_is_an_event(format_name: str) -> None:
    assert b"It broke." in encoder(format_name, ALL["openai"]).error(UpstreamError("It broke."))
