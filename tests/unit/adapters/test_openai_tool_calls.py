"""Tool calls that compatible servers stream late, in pieces, under one index, or without ids."""

import json
from typing import Any

import pytest

from support.families import request
from tollgate.adapters.openai.tool_calls import MAX_CALLS, StreamedCalls, whole_calls
from tollgate.adapters.tool_call_ids import ToolCallIds
from tollgate.adapters.tool_call_state import CLAUDE, attach_state
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

TOOLS = ("read", "read_file", "list")


def piece(arguments: Any = "", name: str | None = None, **call: Any) -> Json:
    return {**call, "function": {"arguments": arguments, **({} if name is None else {"name": name})}}


def reported(*pieces: Json, tools: tuple[str, ...] = TOOLS) -> list[tuple[str, str]]:
    """The names and arguments that a client assembles; asserts that ids and names are whole and first."""
    calls = StreamedCalls(ToolCallIds(request().messages), 0, tools)
    steps = [step for one in pieces for step in calls.read({"tool_calls": [one]})] + calls.flush()
    joined: list[Json] = []
    for step in steps:
        if step["index"] == len(joined):
            assert step["id"]
            assert step["type"] == "function"
            joined.append({**step, "function": dict(step["function"])})
        else:
            assert "id" not in step
            assert set(step["function"]) == {"arguments"}
            joined[step["index"]]["function"]["arguments"] += step["function"]["arguments"]
    assert len({call["id"] for call in joined}) == len(joined)
    assert bool(calls) == bool(joined)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in joined]


ONE = [("read", '{"p": "a"}')]
TWO = [("read", '{"p": "a"}'), ("read", '{"p": "b"}')]
A, B = '{"p": "a"}', '{"p": "b"}'

ONE_CALL: dict[str, list[Json]] = {
    "name-after-the-id": [piece(index=0, id="c"), piece(name="read", index=0), piece(A, index=0)],
    "name-after-the-arguments": [piece(A[:4], index=0, id="c"), piece(A[4:], index=0), piece("", "read", index=0)],
    "name-empty-first": [piece("", "", index=0, id="c"), piece(A, "read", index=0, id="c")],
    "name-in-pieces": [piece("", "re", index=0, id="c"), piece(A, "ad", index=0)],
    "name-in-pieces-without-index": [piece("", "re"), piece(A, "ad")],
    "name-growing": [piece("", "re", index=0, id="c"), piece("", "read", index=0), piece(A, index=0)],
    "name-in-every-piece": [piece(part, "read", index=0, id="c") for part in ("", A[:3], A[3:])],
    "name-in-every-piece-without-id": [piece(part, "read", index=0) for part in ("", A[:3], A[3:])],
    "name-in-every-piece-without-anything": [piece(A[:3], "read"), piece(A[3:], "read")],
    "id-late": [piece("", "read", index=0), piece(A, index=0, id="c")],
    "empty-object-stands-in": [piece("{}", "read", index=0, id="c"), piece(A, index=0)],
    "empty-pieces-at-the-end": [piece(A, "read", index=0, id="c"), piece("", index=0), piece("", "", index=0, id="")],
    "empty-header-of-none": [piece(A, "read", index=0, id="c"), piece("", index=1, id="d")],
}
TWO_CALLS: dict[str, list[Json]] = {
    "one-index-without-ids": [piece(A, "read", index=0), piece(B, "read", index=0)],
    "one-index-with-empty-ids": [piece(A, "read", index=0, id=""), piece(B, "read", index=0, id="")],
    "one-index-in-pieces": [piece("", "read", index=0), piece(A[:5], index=0), piece(A[5:], index=0),
                            piece("", "read", index=0), piece(B[:5], index=0), piece(B[5:], index=0)],
    "one-index-ids-without-names": [piece(index=0, id="c"), piece(A, "read", index=0),
                                    piece(index=0, id="d"), piece(B, "read", index=0)],
    "one-index-and-one-id": [piece(A, "read", index=0, id="c"), piece(B, "read", index=0, id="c")],
    "one-id-for-two-indexes": [piece(A, "read", index=0, id="c"), piece(B, "read", index=1, id="c")],
    "neither-index-nor-id": [piece(A, "read"), piece(B, "read")],
    "objects": [piece({"p": "a"}, "read", index=0), piece({"p": "b"}, "read", index=0)],
    "name-once": [piece(A, "read", index=0), piece(B, index=0)],
    "interleaved-ids": [piece("", "read", index=0, id="c"), piece("", "read", index=0, id="d"),
                        piece(A[:5], index=0, id="c"), piece(B[:5], index=0, id="d"),
                        piece(A[5:], index=0, id="c"), piece(B[5:], index=0, id="d")],
    "late-names": [piece(index=0, id="c"), piece(index=1, id="d"), piece("", "read", index=0),
                   piece("", "read", index=1), piece(A, index=0), piece(B, index=1)],
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_CALL)
def test_one_call_is_assembled(name: str) -> None:
    assert reported(*ONE_CALL[name]) == ONE


