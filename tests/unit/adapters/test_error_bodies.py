"""Errors in bodies of every form: the message, the code, the status and the wait."""

import json
from typing import Any

import pytest

from support.families import ALL
from tollgate.adapters.error_bodies import read_error, read_error_body
from tollgate.adapters.provider_errors import error_from_response, in_band_error
from tollgate.gateway.errors import BadRequestError, RateLimitError
from tollgate.gateway.types import Json

MESSAGE = "This model's maximum context length is 65536 tokens."
INNER: Json = {"error": {"message": MESSAGE, "type": "invalid_request_error"}}
PROVIDER: Json = {"message": "Provider returned error"}
WRAPPED: dict[str, Any] = {
    "openai": INNER,
    "openrouter": {"error": {**PROVIDER, "code": 400, "metadata": {"raw": json.dumps(INNER)}}},
    "openrouter-text": {"error": {**PROVIDER, "metadata": {"raw": MESSAGE}}},
    "openrouter-object": {"error": {**PROVIDER, "metadata": {"raw": INNER}}},
    "cloudflare": {"success": False, "errors": [{"code": 5006, "message": MESSAGE}]},
    "graphql": {"message": "Failed", "errors": [{"message": MESSAGE}]},
    "baidu": {"error_code": 336007, "error_msg": MESSAGE},
    "minimax": {"base_resp": {"status_code": 2013, "status_msg": MESSAGE}},
    "json-in-the-message": {"error": {"message": json.dumps(INNER)}},
    "json-after-text": {"error": {"message": f"litellm.BadRequestError: OpenAIException - {json.dumps(INNER)}"}},
    "python-after-text": {"detail": f"Error code: 400 - {INNER}"},
    "twice": {"error": {"message": json.dumps({"error": {"message": f"Error code: 400 - {INNER}"}})}},
    "nest": {"statusCode": 400, "error": "Bad Request", "message": [MESSAGE]},
    "spring": {"status": 400, "error": "Bad Request", "message": MESSAGE, "path": "/v1/chat"},
    "fastapi": {"detail": [{"loc": ["body"], "msg": MESSAGE, "type": "value_error"}]},
    "anthropic": {"type": "error", "error": {"type": "invalid_request_error", "message": MESSAGE}},
    "google": [{"error": {"code": 400, "message": MESSAGE, "status": "INVALID_ARGUMENT"}}],
    "aws": {"Message": MESSAGE},
    "flat": {"object": "error", "message": MESSAGE, "code": 400},
    "text": MESSAGE,
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("family", ["anthropic", "bedrock", "gemini", "openai"])
def test_inner_message_is_relayed_with_its_code(family: str, name: str) -> None:
    body = WRAPPED[name] if isinstance(WRAPPED[name], str) else json.dumps(WRAPPED[name])
    error = ALL[family].parse_error(400, {}, body.encode())
    assert (type(error), error.message, error.code) == (BadRequestError, MESSAGE, "context_length_exceeded")


def test_wrappers_message_is_used_without_an_inner_one() -> None:
    error: Json = {**PROVIDER, "code": 400, "metadata": {"raw": "<html>"}, "errors": [{}]}
    assert read_error({"error": error}).message == PROVIDER["message"]


def test_several_errors_are_joined_without_repetition() -> None:
    assert read_error([{"msg": "One."}, {"msg": "Two."}, {"msg": "One."}, 3, {}]).message == "One.; Two."


def test_wrappers_status_takes_precedence_over_the_inner_one() -> None:
    inner = {"message": "x", "type": "rate_limit_error"}
    assert read_error({"error": {"code": 503, "metadata": {"raw": inner}}}).status == 503
    assert read_error({"error": {"metadata": {"raw": inner}}}).status == 429
    assert read_error({"error": {"message": "x", "metadata": {"error_type": "provider_overloaded"}}}).status == 503


def test_inner_code_takes_precedence_over_the_wrappers() -> None:
    raw = {"error": {"message": "x", "code": "content_filter", "param": "messages"}}
    content = read_error({"error": {"message": "y", "code": "bad_gateway", "metadata": {"raw": raw}}})
    assert (content.code, content.param) == ("content_filter", "messages")


def test_first_event_of_a_stream_is_read_like_a_body() -> None:
    error = in_band_error({"error": {**PROVIDER, "code": 429, "metadata": {"raw": "Wait."}}})
    assert (type(error), error.message) == (RateLimitError, "Wait.")


NOTHING = [
    b"",
    b"<html>no</html>",
    b"  <!DOCTYPE html>",
    b"\xff\xfe",
    b'{"error": {"mess',
    b"null",
    b"[[[[",
    b"\x00\x01",
]


@pytest.mark.parametrize("body", NOTHING)
def test_empty_details_are_empty(body: bytes) -> None:
    assert read_error_body(body).message == ""


def test_short_plain_text_is_relayed() -> None:
    assert error_from_response(503, {}, b"upstream connect error\n").message == "upstream connect error"


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"message": value}
    return value


@pytest.mark.parametrize(
    "value",
    [nested(100), "{" * 100_000, '{"message":' * 5_000, [[nested(20)]], {"errors": [{"message": "m" * 100}] * 100_000}],
)
def test_depth_and_length_of_errors_are_limited(value: Any) -> None:
    assert len(read_error(value).message) < 110_000


WAITS: list[tuple[Json, float | None]] = [
    ({"message": "Please try again in 5.289s."}, 5.289),
    ({"message": "Please retry after 20 seconds."}, 20),
    ({"message": "Rate limit reached in 2 min: 30000. Try again in 6m0s."}, 360),
    ({"message": "Please try again in 1h2m3s. Visit us."}, 3723),
    ({"message": "Please wait 2 minutes and 30 seconds."}, 150),
    ({"message": "try again in 250ms"}, 0.25),
    ({"message": "Please retry in 17.5 sec"}, 17.5),
    ({"message": "Try again in 99999 hours"}, 86_400),
    ({"message": "x", "retry_after": 3}, 3),
    ({"message": "x", "metadata": {"retry_after": 1.5}}, 1.5),
    ({"message": "x", "details": [{}, {"retryDelay": "17s"}]}, 17),
    ({"message": "Please try again later."}, None),
    ({"message": "20 requests per 60 seconds"}, None),
    ({"message": "retry after 30"}, None),
    ({"message": "x", "retry_after": "soon"}, None),
]


@pytest.mark.parametrize(("error", "seconds"), WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_wait_is_read_from_the_body(error: Json, seconds: float | None, status: int) -> None:
    reported = error_from_response(status, {}, json.dumps({"error": error}).encode())
    assert reported.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_wait_in_the_header_takes_precedence_over_the_message() -> None:
    body = json.dumps({"error": {"message": "Please try again in 5s."}}).encode()
    assert error_from_response(429, {"retry-after": "7"}, body).retry_after == 7
