"""Streams that are passed on as the provider wrote them: what is garbage is an error, and never reaches the client."""

import json
from typing import Any

import pytest

from support import families
from tollgate.adapters.anthropic.native_messages import NativeMessagesCall
from tollgate.adapters.clients.anthropic_messages import AnthropicMessages
from tollgate.adapters.clients.openai_responses import OpenAIResponses
from tollgate.adapters.openai.native_responses import NativeResponsesCall
from tollgate.gateway.client_format import ResponseInfo, StreamEncoder
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader

INFO = ResponseInfo("req_1", 1, "m", "p", "f")
MESSAGE: Any = {"type": "message_start", "message": {"model": "native", "usage": {"input_tokens": 3}}}
CREATED: Any = {"type": "response.created", "response": {"status": "in_progress", "model": "native"}}
PROVIDERS = {
    "messages": (
        AnthropicMessages(),
        {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        NativeMessagesCall,
        [MESSAGE, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}],
    ),
    "responses": (
        OpenAIResponses(),
        {"input": "x"},
        NativeResponsesCall,
        [CREATED, {"type": "response.completed", "response": {"status": "completed", "model": "native"}}],
    ),
}


def relayed(api: str, stream: bytes) -> list[Any]:
    """The events that the client gets of a stream."""
    client, fields, call, _ = PROVIDERS[api]
    body = json.dumps({"model": "m", "stream": True, **fields}).encode()
    request, encoder_for = client.parse({}, body)
    assert request.native is not None
    parser, encoder = call(request, request.native, families.route("openai")).open_stream(), encoder_for(INFO)
    assert isinstance(encoder, StreamEncoder)
    chunks = [*parser.feed(stream), *parser.close()]
    written = b"".join(encoder.chunk(chunk) for chunk in chunks)
    return [json.loads(event) for event in EventReader().feed(written)]


def stream_of(*events: Any, **options: Any) -> bytes:
    lines = (json.dumps(event, **options).replace("\n", "\ndata: ") for event in events)
    return "".join(f"data: {line}\n\n" for line in lines).encode()


@pytest.mark.parametrize("api", PROVIDERS)
@pytest.mark.parametrize("indent", [None, 2])
def test_event_in_several_lines_is_one_event(api: str, indent: int | None) -> None:
    events = PROVIDERS[api][3]
    received = relayed(api, stream_of(*events, indent=indent))
    assert [event["type"] for event in received] == [event["type"] for event in events]
    assert {
        part["model"] for event in received for part in event.values() if isinstance(part, dict) and "model" in part
    } == {"m"}


@pytest.mark.parametrize("nameless", [{}, {"type": 5}, {"type": "x\n\ndata: {}"}])
@pytest.mark.parametrize("api", PROVIDERS)
def test_event_without_a_name_is_left_out(api: str, nameless: Any) -> None:
    events = PROVIDERS[api][3]
    assert len(relayed(api, stream_of(nameless, events[0], nameless, *events[1:]))) == len(events)


@pytest.mark.parametrize(
    ("api", "first"),
    [
        ("messages", {"type": "message_start"}),
        ("messages", {"type": "message_start", "message": "x"}),
        ("messages", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}),
        ("messages", {"type": "message_stop"}),
        ("messages", ["message_start"]),
        ("responses", {"type": "response.created"}),
        ("responses", {"type": "response.completed", "response": []}),
        ("responses", 5),
    ],
)
def test_stream_without_a_message_is_an_error(api: str, first: Any) -> None:
    with pytest.raises(UpstreamError):
        relayed(api, stream_of(first, *PROVIDERS[api][3][1:]))
