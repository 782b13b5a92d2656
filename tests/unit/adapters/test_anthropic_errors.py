"""Errors of the Messages API."""

import json

import pytest

from tollgate.adapters import anthropic
from tollgate.gateway.errors import GatewayError, UpstreamError
from unit.adapters.anthropic_responses import ANTHROPIC, PLAIN, ROUTE


def refused(name: str, status: int, **headers: str) -> GatewayError:
    return anthropic.ChatCall.parse_error(status, headers, ANTHROPIC.whole(f"error_{name}"))


def test_overload_is_a_503_with_retry_after() -> None:
    error = refused("overloaded", 529, **{"retry-after": "7"})
    assert (error.status, error.code, error.retry_after) == (503, "overloaded", 7)


def test_rate_limit_keeps_its_wait_and_message() -> None:
    error = refused("rate_limit", 429, **{"retry-after": "30"})
    assert (error.status, error.retry_after) == (429, 30)
    assert "input tokens per minute" in error.message


def test_prompt_too_long_has_openais_code() -> None:
    error = refused("too_long", 400)
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_max_tokens_over_the_context_has_openais_code() -> None:
    text = "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000"
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": text}}).encode()
    assert anthropic.ChatCall.parse_error(400, {}, body).code == "context_length_exceeded"


def test_bad_request_keeps_the_providers_message() -> None:
    error = refused("invalid", 400)
    assert (error.status, error.code) == (400, None)
    assert error.message.endswith("invalid image data")


@pytest.mark.parametrize(("name", "status"), [("key", 401), ("credit", 400)])
def test_gateways_credential_error_is_not_the_clients(name: str, status: int) -> None:
    error = refused(name, status)
    assert (error.status, error.code) == (502, "upstream_auth")
    assert "key" not in error.message


def test_unknown_model_is_a_404() -> None:
    assert refused("model", 404).code == "model_not_found"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"message": 1}}'])
def test_error_without_a_message_is_an_error(body: bytes) -> None:
    error = anthropic.ChatCall.parse_error(500, {}, body)
    assert (error.status, error.type) == (502, "upstream_error")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "x"}', b'{"content": null}'])
def test_malformed_response_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        anthropic.ChatCall(PLAIN, ROUTE).parse_response(body)
