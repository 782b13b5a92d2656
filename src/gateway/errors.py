"""One tree of errors. A client format writes them in its own envelope.

GatewayError                    500  server_error
|- BadRequestError              400  invalid_request_error
|  `- ContentBlockedError       400  invalid_request_error    content_filter
|- AuthenticationError          401  authentication_error     invalid_api_key
|- InsufficientQuotaError       402  insufficient_quota       insufficient_quota
|- PermissionDeniedError        403  permission_error
|- NotFoundError                404  invalid_request_error
|  `- KeyNotFoundError          404  invalid_request_error    key_not_found
|- MethodNotAllowedError        405  invalid_request_error    method_not_allowed
|- RequestTooLargeError         413  invalid_request_error    request_too_large
|- UnsupportedMediaTypeError    415  invalid_request_error    unsupported_media_type
|- UpgradeRequiredError         426  invalid_request_error    upgrade_required
|- ConflictError                409  invalid_request_error
|- UnprocessableError           422  invalid_request_error
|- RateLimitError               429  rate_limit_error         rate_limit_exceeded
|- KeyExistsError               409  conflict_error
|- TeamInUseError               409  conflict_error
|- ClientClosedError            499  (no client reads it; it is the status of the log line and the record)
|- StoreUnavailableError        503  server_error             store_unavailable
|- GuardrailUnavailableError    503  server_error             guardrail_unavailable
`- UpstreamError                502  upstream_error           upstream_error
   |- UpstreamAuthError         502  upstream_error           upstream_auth
   |  `- OwnCredentialError     403  permission_error         own_credential_refused
   |- OverloadedError           503  server_error             overloaded
   `- UpstreamTimeoutError      504  upstream_error           timeout

Names and statuses follow OpenAI's API reference, "Error codes"; 401, 403, 429, 500 and 502 carry the types that the
documents of the gateways this one stands in for promise.
"""

import math
from collections.abc import Mapping
from typing import ClassVar


class ConfigurationError(Exception):
    """The configuration is invalid; the message says what and why. It ends a start, never a request."""


DO_NOT_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
"""The header of an error that a retry does not mend: clients of OpenAI and Anthropic retry some by themselves."""
DEFAULT_RETRY_AFTER = 5.0
"""Seconds to wait after a 429 whose provider does not say how long: Codex does not retry without a time."""


class GatewayError(Exception):
    """An error that a client may read: message, `param` (the field at fault) and `code`, with one HTTP status.

    `retry_after` is in seconds: clients are asked to wait that long.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.retry_after = retry_after

    def headers(self) -> Mapping[str, str]:
        """Headers of this error: the time to wait, if there is one."""
        return {} if self.retry_after is None else retry_headers(self.retry_after)


def retry_headers(seconds: float) -> Mapping[str, str]:
    """`retry-after` in whole seconds, and OpenAI's `retry-after-ms`."""
    return {"retry-after": str(max(1, math.ceil(seconds))), "retry-after-ms": str(round(seconds * 1000))}


class BadRequestError(GatewayError):
    """The request is malformed, or the provider cannot do what it requests."""

    status = 400
    type = "invalid_request_error"


class ContentBlockedError(BadRequestError):
    """A guardrail of the owner blocked the request, or its answer; the message names the guardrail."""

    default_code = "content_filter"


class AuthenticationError(GatewayError):
    """The API key is missing, malformed, unknown, revoked or expired; the response does not say which."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"

    def __init__(self, message: str = "Invalid API key provided.") -> None:
        super().__init__(message)

    def headers(self) -> Mapping[str, str]:
        """See `DO_NOT_RETRY`."""
        return DO_NOT_RETRY


class InsufficientQuotaError(GatewayError):
    """The key's budget does not cover the request; a retry does not help."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    def headers(self) -> Mapping[str, str]:
        """See `DO_NOT_RETRY`."""
        return DO_NOT_RETRY


class PermissionDeniedError(GatewayError):
    """The key is valid but may not do this."""

    status = 403
    type = "permission_error"

    def headers(self) -> Mapping[str, str]:
        """See `DO_NOT_RETRY`."""
        return DO_NOT_RETRY


class NotFoundError(GatewayError):
    """No such model or path."""

    status = 404
    type = "invalid_request_error"


class MethodNotAllowedError(GatewayError):
    """The path exists, but not for this HTTP method."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


class RequestTooLargeError(GatewayError):
    """The body is over the limit."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedMediaTypeError(GatewayError):
    """The body is not of the content type that the endpoint reads."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"


class ConflictError(GatewayError):
    """The request conflicts with another one that is in flight; a retry helps."""

    status = 409
    type = "invalid_request_error"


class UnprocessableError(GatewayError):
    """The request is well-formed, but contradicts an earlier one."""

    status = 422
    type = "invalid_request_error"


class UpgradeRequiredError(GatewayError):
    """The path is for another protocol, which the gateway does not speak."""

    status = 426
    type = "invalid_request_error"
    default_code = "upgrade_required"


class RateLimitError(GatewayError):
    """A limit was reached: the key's own, or the provider's."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"

    def headers(self) -> Mapping[str, str]:
        """The time to wait, also where the provider does not say it."""
        return retry_headers(DEFAULT_RETRY_AFTER if self.retry_after is None else self.retry_after)


class ClientClosedError(GatewayError):
    """The client disconnected, or the function's time ran out, before the response was complete."""

    status = 499
    default_code = "client_closed_request"


class StoreUnavailableError(GatewayError):
    """The table or file with keys and usage does not respond; nothing was admitted."""

    status = 503
    default_code = "store_unavailable"


class GuardrailUnavailableError(GatewayError):
    """A guardrail cannot check the request or its answer, which therefore goes no further."""

    status = 503
    default_code = "guardrail_unavailable"


class KeyExistsError(GatewayError):
    """A key with this id exists already."""

    status = 409
    type = "conflict_error"


class TeamInUseError(GatewayError):
    """A team that has keys cannot be deleted."""

    status = 409
    type = "conflict_error"


class KeyNotFoundError(NotFoundError):
    """No key or team has this id."""

    default_code = "key_not_found"


class UpstreamError(GatewayError):
    """The provider failed: unreachable, an invalid response, an interrupted stream, or an error of its own.

    A response that reports its usage but cannot be used has the code `unusable_response`: the provider bills it.
    """

    status = 502
    type = "upstream_error"
    default_code = "upstream_error"


class UpstreamAuthError(UpstreamError):
    """The provider refused the gateway's credential, or there is none: the owner has to act, not the client."""

    default_code = "upstream_auth"


class OwnCredentialError(UpstreamAuthError):
    """The provider refused the credential that is the key's own, or there is none: its holder has to act."""

    status = 403
    type = "permission_error"
    default_code = "own_credential_refused"


class OverloadedError(UpstreamError):
    """The provider is overloaded, or temporarily unavailable."""

    status = 503
    type = "server_error"
    default_code = "overloaded"


class UpstreamTimeoutError(UpstreamError):
    """The provider did not respond in time."""

    status = 504
    default_code = "timeout"
