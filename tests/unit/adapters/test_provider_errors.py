"""The client's error for a provider's status, code and message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters.error_bodies import named_status
from tollgate.adapters.provider_errors import MAX_RETRY_AFTER, error_for_status, retry_after
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    RequestTooLargeError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)

TABLE: dict[int, type[GatewayError]] = {
    200: UpstreamError,
    302: UpstreamError,
    400: BadRequestError,
    401: UpstreamAuthError,
    402: UpstreamAuthError,
    403: UpstreamAuthError,
    404: UpstreamError,
    405: UpstreamError,
    408: UpstreamTimeoutError,
    413: RequestTooLargeError,
    418: UpstreamError,
    422: BadRequestError,
    424: UpstreamError,
    429: RateLimitError,
    500: UpstreamError,
    502: UpstreamError,
    503: OverloadedError,
    504: UpstreamTimeoutError,
    529: OverloadedError,
    999: UpstreamError,
}


@pytest.mark.parametrize(("status", "kind"), TABLE.items())
def test_status_means(status: int, kind: type[GatewayError]) -> None:
    error = error_for_status(status, "Words.")
    assert type(error) is kind
    assert error.status != 401


@pytest.mark.parametrize("status", [401, 402, 403])
def test_credential_error_has_no_message_of_the_provider(status: int) -> None:
    assert "Words" not in error_for_status(status, "Words.").message


@pytest.mark.parametrize(
    "message_text",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ],
)
def test_empty_account_with_status_400_is_an_upstream_auth_error(message_text: str) -> None:
    assert isinstance(error_for_status(400, message_text), UpstreamAuthError)


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "billing_not_active"])
@pytest.mark.parametrize("status", [400, 429, 502])
def test_empty_account_is_an_upstream_auth_error(status: int, code: str) -> None:
    assert isinstance(error_for_status(status, "x", code=code), UpstreamAuthError)


@pytest.mark.parametrize(
    "message_text",
    [
        "API key not valid. Please pass a valid API key.",
        "API key expired. Please renew the API key.",
        "API Key not found. Please pass a valid API key.",
        "reason: API_KEY_INVALID",
    ],
)
def test_bad_credential_with_status_400_is_an_upstream_auth_error(message_text: str) -> None:
    assert isinstance(error_for_status(400, message_text), UpstreamAuthError)


@pytest.mark.parametrize(
    "message_text",
    [
        "This model's maximum context length is 8192 tokens.",
        "prompt is too long: 300000 tokens > 200000 maximum",
        "The input exceeds the context window of this model",
        "Too many input tokens",
        "too many tokens",
        "request (9000 tokens) exceeds the available context size",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
        "The prompt with 90000 tokens exceeds the maximum length of 8192.",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    ],
)
def test_prompt_that_is_too_long_has_one_code_for_all_messages(message_text: str) -> None:
    error = error_for_status(400, message_text)
    assert (error.status, error.param, error.code) == (400, "messages", "context_length_exceeded")


def test_long_other_text_is_not_a_context_length_error() -> None:
    assert error_for_status(400, "Invalid 'user': the string exceeds the maximum length.").code is None


@pytest.mark.parametrize(
    "message_text",
    [
        "prompt token count of 140000 exceeds the limit of 128000",
        "Invalid request: Your request exceeded model token limit: 8192",
        "Prompt exceeds max length",
        "Range of input length should be [1, 30720]",
        "Please reduce the length of the messages or completion.",
        "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422, 500, 502])
def test_prompt_that_is_too_long_is_a_bad_request_with_any_status(message_text: str, status: int) -> None:
    error = error_for_status(status, message_text)
    assert (error.status, error.code) == (400, "context_length_exceeded")


@pytest.mark.parametrize(
    "message_text",
    [
        "The model `x` does not exist.",
        "models/x is not found",
        "The API deployment is gone",
        "No endpoints found for x.",
    ],
)
def test_404_about_a_model_is_a_not_found_error(message_text: str) -> None:
    error = error_for_status(404, message_text)
    assert (type(error), error.code, error.param) == (NotFoundError, "model_not_found", "model")


@pytest.mark.parametrize(
    "message_text",
    ["", "Not Found", "404 page not found", "Invalid URL (POST /v1/models)", "Cannot POST /v1beta/models/x"],
)
def test_any_other_404_is_a_wrong_base_url(message_text: str) -> None:
    error = error_for_status(404, message_text)
    assert (error.status, error.code) == (502, "upstream_error")
    assert "base_url" in error.message


@pytest.mark.parametrize(
    ("code", "message_text"),
    [("content_policy_violation", "x"), (None, "Input was flagged."), (None, "This requires moderation.")],
)
def test_filtered_prompt_with_status_403_is_not_a_credential_error(code: str | None, message_text: str) -> None:
    error = error_for_status(403, message_text, code=code)
    assert (error.status, error.code) == (400, "content_filter")


IN_BAND: list[tuple[object, object, int | None]] = [
    *((None, word, 400) for word in ("invalid_request_error", "context_length_exceeded", "content_filter")),
    *((word, "x", 400) for word in ("invalid_value", "unsupported_parameter", "content_policy_violation")),
    *((None, word, 401) for word in ("authentication_error", "invalid_api_key")),
    *((None, word, 403) for word in ("permission_error", "permission_denied")),
    *((None, word, 404) for word in ("not_found_error", "not_found", "model_not_found")),
    *((None, word, 429) for word in ("rate_limit_error", "rate_limit_exceeded", "tokens", "requests")),
    *((None, word, 503) for word in ("overloaded_error", "server_is_overloaded", "service_unavailable_error")),
    ("slow_down", "server_error", 503),
    *((None, word, 504) for word in ("timeout", "Timeout_Error")),
    ("503", "invalid_request_error", 503),
    (429, "server_error", 429),
    ("invalid_api_key", "invalid_request_error", 401),
    ("unheard_of", "rate_limit_error", 429),
    *((code, "server_error", None) for code in (None, "", 0, 200, "3051", "x", "\u0665\u0660\u0663", ("x",), True)),
    (None, None, None),
]


@pytest.mark.parametrize(("code", "kind", "status"), IN_BAND)
def test_error_in_band_has_the_status_of_its_code_or_type(code: object, kind: object, status: int | None) -> None:
    assert named_status(code, kind) == status


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_filtered_prompt_has_one_code(code: str) -> None:
    assert error_for_status(400, "x", code=code).code == "content_filter"


def test_other_bad_requests_keep_field_and_code() -> None:
    error = error_for_status(422, "Bad seed.", param="seed", code="unsupported_value")
    assert (error.message, error.param, error.code) == ("Bad seed.", "seed", "unsupported_value")


@pytest.mark.parametrize("status", [429, 503, 529])
def test_wait_is_relayed(status: int) -> None:
    assert error_for_status(status, "x", retry_after=3).retry_after == 3


def test_error_without_a_message_gets_one() -> None:
    assert error_for_status(500, "").message == "The provider returned HTTP status 500."
    assert error_for_status(500, " \n").message


def test_redaction_of_a_hostile_message_is_fast() -> None:
    for message_text in (
        "a." * 100_000,
        "a-" * 100_000,
        "1." * 100_000,
        "eyJ" * 100_000,
        "input " * 100_000,
        "key-" * 100_000,
        "Bearer " * 100_000,
        "context" * 100_000,
        "AIza" * 100_000,
        " " * 1_000_000,
    ):
        error_for_status(400, message_text)


GMT = "Sat, 21 Nov 2026 10:00:{:02d} GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7),
        ({"retry-after": GMT.format(30), "date": GMT.format(10)}, 20),
        ({"retry-after": GMT.format(10), "date": GMT.format(30)}, 0),
        ({"retry-after": GMT.format(30)}, None),
        ({"retry-after": GMT.format(30), "date": "x"}, None),
        ({"retry-after": GMT.format(30), "date": "Sat, 21 Nov 2026 10:00:10 -0000"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:00 +99999999999999", "date": GMT.format(1)}, None),
        ({"retry-after": "99999999999999999999 Jan 99999999999 00:00:00", "date": GMT.format(1)}, None),
        ({"retry-after": "1e308"}, MAX_RETRY_AFTER),
        ({"retry-after-ms": "1e308"}, MAX_RETRY_AFTER),
        ({"retry-after": "Sat, 21 Nov 2099 10:00:00 GMT", "date": GMT.format(1)}, MAX_RETRY_AFTER),
    ],
)
def test_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_any_wait_is_a_valid_retry_after_header(headers: dict[str, str]) -> None:
    reported = RateLimitError("x", retry_after=retry_after(headers)).headers()
    assert all(value.isdecimal() for value in reported.values())
