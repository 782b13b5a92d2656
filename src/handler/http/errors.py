"""Errors as responses, in the format of the endpoint's clients."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients.anthropic import error_body as anthropic_error_body
from tollgate.adapters.clients.openai import error_body as openai_error_body
from tollgate.gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from tollgate.handler.http.responses import error_response


def response_to(error: GatewayError | HTTPException, request: Request) -> Response:
    """The response to an error of a request. The router raises HTTPException."""
    if isinstance(error, GatewayError):
        return _response_to(error, request)
    place = f"({request.method} {request.url.path[:200]})"
    if error.status_code != 405:
        paths = ", ".join(request.app.paths)
        text = f"Invalid URL {place}. A client's base URL ends in /v1; the endpoints are {paths}."
        return _response_to(NotFoundError(text, code="unknown_url"), request)
    response = _response_to(MethodNotAllowedError(f"Method not allowed {place}."), request)
    allowed = request.app.methods.get(request.url.path) or (error.headers or {}).get("Allow", "")
    response.headers["allow"] = allowed
    return response


def _response_to(error: GatewayError, request: Request) -> Response:
    request.state.error_code = error.code or error.type
    default = anthropic_error_body if "anthropic-version" in request.headers else openai_error_body
    error_body = getattr(request.state, "error_body", default)
    return error_response(error, error_body(error))
