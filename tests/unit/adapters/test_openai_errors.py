"""Errors of OpenAI and compatible servers."""

import json
from typing import Any

import pytest

from tollgate.adapters import openai
from tollgate.adapters.clients.openai import error_body
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
from unit.adapters.openai_responses import DONE, choice, chunk, event, fold, parsed, request, route, stream


def refused(body: Any, status: int = 400, **headers: str) -> GatewayError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return openai.ChatCall.parse_error(status, headers, raw)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Bad.", "type": "invalid_request_error", "param": "seed", "code": "c"}},
        {"object": "error", "message": "Bad.", "type": "x", "param": "seed", "code": "c"},
        {"message": "Bad.", "param": "seed", "code": "c"},
        [{"error": {"message": "Bad.", "param": "seed", "code": "c"}}],
    ],
)
def test_error_is_read_from_every_form(body: Any) -> None:
    error = refused(body)
    assert (error.status, error.message, error.param, error.code) == (400, "Bad.", "seed", "c")


@pytest.mark.parametrize(
    ("body", "message_text"),
    [
        ({"error": "Bad."}, "Bad."),
        ({"detail": "Bad."}, "Bad."),
        ({"detail": [{"msg": "One."}, {"msg": "Two."}, 3, {"no": 1}]}, "One.; Two."),
        ({"object": "error", "message": {"detail": [{"msg": "One."}, {"msg": "Two."}]}}, "One.; Two."),
        (b"<html>", "The provider returned HTTP status 400."),
        (b"", "The provider returned HTTP status 400."),
        ({"error": {"message": {"a": 1}}}, "The provider returned HTTP status 400."),
    ],
)
def test_error_keeps_the_providers_message_if_any(body: Any, message_text: str) -> None:
    error = refused(body)
    assert error.message == message_text
    assert (error.param, error.code) == (None, None)


def test_numeric_code_is_not_a_code() -> None:
    assert error_body(refused({"error": {"message": "x", "code": 400, "param": 3}}))["error"]["code"] is None


@pytest.mark.parametrize("field", ["type", "code"])
def test_code_or_type_names_an_empty_account(field: str) -> None:
    error = {"error": {"message": "You exceeded your quota", field: "insufficient_quota"}}
    assert isinstance(refused(error, 429), UpstreamAuthError)


@pytest.mark.parametrize("field", ["type", "code"])
@pytest.mark.parametrize("word", ["context_length_exceeded", "content_filter"])
def test_code_or_type_names_the_cause(word: str, field: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parsed(error={"message": "No.", field: word})
    assert caught.value.code == word


def test_number_in_text_is_not_a_code() -> None:
    assert refused({"error": {"message": "x", "code": "400"}}).code is None


def test_googles_bad_credential_is_not_the_clients_fault() -> None:
    error = {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}
    assert isinstance(refused([{"error": error}]), UpstreamAuthError)


def test_wait_is_read_from_the_headers() -> None:
    assert refused({"error": {"message": "x"}}, 429, **{"retry-after": "7"}).retry_after == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "x", "code": 429}, RateLimitError),
        ({"message": "x", "type": "rate_limit_exceeded"}, RateLimitError),
        ({"message": "x", "code": "insufficient_quota"}, UpstreamAuthError),
        ({"message": "x", "code": 200}, UpstreamError),
        ({"message": "x", "type": "invalid_request_error", "code": None}, BadRequestError),
        ({"message": "x", "type": "invalid_request_error", "code": "invalid_api_key"}, UpstreamAuthError),
        ({"message": "x", "type": "invalid_request_error", "code": "model_not_found"}, NotFoundError),
        ({"message": "x", "type": "tokens", "code": "rate_limit_exceeded"}, RateLimitError),
        ({"message": "x", "type": "server_error", "code": "server_is_overloaded"}, OverloadedError),
        ({"message": "x", "type": "rate_limit_error", "code": "slow_down"}, OverloadedError),
        ({"message": "x", "type": "timeout"}, UpstreamTimeoutError),
        ({"message": "x", "code": "503"}, OverloadedError),
        ({"message": "x", "type": "rate_limited", "code": "1300"}, RateLimitError),
        ({"message": "x", "type": ["tokens"], "code": {}}, UpstreamError),
        ({"message": "x", "code": 401}, UpstreamAuthError),
        ({"message": "x"}, UpstreamError),
        ({"code": 10**30}, UpstreamError),
        ("x", UpstreamError),
    ],
)
def test_error_in_a_stream_has_its_own_status(error: Any, kind: type[GatewayError]) -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    with pytest.raises(GatewayError) as caught:
        list(parser.feed(event({"error": error})))
    assert type(caught.value) is kind
    with pytest.raises(kind):
        parsed(error=error)


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": [], "x_groq": {"error": "It broke."}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "It broke."}}]},
        {"error_msg": "It broke."},
        {"errors": [{"message": "It broke."}]},
        {"base_resp": {"status_code": 1000, "status_msg": "It broke."}},
    ],
)
def test_error_beside_choices_ends_the_stream(fields: Json) -> None:
    with pytest.raises(UpstreamError, match="It broke"):
        stream(chunk({"content": "a"}), event(fields))
    with pytest.raises(UpstreamError, match="It broke"):
        openai.ChatCall(request(), route()).parse_response(json.dumps(fields).encode())


def test_success_in_the_form_of_an_error_is_not_an_error() -> None:
    fine: Json = {"base_resp": {"status_code": 0, "status_msg": "success"}}
    assert (
        fold(stream(chunk({"content": "a"}, "stop"), event({"choices": None, **fine}), DONE))[0]["finish_reason"]
        == "stop"
    )
    assert parsed(choice(), **fine).choices


def test_flat_error_in_a_stream_keeps_earlier_chunks() -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    chunks = parser.feed(chunk({"content": "a"}) + event({"object": "error", "message": "broke", "code": 500}))
    assert next(chunks).choices[0]["delta"]["content"] == "a"
    with pytest.raises(UpstreamError, match="broke"):
        next(chunks)
