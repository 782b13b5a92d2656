"""How much of its limits a chat request may use, estimated before it is sent."""

import json

from tollgate.gateway.catalog import Model
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.types import Usage, utf8_length

IMAGE_TOKENS = 1000
MESSAGE_TOKENS = 4
"""Marks around each message, in the chat formats of the common models."""


def estimate_usage(request: ChatRequest, model: Model) -> Usage:
    """What a request may use, to hold for it: its prompt, and as much of an answer as it asks for or is usual."""
    answer = min(request.output_limit or model.usual_output_tokens, model.usual_output_tokens)
    return Usage(input_tokens=_prompt_tokens(request), output_tokens=answer * (request.n or 1))


def prompt_bytes(request: ChatRequest) -> int:
    """The prompt's length as text, in bytes, with IMAGE_TOKENS for each image or sound in it."""
    length, attached = measured(request)
    return length + attached * IMAGE_TOKENS


def _prompt_tokens(request: ChatRequest) -> int:
    length, attached = measured(request)
    return estimate_tokens(length) + attached * IMAGE_TOKENS + len(request.messages) * MESSAGE_TOKENS


def measured(request: ChatRequest) -> tuple[int, int]:
    """The prompt's length as text in bytes, and how many images and sounds, which are data and not text, it has."""
    length, attached = 0, 0
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, str):
            length += utf8_length(content)
        for part in content if isinstance(content, list) else ():
            length += utf8_length(part.get("text") or "")
            attached += part["type"] != "text"
        length += sum(len(json.dumps(call)) for call in message.get("tool_calls") or ())
    length += len(json.dumps(request.tools)) if request.tools else 0
    return length, attached
