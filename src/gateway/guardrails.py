"""Which guardrails check a request, and how they check it and its answer: patterns first, then services.

A rule is for the models that it names, or for keys that name it. Whatever cannot be checked is refused. A block of a
request is an error before any provider is asked; a blocked answer has the finish_reason `content_filter` and no text.
"""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.errors import BadRequestError, ContentBlockedError
from tollgate.gateway.guarded_stream import GuardedChunks
from tollgate.gateway.guarded_texts import blocked_answer, convert_answer, convert_request, translated
from tollgate.gateway.guardrail_checks import checks_of
from tollgate.gateway.guardrail_rows import Guardrail
from tollgate.gateway.guardrail_service import unavailable
from tollgate.gateway.operations import Operation
from tollgate.gateway.ports import Dependencies
from tollgate.gateway.responses import BufferedResponse, StreamedResponse
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Request

Req = TypeVar("Req", bound=Request)

WITH_TEXT = ("chat", "completions", "transcriptions", "translations")
"""The operations whose answers are text."""


def rules_for(
    catalog: Catalog, names: Iterable[str], routes: Iterable[Route], of_key: Sequence[str]
) -> Sequence[Guardrail]:
    """The rules for a request that names these models and may be served by these routes.

    Raises GuardrailUnavailableError if the key names a rule that the catalog does not have.
    """
    for name in of_key:
        if name not in catalog.guardrails:
            raise unavailable(name, "the catalog has none of this name, and its owner has to change the key.")
    models = {*names}
    for route in routes:
        models |= {route.model.id, *route.model.aliases, f"{route.provider.name}/{route.upstream_model}"}
    return [
        row
        for row in catalog.guardrails.values()
        if row.name in of_key or any(fnmatchcase(model, glob) for glob in row.models for model in models)
    ]


class RequestGuard:
    """The guardrails of one admitted request."""

    def __init__(
        self, rules: Sequence[Guardrail], catalog: Catalog, dependencies: Dependencies, accounting: RequestAccounting
    ) -> None:
        self._clock = dependencies.clock
        self._accounting = accounting
        self._input = checks_of(rules, "input", catalog, dependencies, accounting.context)
        self._output = checks_of(rules, "output", catalog, dependencies, accounting.context)

    async def check_request(self, operation: Operation[Req], request: Req) -> Req:
        """The request as it may be sent. Raises ContentBlockedError, GuardrailUnavailableError, BadRequestError."""
        if self._output.rules:
            _refuse_unchecked_answers(operation, request)
        if not self._input.rules:
            return translated(request)
        try:
            texts: dict[str, str] = {}
            convert_request(request, operation.text_fields, _collect(texts))
            checked = await self._input.check(list(texts))
            return convert_request(request, operation.text_fields, dict(zip(texts, checked, strict=True)).__getitem__)
        except RecursionError:
            raise BadRequestError("The request is nested too deeply.", code="invalid_value") from None

    async def check_response(
        self, operation: Operation[Any], response: BufferedResponse | StreamedResponse
    ) -> BufferedResponse | StreamedResponse:
        """The response as it may be passed on. Raises ContentBlockedError for an answer that cannot say why it ends."""
        checks = self._output
        if not checks.rules or operation.name not in WITH_TEXT:
            return response
        if isinstance(response, StreamedResponse):
            accounting, clock = self._accounting, self._clock
            response.guard(lambda first, rest: GuardedChunks(first, rest, checks, accounting, clock))
            return response
        result = response.result
        texts: dict[str, str] = {}
        convert_answer(result, _collect(texts))
        try:
            checked = await checks.check(list(texts))
        except ContentBlockedError as error:
            blocked = blocked_answer(result, error.message)
            if blocked is None:
                raise
            response.result = blocked
        else:
            response.result = convert_answer(result, dict(zip(texts, checked, strict=True)).__getitem__)
        return response


def _collect(texts: dict[str, str]) -> Callable[[str], str]:
    """A conversion that changes nothing and collects every text, once."""
    return lambda text: texts.setdefault(text, text)


def _refuse_unchecked_answers(operation: Operation[Any], request: Request) -> None:
    """Raises BadRequestError for a request whose answer cannot be checked."""
    modalities: Any = request.extra.get("modalities") or ()
    if "audio" in modalities:
        raise _unchecked("modalities", "spoken answers")
    if operation.name in ("transcriptions", "translations") and request.stream:
        raise _unchecked("stream", "streams of transcripts")


def _unchecked(param: str, what: str) -> BadRequestError:
    text = f"A guardrail of this gateway checks the answers, and it cannot check {what}."
    return BadRequestError(text, param=param, code="unsupported_value")
