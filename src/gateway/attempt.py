"""One attempt of a request on one route: when it was sent, what came back, and what the provider will bill for it."""

from collections.abc import Callable

from tollgate.gateway.errors import GatewayError, UpstreamTimeoutError
from tollgate.gateway.metering import estimate_tokens, service_tier
from tollgate.gateway.ports import UpstreamResponse
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import LEAST_TOKENS, Speed
from tollgate.gateway.types import UNITS, Result, Usage, add_usages

INTERRUPTED = frozenset({
    "stream_truncated", "upstream_disconnected", "timeout", "insufficient_quota", "unusable_response",
})  # fmt: skip
"""Errors of a response that was interrupted or cannot be used. The provider bills what it had done until then."""
NEGLIGIBLE = 1000
"""A count of zero output tokens is believed if the output is a smaller part than this of the counted input."""


class Attempt:
    """Every `at` is in monotonic seconds. `expected` is what is billed of a response that was not counted."""

    def __init__(self, route: Route, expected: Usage) -> None:
        self.route = route
        self.expected = expected
        self.error: GatewayError | None = None
        """Why it failed, if it did."""
        self.dropped: tuple[str, ...] = ()
        """Parameters that were changed or not sent."""
        self.response: UpstreamResponse | None = None
        self.usage: Usage | None = None
        self.served_tier: str | None = None
        self.finish_reason: str | None = None
        self.sent_at: float | None = None
        self.first_content_at: float | None = None
        self.ended_at: float | None = None
        self.is_complete = False
        self.on_end: Callable[[Attempt], None] | None = None
        """Called once when the response is complete, or the attempt has failed."""
        self.parts: list[Attempt] = []
        """The requests of which the attempt consists, if it is more than one."""
        self.is_rejected = False
        """Whether the provider responded with an error status."""
        self._delivered_bytes = 0
        self._parts_with_text = 0

    def sending(self, at: float) -> None:
        """The request is sent now."""
        self.sent_at = at

    def rejected(self) -> None:
        """The provider responded with an error status: it did nothing, and bills nothing."""
        self.is_rejected = True

    def read(self, part: Result, at: float) -> None:
        """A whole response, or a chunk of one, was read."""
        if part.usage is not None:
            self.usage = part.usage if self.usage is None else self.usage.larger(part.usage)
        if part.extra:
            self.served_tier = service_tier(part.extra) or self.served_tier
        self.finish_reason = part.finish_reason or self.finish_reason
        length = part.text_bytes
        self._delivered_bytes += length
        self._parts_with_text += length > 0
        if self.first_content_at is None and part.has_content:
            self.first_content_at = at

    def completed(self, at: float) -> None:
        """The response is complete."""
        self.is_complete = True
        self.ended_at = at
        self._report()

    def ended(self, at: float, error: GatewayError | None = None) -> None:
        """The attempt ended, complete or not."""
        self.ended_at = at
        self.error = error
        if error is not None:
            self._report()

    def _report(self) -> None:
        report, self.on_end = self.on_end, None
        if report is not None:
            report(self)

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same can be requested again: not a batch whose other parts are billed, and not what was left
        unanswered until its time ran out."""
        return not self.parts and not self.ran_out

    @property
    def ran_out(self) -> bool:
        """Whether it was left unanswered until its time ran out."""
        return isinstance(self.error, UpstreamTimeoutError) and self.error.code == "timeout" and not self.is_rejected

    def speed(self, *, streamed: bool) -> Speed:
        """How fast the complete response came."""
        if self.sent_at is None or self.ended_at is None:
            return Speed()
        tokens, seconds = 0 if self.usage is None else self.usage.output_tokens, self.ended_at - self.sent_at
        latency = self.first_content_at - self.sent_at if streamed and self.first_content_at is not None else None
        return Speed(latency, tokens / seconds if tokens >= LEAST_TOKENS and seconds > 0 else None)

    def output_tokens_with(self, part: Result) -> int:
        """About how many tokens the output has with this chunk, at least one per chunk; 0 if the chunk has no text."""
        length = part.text_bytes
        return max(estimate_tokens(self._delivered_bytes + length), self._parts_with_text + 1) if length else 0

    def begin_part(self, expected: Usage) -> "Attempt":
        """Start another request of this attempt, which is expected to use so much."""
        part = Attempt(self.route, expected)
        self.parts.append(part)
        return part

    @property
    def reported_usage(self) -> Usage | None:
        """The usage if the provider counted it: zero for a prompt, or for text that was delivered, is not a count."""
        usage = self.usage
        if usage is None or not (usage.input_tokens or usage.has_units):
            return None
        most_left_out = usage.input_tokens // NEGLIGIBLE if self.is_complete else 0
        return usage if usage.output_tokens or estimate_tokens(self._delivered_bytes) <= most_left_out else None

    def bill(self) -> tuple[Usage | None, bool]:
        """What the provider bills, and whether that is estimated. None if it did not accept the request.

        If the provider did not count, the input is what is expected; the output is what was delivered, and of an
        incomplete response at least what is expected.
        """
        expected, error = self.expected, self.error
        if self.reported_usage is not None:
            return self.reported_usage, False
        if self.parts:
            bills = [part.bill() for part in self.parts]
            billed = [usage for usage, _ in bills if usage is not None]
            return (add_usages(billed) if billed else None), any(estimated for _, estimated in bills)
        has_begun = self.first_content_at is not None
        was_interrupted = error is None or error.code in INTERRUPTED
        if self.usage is None and (self.sent_at is None or self.is_rejected or not (has_begun or was_interrupted)):
            return None, False
        known, output = self.usage or expected._replace(output_tokens=0), estimate_tokens(self._delivered_bytes)
        if not self.is_complete:
            output = max(output, expected.output_tokens)
        return known._replace(
            input_tokens=known.input_tokens or expected.input_tokens,
            output_tokens=known.output_tokens or output,
            **{unit: getattr(known, unit) or getattr(expected, unit) for unit in UNITS},
        ), True

    async def close(self) -> None:
        """Release the connection to the provider. Closing again does nothing."""
        for part in self.parts:
            await part.close()
        response, self.response = self.response, None
        if response is not None:
            await response.aclose()
