"""What a provider's failure means for the client, and what of its words the client may read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.failures import MAX_MESSAGE, MAX_WAIT, failure, named_status, redact, retry_after
from gateway.errors import (
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
    404: NotFoundError,
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
    error = failure(status, "Words.")
    assert type(error) is kind
    assert error.status != 401


@pytest.mark.parametrize("status", [401, 402, 403])
def test_trouble_with_our_credential_is_told_without_the_providers_words(status: int) -> None:
    assert "Words" not in failure(status, "Words.").message


@pytest.mark.parametrize(
    "words",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ],
)
def test_empty_account_that_comes_as_a_bad_request_is_the_owners_trouble(words: str) -> None:
    assert isinstance(failure(400, words), UpstreamAuthError)


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "billing_not_active"])
@pytest.mark.parametrize("status", [400, 429, 502])
def test_empty_account_is_the_owners_trouble(status: int, code: str) -> None:
    assert isinstance(failure(status, "x", code=code), UpstreamAuthError)


@pytest.mark.parametrize(
    "words",
    [
        "API key not valid. Please pass a valid API key.",
        "API key expired. Please renew the API key.",
        "API Key not found. Please pass a valid API key.",
        "reason: API_KEY_INVALID",
    ],
)
def test_bad_credential_under_400_is_the_owners_trouble(words: str) -> None:
    assert isinstance(failure(400, words), UpstreamAuthError)


@pytest.mark.parametrize(
    "words",
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
def test_prompt_that_is_too_long_has_one_code_whatever_the_wording(words: str) -> None:
    error = failure(400, words)
    assert (error.status, error.param, error.code) == (400, "messages", "context_length_exceeded")


def test_long_text_that_is_no_prompt_is_not_taken_for_one() -> None:
    assert failure(400, "Invalid 'user': the string exceeds the maximum length.").code is None


IN_BAND: list[tuple[object, object, int]] = [
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
    *((code, "server_error", 502) for code in (None, "", 0, 200, "3051", "x", "\u0665\u0660\u0663", ("x",), True)),
    (None, None, 502),
]


@pytest.mark.parametrize(("code", "kind", "status"), IN_BAND)
def test_error_in_band_has_the_status_of_its_words(code: object, kind: object, status: int) -> None:
    assert named_status(code, kind) == status


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_filtered_prompt_has_one_code(code: str) -> None:
    assert failure(400, "x", code=code).code == "content_filter"


def test_other_bad_requests_keep_field_and_code() -> None:
    error = failure(422, "Bad seed.", param="seed", code="unsupported_value")
    assert (error.message, error.param, error.code) == ("Bad seed.", "seed", "unsupported_value")


@pytest.mark.parametrize("status", [429, 503, 529])
def test_wait_is_passed_on(status: int) -> None:
    assert failure(status, "x", retry_after=3).retry_after == 3


def test_silent_provider_is_spoken_for() -> None:
    assert failure(500, "").message == "The provider answered with HTTP status 500."
    assert failure(500, " \n").message


SECRETS = [
    "sk-proj-abcdefghijkl",
    "sk-ant-api03-AbC_d-9",
    "sk-ab**********yz",
    "gsk_abcdefghijkl",
    "xai-abcdefghijkl",
    "pk_live_abcdef",
    "rk_live_abcdef",
    "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
    "org-abcdef123456",
    "proj_Abc123Def456",
    "key-0a1b2c3d4e",
    "https://user:pass@internal.example/v1?key=1",
    "http://10.0.0.1:8080/",
    "arn:aws:bedrock:us-east-1:123456789012:model/x",
    "arn:aws-cn:iam::123456789012:role/y",
    "123456789012",
    "Bearer abc.def-0",
    "bearer   abc123",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "myres.openai.azure.com/openai/deployments/x",
    "vllm.internal:8000",
    "10.0.0.5:8080",
    "8.8.8.8:443/v1",
    "192.168.1.20",
    "localhost:11434/api/chat",
    "fw_3ZabcDEFghiJKLmnoPQRstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnLW5hdHVyZQ",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
    "org-abcdefghijkl",
    "proj_AbcDefGhiJkl",
    "projects/1234567890",
    "projects/my-own-project/locations/europe-west1",
    "s3://bucket/some/key.json",
    "gs://bucket/o",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("words", ["{}", "No ({}) here", 'No "{}", none.', "a\n{}\nb"])
def test_secret_is_left_out(secret: str, words: str) -> None:
    redacted = redact(words.format(secret))
    assert "[redacted]" in redacted
    for part in secret.replace("Bearer", "").replace("bearer", "").split():
        assert part.rstrip(",.)") not in redacted


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "Invalid 'messages[3].content': expected key-value pairs",
        "expected key-values in the object",
        "unknown field key_features; did you mean organisation-wide or org-level?",
        "task-oriented desk-lamp risk-averse ask-me-anything",
        "Bearer authentication is not supported for this model.",
        "You sent 12345678901 tokens, 1234567890123 at most.",
        "the proj_name field and the project_name field",
        "temperature must be <= 2, got 3 (see the docs)",
        "Rate limit reached for gpt-4o in 2 min: 30000, used 29500, requested 1200.",
        "Ünïcödé \u2028 stays",
        "Use openai/gpt-4.1 or meta-llama/Llama-3.1-8B-Instruct and/or claude-3.5, e.g. at 12:30.",
        "version 1.2.3 of vllm, line:12 column:10, max_tokens:4096, 10.5 seconds, 10.0.0 tokens, ratio 16:9",
        "see platform.openai.com for input.messages.content/0; the fw_option and fw_version fields of projects/tasks",
        "eyJust a word, asia_pacific_southeast and AKIA, org-level and proj_name",
    ],
)
def test_ordinary_words_stay(words: str) -> None:
    assert redact(words) == words


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_not_halved_by_the_cut(secret: str) -> None:
    for room in range(1, len(secret)):
        redacted = redact("x" * (MAX_MESSAGE - room - 1) + " " + secret)
        assert secret[:4] not in redacted or secret.lower().startswith(("bear", "http")), redacted[-50:]


@given(st.text(max_size=50), st.integers(0, 5000))
def test_message_is_never_longer_than_its_limit(words: str, padding: int) -> None:
    assert len(redact(words + "y " * padding)) <= MAX_MESSAGE


def test_hostile_message_takes_no_time() -> None:
    for words in (
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
        failure(400, words)


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
        ({"retry-after": "1e308"}, MAX_WAIT),
        ({"retry-after-ms": "1e308"}, MAX_WAIT),
        ({"retry-after": "Sat, 21 Nov 2099 10:00:00 GMT", "date": GMT.format(1)}, MAX_WAIT),
    ],
)
def test_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_any_wait_ends_in_headers(headers: dict[str, str]) -> None:
    told = RateLimitError("x", retry_after=retry_after(headers)).headers()
    assert all(value.isdecimal() for value in told.values())
