"""Requests that are passed on as the client wrote them, with what the gateway changes in them."""

import json
from typing import Any

import pytest

from support import families
from tollgate.adapters.anthropic.native_messages import NativeMessagesCall
from tollgate.adapters.clients.anthropic_messages import AnthropicMessages
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import UpstreamRequest


def sent(limit: int, **fields: Any) -> UpstreamRequest:
    """What Anthropic gets of a request whose output the budget limits."""
    body = {"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "x"}], **fields}
    request, _ = AnthropicMessages().parse({}, json.dumps(body).encode())
    assert request.native is not None
    return NativeMessagesCall(
        request.with_fields(max_tokens=limit), request.native, families.route("anthropic")
    ).request


@pytest.mark.parametrize(
    ("budget", "limit", "is_dropped"),
    [(4000, 9000, False), (4000, 4001, False), (4000, 4000, True), (9999, 9000, False)],
)
def test_thinking_that_does_not_fit_into_a_lowered_limit_is_dropped(budget: int, limit: int, is_dropped: bool) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    request = sent(limit, thinking=thinking)
    body = json.loads(request.body)
    assert body["max_tokens"] == limit
    assert body["thinking"] == ({"type": "disabled"} if is_dropped else thinking)
    assert request.dropped == (("thinking",) if is_dropped else ())


def test_thinking_is_not_dropped_if_all_parameters_are_required() -> None:
    with pytest.raises(BadRequestError) as raised:
        sent(2000, thinking={"type": "enabled", "budget_tokens": 4000}, provider={"require_parameters": True})
    assert raised.value.param == "thinking"
