"""Asks the services that check texts: guardrails of Amazon Bedrock, and models for moderations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tollgate.gateway.errors import GatewayError, GuardrailUnavailableError
from tollgate.gateway.guardrail_rows import BedrockGuardrail, ServiceGuardrail, Stage
from tollgate.gateway.guardrail_targets import APPLY_GUARDRAIL, MODERATIONS
from tollgate.gateway.moderations import Moderations, ModerationsRequest
from tollgate.gateway.ports import Dependencies, ProviderCall, TimeLimits
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage

MAX_CHARACTERS = 25_000
"""Characters of one call: the text units that Bedrock takes of an account in a second, where it takes the fewest (AWS,
"Amazon Bedrock endpoints and quotas", ApplyGuardrail). A longer text is sent in pieces."""
MAX_SECONDS = 30.0
"""Seconds of one call."""


@dataclass(frozen=True, slots=True)
class GuardrailRequest:
    """Texts for a guardrail of a provider, and whether a model answers them or has written them."""

    guardrail: str
    version: str
    stage: Stage
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a guardrail says of all texts, and the texts as it masked them if that is what it did.

    Its other fields are those of `gateway.types.Result`.
    """

    verdict: Literal["pass", "mask", "block"]
    masked: Sequence[str] = field(default_factory=list[str])
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    has_content: bool = True
    finish_reason: None = None
    text_bytes: int = 0


@dataclass(frozen=True, slots=True)
class GuardrailService:
    """One guardrail that asks a service, for one request."""

    row: ServiceGuardrail
    route: Route
    stage: Stage
    dependencies: Dependencies
    deadline: float | None

    @property
    def masks(self) -> bool:
        """Whether it may change a text."""
        return self.row.action == "mask"

    async def check(self, texts: Sequence[str]) -> Sequence[str] | None:
        """The texts as it lets them pass; None if it blocks them. Raises GuardrailUnavailableError."""
        pieces = [list(_pieces(text)) for text in texts]
        checked = {piece: piece for of_text in pieces for piece in of_text if piece.strip()}
        try:
            for batch in _batches(list(checked)):
                passed = await self._check(batch)
                if passed is None:
                    return None
                checked.update(zip(batch, passed, strict=True))
        except GatewayError as error:
            raise unavailable(self.row.name, error.message) from error
        return ["".join(checked.get(piece, piece) for piece in of_text) for of_text in pieces]

    async def _check(self, texts: Sequence[str]) -> Sequence[str] | None:
        calls = self.dependencies.families[self.route.provider.family].calls
        if not isinstance(self.row, BedrockGuardrail):
            request = ModerationsRequest(model=self.route.upstream_model, input=[*texts], sent=frozenset({"input"}))
            moderations: Moderations = await self._send(calls[MODERATIONS](request, self.route))
            return None if any(result["flagged"] for result in moderations.results) else texts
        asked = GuardrailRequest(self.row.guardrail, self.row.version, self.stage, texts)
        assessment: Assessment = await self._send(calls[APPLY_GUARDRAIL](asked, self.route))
        if assessment.verdict == "pass":
            return texts
        if assessment.verdict == "block" or not self.masks:
            return None
        if len(texts) == 1:
            return ["".join(assessment.masked)]
        one_by_one = [await self._check([text]) for text in texts]  # outputs do not say which text they are
        return None if None in one_by_one else [text for (text,) in filter(None, one_by_one)]

    async def _send(self, call: ProviderCall) -> Any:
        now = self.dependencies.clock.monotonic()
        end = now + MAX_SECONDS if self.deadline is None else min(now + MAX_SECONDS, self.deadline)
        response = await self.dependencies.upstream.send(call.request, self.route.provider, TimeLimits(end))
        try:
            body = await response.read()
        finally:
            await response.aclose()
        if not 200 <= response.status < 300:
            raise call.parse_error(response.status, response.headers, body)
        return call.parse_response(body)


def unavailable(name: str, reason: str) -> GuardrailUnavailableError:
    """The error for a guardrail that cannot check."""
    return GuardrailUnavailableError(f"The guardrail {name!r} of this gateway cannot check the texts: {reason}")


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), MAX_CHARACTERS):
        yield text[start : start + MAX_CHARACTERS]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, as many at once as MAX_CHARACTERS allow."""
    batch: list[str] = []
    for text in texts:
        if batch and sum(map(len, batch)) + len(text) > MAX_CHARACTERS:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
