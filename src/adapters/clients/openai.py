"""What every format of OpenAI's API has: the bearer key, the error body, and JSON written for the wire."""

from collections.abc import Mapping

from tollgate.gateway import keys
from tollgate.gateway.errors import AuthenticationError, GatewayError
from tollgate.gateway.types import Json


def bearer_key(headers: Mapping[str, str]) -> str:
    """The API key in `Authorization: Bearer ...`. Raises AuthenticationError if there is none in the form of a key."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationError
    keys.read(key.strip())
    return key.strip()


def error_body(error: GatewayError) -> Json:
    """OpenAI's error body (API reference, "Error codes")."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
