"""Chat request bodies for tests of parsing."""

import json
from typing import Any

import pytest

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError

USER: dict[str, Any] = {"role": "user", "content": "x"}
VALID: dict[str, Any] = {"model": "m", "messages": [USER]}


def with_message(**fields: Any) -> dict[str, Any]:
    return {**VALID, "messages": [USER, {**USER, **fields}]}


def parse(body: Any) -> ChatRequest:
    return parse_json({}, body if isinstance(body, bytes) else json.dumps(body).encode(), ChatRequest)


def refusal(body: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as raised:
        parse(body)
    assert raised.value.message
    json.dumps(error_body(raised.value))
    return raised.value
