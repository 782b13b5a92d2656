"""One attempt at moderations over OpenAI's API (API reference, "Create moderation") and compatible servers.

Mistral's results have categories of their own and no `flagged` (its API reference, "Moderations").
"""

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, encode, parse_object
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.moderations import Moderations, ModerationsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

CHANGES_THE_RESULT = frozenset({"input"})


class ModerationsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: ModerationsRequest, route: Route) -> None:
        body = request.wire()
        if request.parts and not route.model.capabilities.vision:
            body["input"] = _one_text(request)
        body, dropped = in_dialect(body, request, route, route.provider.quirks.moderations, CHANGES_THE_RESULT)
        url = f"{route.provider.base_url.rstrip('/')}/moderations"
        self.request = UpstreamRequest(url, encode(body), dropped=dropped)
        self._results = request.results

    def parse_response(self, body: bytes) -> Moderations:
        """See ProviderCall. Raises UpstreamError unless there is one result for each input."""
        response = parse_object(body)
        raise_if_error(response)
        results = [_with_flag(result) for result in children(response, "results") if _is_result(result)]
        if len(results) != self._results:
            raise UpstreamError("The provider did not return one result for each input.", code="unusable_response")
        return Moderations(results, read_usage(response))

    def open_stream(self) -> None:
        """Moderations are not streamed."""
        return


def _one_text(request: ModerationsRequest) -> str:
    """The parts as one text, for one result. Raises BadRequestError if one is an image."""
    if any(part["type"] != "text" for part in request.parts):
        raise unsupported("input", "The model does not support images.")
    return "\n".join(part["text"] for part in request.parts)


def _is_result(result: Json) -> bool:
    flagged, categories = result.get("flagged"), child(result, "categories")
    return bool(categories) and isinstance(flagged, bool | None) and bool(child(result, "category_scores"))


def _with_flag(result: Json) -> Json:
    flagged = result.get("flagged")
    return {**result, "flagged": True in child(result, "categories").values() if flagged is None else flagged}
