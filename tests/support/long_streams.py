"""Recorded streams in which the last event with text can be repeated any number of times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.families import ALL, Family

RECORDED = {"openai": "openai_text"}
"""The name of a family's recorded stream, if it is not `text`."""


@dataclass(frozen=True)
class LongStream:
    """The events of a stream: those before the last event with text, that event, and those after it."""

    family: Family
    name: str
    before: Sequence[Any]
    text: Any
    after: Sequence[Any]

    def encode(self, repeats: int) -> bytes:
        """The bytes of the stream with so many events of text."""
        return self.family.encode([*self.before, *[self.text] * repeats, *self.after])


def long_stream(family_name: str) -> LongStream:
    """The recorded stream of this family."""
    family = ALL[family_name]
    name = RECORDED.get(family_name, "text")
    events, parser, last = family.events(name), family.open(name), 0
    for number, event in enumerate(events):
        chunks = parser.feed(family.encode([event]))
        if any(choice["delta"].get("content") for chunk in chunks for choice in chunk.choices):
            last = number
    return LongStream(family, name, events[:last], events[last], events[last + 1 :])
