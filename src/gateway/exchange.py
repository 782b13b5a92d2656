"""Sends the request of an attempt to its provider, or the several requests of which an attempt consists."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tollgate.gateway.attempt import Attempt
from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.ports import Clock, ProviderCall, TimeLimits, Upstream
from tollgate.gateway.response_reader import ResponseReader
from tollgate.gateway.types import Result, Usage

MAX_PARTS_AT_ONCE = 8
"""Requests of one attempt that are open at once, each on a connection of its own."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Requests to one provider."""

    upstream: Upstream
    provider: Provider
    limits: TimeLimits
    clock: Clock

    async def send(self, call: ProviderCall, attempt: Attempt) -> ResponseReader:
        """A reader of the response. Raises GatewayError, also for a response with an error status."""
        attempt.sending(self.clock.monotonic())
        response = attempt.response = await self.upstream.send(call.request, self.provider, self.limits)
        if not 200 <= response.status < 300:
            attempt.rejected()
            raise call.parse_error(response.status, response.headers, await response.read())
        return ResponseReader(call, response)

    async def send_parts(
        self, calls: Sequence[ProviderCall], attempt: Attempt, expected: Sequence[Usage]
    ) -> Sequence[Result]:
        """The results of all calls, in their order; each is a part of the attempt, expected to use so much.

        Raises the error of the first part that fails; then no other is sent, and those that are open are abandoned.
        """
        attempt.sending(self.clock.monotonic())
        results: dict[int, Result] = {}
        waiting = enumerate(zip(calls, expected, strict=True))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(MAX_PARTS_AT_ONCE, len(calls))):
                    group.create_task(self._work(waiting, attempt, results))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [results[index] for index in range(len(calls))]

    async def _work(
        self, waiting: Iterator[tuple[int, tuple[ProviderCall, Usage]]], attempt: Attempt, results: dict[int, Result]
    ) -> None:
        """Send what is waiting, one after the other."""
        for index, (call, expected) in waiting:
            results[index] = await self._send_part(call, attempt.begin_part(expected))

    async def _send_part(self, call: ProviderCall, part: Attempt) -> Result:
        try:
            result = await (await self.send(call, part)).whole()
        except GatewayError as error:
            part.error = error
            raise
        now = self.clock.monotonic()
        part.read(result, now)
        part.completed(now)
        return result
