"""The endpoints and errors that the API documents promise, row by row. A test is named after its document."""

import pytest

from devtools.openapi.endpoints import ENDPOINTS
from tollgate.gateway import errors

CHAT = ("POST", "/v1/chat/completions")


@pytest.mark.parametrize("endpoint", [CHAT])
def test_aihubspot_chat_completions(endpoint: tuple[str, str]) -> None:
    assert endpoint in ENDPOINTS


@pytest.mark.parametrize("endpoint", [CHAT, ("GET", "/v1/models"), ("GET", "/health")])
def test_freeinference_api_reference(endpoint: tuple[str, str]) -> None:
    assert endpoint in ENDPOINTS


@pytest.mark.parametrize("endpoint", [CHAT])
def test_huddle01_guide_and_api_examples(endpoint: tuple[str, str]) -> None:
    assert endpoint in ENDPOINTS


@pytest.mark.parametrize(
    "endpoint",
    [
        CHAT,
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/models"),
        ("POST", "/v1/audio/transcriptions"),
        ("POST", "/v1/moderations"),
    ],
)
def test_huosuai_api(endpoint: tuple[str, str]) -> None:
    assert endpoint in ENDPOINTS


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", errors.BadRequestError),
        (401, "authentication_error", errors.AuthenticationError),
        (403, "permission_error", errors.PermissionDeniedError),
        (429, "rate_limit_error", errors.RateLimitError),
        (500, "server_error", errors.GatewayError),
        (502, "upstream_error", errors.UpstreamError),
    ],
)
def test_error_codes_of_huosuai_api(status: int, kind: str, error: type[errors.GatewayError]) -> None:
    assert (error.status, error.type) == (status, kind)
