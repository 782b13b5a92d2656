"""Errors of generateContent."""

from typing import Any

import pytest

from tollgate.adapters import gemini
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
from tollgate.gateway.types import Json
from unit.adapters.gemini_responses import GEMINI, answered, parse, streamed

FOUR, SCORE = answered({"text": "Four"}, finish=None), answered({"text": " score."}, finish=None)


IN_BAND = {
    400: BadRequestError,
    403: UpstreamAuthError,
    404: NotFoundError,
    429: RateLimitError,
    500: UpstreamError,
    503: OverloadedError,
    504: UpstreamTimeoutError,
    None: UpstreamError,
}


@pytest.mark.parametrize(("code", "error"), IN_BAND.items())
def test_error_under_status_200_has_its_own_status(code: int | None, error: type[GatewayError]) -> None:
    body: Json = {"error": {"code": code, "message": "models/why"}}
    with pytest.raises(error) as caught:
        streamed(FOUR, body)
    with pytest.raises(error) as buffered:
        parse(body)
    assert type(caught.value) is type(buffered.value) is error


@pytest.mark.parametrize("answer", [{}, {"candidates": []}, {"candidates": "x"}, [], {"promptFeedback": {}}])
def test_response_without_candidates_is_an_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        parse(answer)


def refused(name: str, status: int, **headers: str) -> GatewayError:
    return gemini.ChatCall.parse_error(status, headers, GEMINI.whole(name))


@pytest.mark.parametrize(
    ("name", "status", "reported", "code"),
    [
        ("error_key", 400, 502, "upstream_auth"),
        ("error_permission", 403, 502, "upstream_auth"),
        ("error_unknown_name", 400, 400, None),
        ("error_array", 400, 400, None),
        ("error_too_long", 400, 400, "context_length_exceeded"),
        ("error_model", 404, 404, "model_not_found"),
        ("error_unavailable", 503, 503, "overloaded"),
        ("error_deadline", 504, 504, "timeout"),
    ],
)
def test_error_has_openais_form(name: str, status: int, reported: int, code: str | None) -> None:
    error = refused(name, status)
    assert (error.status, error.code) == (reported, code)


def test_message_is_googles_with_urls_redacted() -> None:
    assert refused("error_array", 400).message == "Penalty is not enabled for this model"
    error = refused("error_internal", 500)
    assert error.status == 502
    assert error.message == "An internal error has occurred. Please retry or report in [redacted]"


def test_rate_limit_wait_is_googles_retry_delay() -> None:
    error = refused("error_rate_limit", 429, **{"retry-after": "99"})
    assert (error.status, error.retry_after) == (429, 16.5)
    assert "Quota exceeded" in error.message


def test_rate_limit_without_retry_delay_uses_the_header() -> None:
    assert gemini.ChatCall.parse_error(429, {"retry-after": "7"}, b'{"error": {"message": "slow"}}').retry_after == 7


@pytest.mark.parametrize("body", [b"<html>502</html>", b"", b"[]", b"[1]", b'{"error": 1}', b"\xff"])
def test_error_in_another_form_keeps_its_status(body: bytes) -> None:
    error = gemini.ChatCall.parse_error(503, {}, body)
    assert (error.status, error.message) == (503, "The provider returned HTTP status 503.")
