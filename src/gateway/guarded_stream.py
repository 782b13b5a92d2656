"""A stream of chat whose texts are checked in windows before they are passed on.

HELD_BACK characters at the end of each text wait for what follows, so that no part of a match is passed on unless it is
longer. A text is checked whenever STEP more characters have come, or SERVICE_STEP if a service checks it: with what is
held back, and with as much of what was passed on before, that is 1,000 characters, one text unit of Bedrock. A service
that masks gets whole texts, so that they are held back to their end.
"""

from dataclasses import dataclass
from typing import Any

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.errors import ContentBlockedError, GatewayError
from tollgate.gateway.guarded_texts import OF_CHOICE, Piece, as_chat, split_choice
from tollgate.gateway.guardrail_checks import Checks, mask
from tollgate.gateway.ports import Clock
from tollgate.gateway.responses import ChunkSource
from tollgate.gateway.types import Json

HELD_BACK = 256
STEP = 64
SERVICE_STEP = 488
WINDOW_SECONDS = 0.1
"""CPU time of all patterns for one window."""


@dataclass(slots=True)
class _Text:
    """One text of one choice: the end of what was passed on, what is held back, and how much of it is unchecked."""

    place: TextPlace
    passed: str = ""
    held: str = ""
    unchecked: int = 0


class GuardedChunks:
    """See `gateway.responses.ChunkSource`. `first` are the chunks that were read of the source already."""

    def __init__(
        self,
        first: list[Any] | None,
        source: ChunkSource,
        checks: Checks,
        accounting: RequestAccounting,
        clock: Clock,
    ) -> None:
        self.last: list[Any] = []
        self._waiting = [first]
        self._source = source
        self._checks = checks
        self._accounting = accounting
        self._clock = clock
        self._texts: dict[tuple[int, str, int], _Text] = {}
        self._open: dict[int, _Text] = {}  # the last text of each choice
        self._out: list[Chunk] = []
        self._is_over = False
        holds_all = any(service.masks for service in checks.services)
        self._step = None if holds_all else SERVICE_STEP if checks.services else STEP

    @property
    def usage_extra(self) -> dict[str, Any]:
        """See ChunkSource."""
        return self._source.usage_extra

    async def read(self) -> list[Any] | None:
        """See ChunkSource. After a block there are no more chunks, and the last one says why."""
        try:
            while not self._is_over and not self._out:
                chunks = self._waiting.pop() if self._waiting else await self._source.read()
                await (self._end() if chunks is None else self._pass(chunks))
        except GatewayError as error:
            self._accounting.failed(error, self._clock.monotonic())
            if not isinstance(error, ContentBlockedError):
                raise
            self._is_over = True
            ended = {"delta": {"refusal": error.message}, "finish_reason": "content_filter"}
            self.last = [Chunk([{"index": index, **ended} for index in sorted(self._open or {0})])]
        passed, self._out = self._out, []
        return passed or None

    async def _pass(self, chunks: list[Any]) -> None:
        for chunk in chunks:
            if isinstance(chunk, TextChunk):
                await self._add(chunk.place.index, (chunk.place.name, chunk.place.call, chunk.text))
                continue
            known = as_chat(chunk)
            for choice in known.choices:
                await self._pass_choice(choice, known)

    async def _pass_choice(self, choice: Json, chunk: Chunk) -> None:
        other, pieces = split_choice(choice)
        index: int = choice.get("index") or 0
        if other is not None:
            if index in self._open:
                await self._check(self._open[index], is_whole=True)
            self._out.append(Chunk([other], extra=chunk.extra))
        for piece in pieces:
            await self._add(index, piece)

    async def _end(self) -> None:
        self._is_over = True
        last: list[Any] = []
        for chunk in map(as_chat, self._source.last):
            for choice in chunk.choices:
                ended = {name: choice[name] for name in OF_CHOICE if name in choice}
                await self._pass_choice({"index": choice.get("index"), "delta": choice.get("delta")}, chunk)
                last.append(Chunk([{**ended, "delta": {}}], extra=chunk.extra))
        for text in self._open.values():
            await self._check(text, is_whole=True)
        self.last = last

    async def _add(self, index: int, piece: Piece) -> None:
        name, call, more = piece
        key = index, name, call
        if key not in self._texts:
            self._texts[key] = _Text(TextPlace(index, name, call))
        text, before = self._texts[key], self._open.get(index)
        if before is not None and before is not text:
            await self._check(before, is_whole=True)
        self._open[index] = text
        text.held += more
        text.unchecked += len(more)
        if self._step is not None and text.unchecked >= self._step + (0 if text.passed else HELD_BACK):
            await self._check(text, is_whole=False)

    async def _check(self, text: _Text, *, is_whole: bool) -> None:
        """Check what is held back, and pass on of it what no more text can make part of a match."""
        if not text.held:
            return
        window, start = text.passed + text.held, len(text.passed)
        search = self._checks.search(WINDOW_SECONDS)
        found, complete_until = await self._checks.find(window, search, start, is_whole=is_whole)
        end = len(window) if is_whole else min(len(window) - HELD_BACK, complete_until)
        end = max(start, end)
        for first, last, _ in found:
            end = last if first < end < last else end
        shown = mask(window, found, start, end)
        if self._checks.services:
            whole = mask(window, found, start if self._step is None else 0)
            (checked,) = await self._checks.ask([whole])
            shown = checked if self._step is None else shown
        text.passed, text.held, text.unchecked = window[:end][-HELD_BACK:], window[end:], 0
        if shown:
            self._out.append(TextChunk(text.place, shown))
