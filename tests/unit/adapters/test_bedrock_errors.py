"""Errors of Converse."""

import pytest

from tollgate.adapters import bedrock
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)
from unit.adapters.bedrock_responses import FAMILY, PLAIN, ROUTE


@pytest.mark.parametrize(
    ("name", "status", "kind", "error"),
    [
        ("validation", 400, "ValidationException:http://internal.amazon.com/coral/x", BadRequestError),
        ("throttling", 429, "ThrottlingException", RateLimitError),
        ("throttling", 400, "com.amazon.bedrock#ServiceQuotaExceededException", RateLimitError),
        ("throttling", 429, "ModelNotReadyException", RateLimitError),
        ("access", 403, "AccessDeniedException", UpstreamAuthError),
        ("access", 403, "", UpstreamAuthError),
        ("model", 404, "ResourceNotFoundException", NotFoundError),
        ("validation", 408, "ModelTimeoutException", UpstreamTimeoutError),
        ("validation", 424, "ModelErrorException", UpstreamError),
        ("validation", 404, "UnknownOperationException", UpstreamError),
        ("validation", 503, "ServiceUnavailableException", OverloadedError),
    ],
)
def test_error_status_follows_from_its_type(name: str, status: int, kind: str, error: type[GatewayError]) -> None:
    assert (
        type(bedrock.ChatCall.parse_error(status, {"x-amzn-errortype": kind}, FAMILY.whole(f"error_{name}"))) is error
    )


def test_prompt_too_long_has_openais_code() -> None:
    error = bedrock.ChatCall.parse_error(
        400, {"x-amzn-errortype": "ValidationException"}, FAMILY.whole("error_too_long")
    )
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_account_numbers_are_redacted() -> None:
    for name, status in (("access", 403), ("model", 404)):
        assert "123456789012" not in bedrock.ChatCall.parse_error(status, {}, FAMILY.whole(f"error_{name}")).message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": null}'])
def test_error_without_a_message_has_a_status(body: bytes) -> None:
    assert bedrock.ChatCall.parse_error(500, {}, body).status == 502


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"output": {"message": {"content": "x"}}}',
        b'{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}',
    ],
)
def test_malformed_response_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        bedrock.ChatCall(PLAIN, ROUTE).parse_response(body)
    assert caught.value.status == 502
