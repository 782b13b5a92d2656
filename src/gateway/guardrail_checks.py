"""How the guardrails of one stage check texts: patterns first, then services, which get what patterns have masked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.bounded_search import BoundedSearch, SearchTimeoutError
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.errors import ContentBlockedError
from tollgate.gateway.guardrail_rows import Guardrail, PatternGuardrail, Stage
from tollgate.gateway.guardrail_service import GuardrailService, unavailable
from tollgate.gateway.guardrail_targets import target_of
from tollgate.gateway.metering import GuardrailAction
from tollgate.gateway.ports import Dependencies

SEARCH_SECONDS = 0.5
"""CPU time of all patterns for the texts of a request, or of a whole answer."""
Masked = tuple[int, int, str]
"""The span of a match, and the name of its rule."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The rules of one stage of one request."""

    stage: Stage
    patterns: Sequence[PatternGuardrail]
    services: Sequence[GuardrailService]
    record: Callable[[GuardrailAction], None]
    pause: Callable[[], Awaitable[None]]

    @property
    def rules(self) -> int:
        """How many there are."""
        return len(self.patterns) + len(self.services)

    async def check(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts as they may be passed on. Raises ContentBlockedError, GuardrailUnavailableError."""
        search = self.search()
        masked = [mask(text, (await self.find(text, search))[0]) for text in texts]
        return await self.ask(masked)

    def search(self, seconds: float = SEARCH_SECONDS) -> BoundedSearch:
        """A search for one check."""
        return BoundedSearch(seconds, self.pause)

    async def find(
        self, text: str, search: BoundedSearch, start: int = 0, *, is_whole: bool = True
    ) -> tuple[Sequence[Masked], int]:
        """What patterns mask in a text, and up to where that is certain (see BoundedSearch.find).

        What ends before `start` was looked at before, with more of the text before it.
        """
        found: list[Masked] = []
        complete_until = len(text)
        for row in self.patterns:
            try:
                matches = await search.find(row.compiled, text, is_whole=is_whole)
            except SearchTimeoutError:
                raise unavailable(row.name, "its pattern takes too long.") from None
            new = [(first, last, row.name) for first, last in matches.spans if last > start]
            if new:
                self._found(row)
            found += new
            complete_until = min(complete_until, matches.complete_until)
        return sorted(found), complete_until

    async def ask(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts as the services let them pass."""
        for service in self.services:
            passed = await service.check(texts)
            if passed is None:
                raise self._blocked(service.row)
            if list(passed) != list(texts):
                self.record(GuardrailAction(service.row.name, "mask", self.stage))
            texts = passed
        return texts

    def _found(self, row: PatternGuardrail) -> None:
        if row.action == "block":
            raise self._blocked(row)
        self.record(GuardrailAction(row.name, "mask", self.stage))

    def _blocked(self, row: Guardrail) -> ContentBlockedError:
        self.record(GuardrailAction(row.name, "block", self.stage))
        what = "request" if self.stage == "input" else "answer"
        return ContentBlockedError(f"The guardrail {row.name!r} of this gateway blocked the {what}.")


def mask(text: str, found: Sequence[Masked], start: int = 0, end: int | None = None) -> str:
    """The text from `start` to `end`, with the name of the rule in place of each match."""
    pieces: list[str] = []
    at, end = start, len(text) if end is None else end
    for first, last, name in found:
        if last <= at or first >= end:
            continue
        pieces += [text[at : max(at, first)], f"[{name}]"]
        at = last
    return "".join((*pieces, text[at:end]))


def checks_of(
    rules: Sequence[Guardrail], stage: Stage, catalog: Catalog, dependencies: Dependencies, context: RequestContext
) -> Checks:
    """The checks of those of a request's rules that are for this stage."""
    relevant = [row for row in rules if stage in row.stages]
    services = [
        GuardrailService(row, route, stage, dependencies, context.deadline)
        for row in relevant
        if not isinstance(row, PatternGuardrail) and (route := target_of(catalog, row)) is not None
    ]
    patterns = [row for row in relevant if isinstance(row, PatternGuardrail)]

    def record(action: GuardrailAction) -> None:
        if action not in context.guardrails:
            context.guardrails.append(action)

    return Checks(stage, patterns, services, record, lambda: dependencies.clock.sleep(0))
