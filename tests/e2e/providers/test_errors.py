"""Failures of every family through aimock: status, cost and estimated usage."""

from typing import Any

import pytest
from openai import APIError, APIStatusError, OpenAI

from support.aimock import STORY
from support.aimock_requests import BOTH_MODES, EVERY_FAMILY, user
from support.running_gateway import RunningGateway


@EVERY_FAMILY
@BOTH_MODES
@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ("Fail with 400.", 400, None),
        ("Fail with 429.", 429, "rate_limit_exceeded"),
        ("Fail with 500.", 502, "upstream_error"),
        ("Fail with 503.", 503, "overloaded"),
        ("Say what is in no fixture.", 502, "upstream_error"),  # a 404 that does not name a model
        ("Talk nonsense.", 502, "upstream_error"),
    ],
)
def test_provider_error_has_its_status_and_costs_nothing(
    client: OpenAI, gateway: RunningGateway, family: str, stream: bool, prompt: str, status: int, code: str | None
) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model=family, messages=[user(prompt)], stream=stream)
    assert (raised.value.status_code, raised.value.code) == (status, code)
    if prompt.startswith("Fail") and family != "bedrock":
        assert "Oh no" in raised.value.message
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"
    record = gateway.settled(raised.value.response.headers["x-request-id"])
    assert (record["status"], record["cost_micro_usd"], record["estimated"]) == (status, 0, 0)


@EVERY_FAMILY
@BOTH_MODES
def test_disconnect_before_the_response_is_an_error_with_estimated_usage(
    client: OpenAI, gateway: RunningGateway, family: str, stream: bool
) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model=family, messages=[user("Hang up.")], stream=stream)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_disconnected")
    record = gateway.settled(raised.value.response.headers["x-request-id"])
    assert (record["status"], record["output_tokens"], record["estimated"]) == (502, 0, 1)


@EVERY_FAMILY
def test_credential_refused_by_the_provider_is_a_502(client: OpenAI, family: str) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model=f"{family}-wrong-key", messages=[user("What is the capital of France?")])
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_auth")


@EVERY_FAMILY
@pytest.mark.parametrize("prompt", ["Break off after a while.", "Break off in time."])
def test_broken_stream_is_an_error_with_estimated_usage(
    client: OpenAI, gateway: RunningGateway, family: str, prompt: str
) -> None:
    stream = client.chat.completions.create(model=family, messages=[user(prompt)], stream=True)
    choices: list[Any] = []
    with pytest.raises(APIError) as raised:
        choices.extend(choice for chunk in stream for choice in chunk.choices)
    content = "".join(choice.delta.content or "" for choice in choices)
    assert raised.value.code in ("upstream_disconnected", "stream_truncated")
    assert 0 < len(content) < len(STORY)
    assert STORY.startswith(content)
    assert {choice.finish_reason for choice in choices} == {None}
    record = gateway.settled(stream.response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == (200, raised.value.code)
    assert record["estimated"]
    assert record["cost_micro_usd"] > 0
