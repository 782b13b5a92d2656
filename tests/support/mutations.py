"""Mutations of recorded responses, as strategies of Hypothesis."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

from hypothesis import strategies as st

_ODD: list[Any] = [10**40, 2**63, 429, 1e308, float("nan"), "", "\ud800", "error", "tool_calls", "\u2028", [], {}]
LEAVES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(_ODD) | st.floats() | st.text(max_size=4)
)


@st.composite
def mutated(draw: st.DrawFn, value: Any, times: int = 3) -> Any:
    """The JSON value with up to `times` mutations: values are replaced, doubled or removed."""
    value = deepcopy(value)
    for _ in range(draw(st.integers(1, times))):
        value = _change(draw, value)
    return value


@st.composite
def shuffled(draw: st.DrawFn, events: Sequence[Any]) -> list[Any]:
    """The events, some of them changed, removed, doubled or moved."""
    kept: list[Any] = [deepcopy(event) for event in events]
    for _ in range(draw(st.integers(1, 3))):
        if not kept:
            break
        place = draw(st.integers(0, len(kept) - 1))
        match draw(st.sampled_from(["change", "change", "change", "drop", "double", "move", "garble"])):
            case "change":
                kept[place] = _change(draw, kept[place])
            case "drop":
                del kept[place]
            case "double":
                kept.insert(place, deepcopy(kept[place]))
            case "move":
                kept.insert(draw(st.integers(0, len(kept) - 1)), kept.pop(place))
            case _:
                kept[place] = draw(LEAVES)
    return kept


@st.composite
def with_mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes, some of them replaced, removed or inserted."""
    mutated_data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(mutated_data)))
        length = draw(st.integers(0, 3))
        mutated_data[place : place + length] = draw(st.binary(max_size=4) | st.sampled_from([b"\r", b"\n\n", b"data:"]))
    return bytes(mutated_data)


def _change(draw: st.DrawFn, value: Any) -> Any:
    """The value with one mutation somewhere in it."""
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 9)) == 0:
        return draw(LEAVES)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        place = draw(st.integers(0, len(items) - 1))
        inner = _replaced(draw, items[place])
        return [*items[:place], *inner, *items[place + 1 :]]
    entries = cast("dict[str, Any]", value)
    key = draw(st.sampled_from(sorted(entries)))
    inner = _replaced(draw, entries[key])
    return {k: inner[0] if k == key else v for k, v in entries.items() if k != key or inner}


def _replaced(draw: st.DrawFn, value: Any) -> list[Any]:
    """Nothing, the value twice, or the mutated value."""
    match draw(st.integers(0, 9)):
        case 0:
            return []
        case 1:
            return [value, value]
        case _:
            return [_change(draw, value)]
