"""OpenAI's Moderations (API reference, "Create moderation")."""

from collections.abc import Callable, Mapping

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.json_text import dump
from tollgate.gateway.moderations import MODERATIONS, Moderations, ModerationsRequest
from tollgate.gateway.types import Usage


class OpenAIModerations:
    """See `gateway.client_format.ClientFormat`."""

    operation = MODERATIONS
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[ModerationsRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError."""
        return parse_json(headers, body, ModerationsRequest), ModerationsEncoder


class ModerationsEncoder:
    """A moderation object, with the provider's results."""

    media_type = "application/json"

    def __init__(self, info: ResponseInfo) -> None:
        self._info = info

    def result(self, result: Moderations, usage: Usage | None) -> bytes:
        """The object; OpenAI's has no usage."""
        body = {"id": f"modr-{self._info.request_id.removeprefix('req_')}", "model": self._info.model}
        return dump({**body, "results": result.results, "provider": self._info.provider})