@pytest.mark.parametrize("name", TWO_CALLS)
def test_two_calls_are_assembled_separately(name: str) -> None:
    assert reported(*TWO_CALLS[name]) == TWO


def test_braces_and_quotes_in_a_string_do_not_end_arguments() -> None:
    arguments = json.dumps({"p": 'a\\"}{"', "q": "\\"})
    pieces = [piece(part, "read", index=0) for part in arguments]
    assert reported(*pieces, piece(B, "read", index=0)) == [("read", arguments), ("read", B)]


def test_name_in_pieces_may_begin_with_that_of_another_tool() -> None:
    assert reported(piece("", "read", index=0, id="c"), piece(A, "_file", index=0)) == [("read_file", A)]


def test_other_tool_under_the_same_index_is_another_call() -> None:
    assert reported(piece("", "read", index=0), piece("{}", "list", index=0)) == [("read", ""), ("list", "{}")]
    assert reported(piece(A[:4], "read", index=0), piece("{}", "list", index=0))[1] == ("list", "{}")


def test_call_without_arguments_is_relayed_at_the_end() -> None:
    assert reported(piece("", "list", index=0, id="c")) == [("list", "")]
    assert reported(piece("{}", "list", index=0, id="c")) == [("list", "{}")]
    assert reported(piece(index=0, id="c")) == []


def test_calls_keep_their_order_if_one_is_held_back() -> None:
    pieces = [piece("", "list", index=0, id="c"), piece(A, "read", index=1, id="d"), piece("{}", index=0)]
    assert reported(*pieces) == [("list", "{}"), ("read", A)]


def test_deprecated_function_call_is_a_tool_call() -> None:
    calls = StreamedCalls(ToolCallIds(request().messages), 0)
    pieces = [{"function_call": {"name": "read", "arguments": ""}}, {"function_call": {"arguments": {"p": "a"}}}]
    (step,) = [*calls.read(pieces[0]), *calls.read(pieces[1])]
    assert step["function"] == {"name": "read", "arguments": A}
    (whole,) = whole_calls({"function_call": {"name": "read", "arguments": A}}, ToolCallIds(request().messages), 0)
    assert (whole["function"], whole["id"]) == (step["function"], step["id"])


def test_more_than_the_maximum_of_calls_is_refused() -> None:
    many: list[Json] = [piece("{}", "read", index=n) for n in range(MAX_CALLS + 1)]
    with pytest.raises(UpstreamError):
        whole_calls({"tool_calls": many}, ToolCallIds(request().messages), 0)
    with pytest.raises(UpstreamError):
        StreamedCalls(ToolCallIds(request().messages), 0).read({"tool_calls": many})


# --- ids --------------------------------------------------------------------------------------------------------------


def turn(*ids: str) -> list[Json]:
    """A conversation with these tool calls and their results."""
    calls = [{"id": one, "type": "function", "function": {"name": "read", "arguments": "{}"}} for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": "x"} for one in ids]
    return [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": calls}, *results]


def test_id_of_the_provider_is_kept() -> None:
    assert ToolCallIds(request().messages).assign("call_7", 0, 0) == "call_7"


@pytest.mark.parametrize("provided", [None, "", "call_0"])
def test_ids_are_unique_over_a_conversation(provided: str | None) -> None:
    seen: list[str] = []
    for _ in range(5):
        ids = ToolCallIds(request(messages=turn(*seen)).messages)
        seen += [ids.assign(provided, choice, place) for choice in (0, 1) for place in (0, 1)]
    assert len(set(seen)) == len(seen)


def test_id_with_state_is_compared_without_it() -> None:
    ids = ToolCallIds(request(messages=turn(attach_state("call_0", CLAUDE, "e30"))).messages)
    assert ids.assign("call_0", 0, 0) != "call_0"


def test_generated_ids_are_deterministic() -> None:
    first, second = (ToolCallIds(request(messages=turn("a")).messages).assign(None, 0, 1) for _ in range(2))
    assert first == second
