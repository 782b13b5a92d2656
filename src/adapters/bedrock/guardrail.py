"""One call of a guardrail of Amazon Bedrock (AWS, Amazon Bedrock API Reference, "ApplyGuardrail")."""

from typing import Any, cast
from urllib.parse import quote

from tollgate.adapters.bedrock.errors import parse_error
from tollgate.adapters.json_access import children, encode, parse_object, text
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.guardrail_service import Assessment, GuardrailRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest


class GuardrailCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(parse_error)

    def __init__(self, request: GuardrailRequest, route: Route) -> None:
        path = f"guardrail/{quote(request.guardrail, safe='')}/version/{request.version}/apply"
        content = [{"text": {"text": each}} for each in request.texts]
        body = encode({"source": request.stage.upper(), "content": content})
        self.request = UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/{path}", body)

    def parse_response(self, body: bytes) -> Assessment:
        """See ProviderCall. Only texts of which nothing is blocked and something is anonymized are masked."""
        response = parse_object(body)
        action = text(response, "action")
        if action == "NONE":
            return Assessment("pass")
        if action != "GUARDRAIL_INTERVENED":
            raise UpstreamError("The response has no action.", code="unusable_response")
        if _actions(children(response, "assessments")) != {"ANONYMIZED"}:
            return Assessment("block")
        return Assessment("mask", [text(output, "text") or "" for output in children(response, "outputs")])

    def open_stream(self) -> None:
        """Its responses are whole."""
        return


def _actions(assessments: list[Json]) -> set[str]:
    """What was done about each finding of the policies, but nothing."""
    found: set[str] = set()
    waiting: list[Any] = [*assessments]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[Any]", value)
        elif isinstance(value, dict):
            fields = cast(Json, value)
            waiting += fields.values()
            if isinstance(action := fields.get("action"), str):
                found.add(action)
    return found - {"NONE"}
