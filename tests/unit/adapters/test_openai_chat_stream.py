"""Streamed chat responses of OpenAI and compatible servers."""

import json
from typing import Any

import pytest

from support import families
from tollgate.adapters import openai
from tollgate.adapters.event_stream import GRACE, LONG_GRACE
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json
from unit.adapters.openai_responses import CALL, DONE, OPENAI_USAGE, choice, chunk, event, fold, request, route, stream


def fragment(arguments: Any, index: int | None = None, **call: Any) -> Json:
    place = {} if index is None else {"index": index}
    name = {"name": call.pop("name")} if "name" in call else {}
    return {**place, **call, "function": {**name, "arguments": arguments}}


TWO_CALLS = [
    {"id": "c1", "name": "f", "arguments": '{"a": 1}'},
    {"id": "c2", "name": "g", "arguments": '{"b": 2}'},
]
CALL_STREAMS: dict[str, list[list[Json]]] = {
    "openai": [
        [fragment("", 0, id="c1", name="f")],
        [fragment('{"a"', 0)],
        [fragment(": 1}", 0)],
        [fragment("", 1, id="c2", name="g")],
        [fragment('{"b": 2}', 1)],
    ],
    "interleaved": [
        [fragment("", 0, id="c1", name="f"), fragment("", 1, id="c2", name="g")],
        [fragment('{"b"', 1), fragment('{"a"', 0)],
        [fragment(": 1}", 0), fragment(": 2}", 1)],
    ],
    "whole-in-one-chunk": [
        [fragment('{"a": 1}', id="c1", name="f"), fragment('{"b": 2}', id="c2", name="g")],
    ],
    "whole-in-a-chunk-each": [
        [fragment({"a": 1}, id="c1", name="f")],
        [fragment({"b": 2}, id="c2", name="g")],
    ],
    "no-index": [
        [fragment('{"a"', id="c1", name="f")],
        [fragment(": 1}")],
        [fragment('{"b"', id="c2", name="g")],
        [fragment(": 2}")],
    ],
    "whole-repeated": [
        [fragment("", 0, id="c1", name="f"), fragment('{"a": 1}', 0)],
        [fragment('{"a": 1}', 0, id="c1", name="f")],
        [fragment('{"b": 2}', 1, id="c2", name="g")],
        [fragment('{"a": 1}', 0, id="c1", name="f"), fragment('{"b": 2}', 1, id="c2", name="g")],
    ],
    "whole-repeated-without-index": [
        [fragment({"a": 1}, id="c1", name="f"), fragment({"b": 2}, id="c2", name="g")],
        [fragment({"a": 1}, id="c1", name="f"), fragment({"b": 2}, id="c2", name="g")],
    ],
    "same-index-for-all": [
        [fragment('{"a": 1}', 0, id="c1", name="f")],
        [fragment('{"b"', 0, id="c2", name="g")],
        [fragment(": 2}", 0)],
    ],
    "same-index-and-ids-in-every-piece": [
        [fragment('{"a"', 0, id="c1", name="f")],
        [fragment('{"b"', 0, id="c2", name="g")],
        [fragment(": 1}", 0, id="c1", name="f")],
        [fragment(": 2}", 0, id="c2", name="g")],
    ],
    "a-new-id-in-every-piece": [
        [fragment('{"a"', 0, id="c1", name="f")],
        [fragment(": 1}", 0, id="x1")],
        [fragment('{"b"', 1, id="c2", name="g")],
        [fragment(": 2}", 1, id="x2")],
    ],
    "counted-from-one": [
        [fragment('{"a": 1}', 1, id="c1", name="f")],
        [fragment('{"b": 2}', 2, id="c2", name="g")],
    ],
    "index-null": [
        [{"index": None, **fragment('{"a": 1}', id="c1", name="f")}],
        [{"index": None, **fragment('{"b": 2}', id="c2", name="g")}],
    ],
}


@pytest.mark.parametrize("name", CALL_STREAMS)
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_tool_calls_are_assembled_in_every_dialect(name: str, finish: str) -> None:
    pieces = [chunk({"tool_calls": calls}) for calls in CALL_STREAMS[name]]
    (only,) = fold(stream(*pieces, chunk({}, finish), DONE))
    assert only["message"]["tool_calls"] == TWO_CALLS
    assert only["finish_reason"] == "tool_calls"


def test_call_without_a_finish_reason_is_complete_after_done() -> None:
    pieces = [chunk({"tool_calls": [fragment("{}", 0, id="c", name="f")]})]
    assert fold(stream(*pieces, DONE))[0]["finish_reason"] == "tool_calls"
    with pytest.raises(UpstreamError, match="cut off"):
        stream(*pieces)


def test_call_truncated_by_the_length_is_not_complete() -> None:
    pieces = [chunk({"tool_calls": [fragment('{"a', 0, id="c", name="f")]}), chunk({}, "length"), DONE]
    assert fold(stream(*pieces))[0]["finish_reason"] == "length"


def test_fields_of_a_call_are_relayed_once() -> None:
    pieces = [chunk({"tool_calls": [fragment(part, 0, id="c", name="f", type="function")]}) for part in ("{", "}")]
    more = stream(*pieces, chunk({}, "stop"), DONE)[1].choices[0]["delta"]
    assert more == {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}


def in_json(*pieces: bytes) -> Json:
    """The choice of a streamed JSON answer by a tool call."""
    parser = openai.ChatCall(*families.ALL["openai"].request_for("json_tool")).open_stream()
    (only,) = fold(families.read(parser, *pieces))
    return only


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_json_answer_is_the_tools_arguments_only(finish: str) -> None:
    only = in_json(
        chunk({"content": "Let me see: "}),
        chunk({"content": "so", "tool_calls": [fragment('{"a"', 0, id="c", name="answer")]}),
        chunk({"content": "!", "tool_calls": [fragment(": 1}", 0)]}),
        chunk({"tool_calls": [fragment("{}", 1, id="d", name="answer")]}),
        chunk({}, finish),
    )
    assert (only["message"], only["finish_reason"]) == ({"role": "assistant", "content": '{"a": 1}'}, "stop")
    message = {"content": "Let me see: ", "tool_calls": [CALL, {**CALL, "id": "d"}]}
    body = json.dumps({"choices": [choice(message, finish)]}).encode()
    (whole,) = openai.ChatCall(*families.ALL["openai"].request_for("json_tool")).parse_response(body).choices
    assert (whole["message"]["content"], whole["finish_reason"]) == ('{"a": 1}', "stop")
    assert "tool_calls" not in whole["message"]


@pytest.mark.parametrize("end", [[chunk({"content": "}"}, "stop")], [chunk({"content": "}"}), DONE]])
def test_json_answer_without_a_call_is_the_text(end: list[bytes]) -> None:
    only = in_json(chunk({"reasoning_content": "r"}), chunk({"content": "{"}), *end)
    assert only["message"] == {"role": "assistant", "reasoning_content": "r", "content": "{}"}


def test_truncated_json_answer_ends_with_length() -> None:
    only = in_json(chunk({"tool_calls": [fragment('{"a', 0, id="c", name="answer")]}), chunk({}, "length"))
    assert (only["message"]["content"], only["finish_reason"]) == ('{"a', "length")


def test_interleaved_choices_are_separate() -> None:
    chunks = stream(
        chunk({"role": "assistant", "content": ""}, index=1),
        chunk({"content": "a"}, index=0),
        chunk({"content": "b"}, index=1),
        chunk({}, "length", index=1),
        chunk({"content": "A"}, index=0),
        chunk({"content": "B"}, index=1),
        chunk({}, "stop", index=0),
        DONE,
    )
    assert [(c["message"]["content"], c["finish_reason"]) for c in fold(chunks)] == [("aA", "stop"), ("bB", "length")]


def test_two_choices_in_one_event_are_one_chunk() -> None:
    both = [{"index": i, "delta": {"content": str(i)}, "finish_reason": "stop"} for i in range(2)]
    first, *ends = stream(event({"choices": both}), DONE)
    assert [step["delta"]["content"] for step in first.choices] == ["0", "1"]
    assert [step["finish_reason"] for end in ends for step in end.choices] == ["stop", "stop"]


def test_role_is_sent_once_if_the_server_repeats_it() -> None:
    chunks = stream(*(chunk({"role": "assistant", "content": text}) for text in "ab"), chunk({}, "stop"), DONE)
    assert fold(chunks)[0]["message"] == {"role": "assistant", "content": "ab"}


def test_empty_steps_are_left_out() -> None:
    chunks = stream(
        chunk(None, prompt_filter_results=[]),
        event({"choices": [{"index": 0, "content_filter_results": {}}]}),
        chunk({"content": "a"}),
        chunk({"role": "assistant"}),
        chunk({}),
        chunk({}, "stop"),
        DONE,
    )
    assert [chunk.choices[0]["delta"] for chunk in chunks] == [{"role": "assistant", "content": "a"}, {}]


def test_logprobs_without_text_are_kept() -> None:
    step: Json = {"index": 0, "delta": {}, "logprobs": {"content": []}, "finish_reason": None}
    chunks = stream(chunk({"content": "a"}), event({"choices": [step]}), chunk({}, "stop"), DONE)
    assert chunks[1].choices[0]["logprobs"] == {"content": []}


def test_empty_finish_reason_does_not_end_a_choice() -> None:
    chunks = stream(chunk({"content": "a"}, ""), chunk({"content": "b"}, ""), chunk({}, "stop"), DONE)
    assert fold(chunks)[0]["message"]["content"] == "ab"


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk({"content": text}, "stop") for text in ("one ", "two ", "three")],
        [
            chunk({"content": ""}, "stop"),
            chunk({"content": "one two "}),
            chunk({"content": "three"}),
            chunk({}, "stop"),
        ],
        [chunk({"reasoning_content": "hm"}, "stop"), chunk({"content": "one two three"})],
        [chunk({"content": "one "}, "stop", usage=OPENAI_USAGE), chunk({"content": "two three"})],
    ],
)
@pytest.mark.parametrize("end", [[], [DONE]])
def test_text_after_a_finish_reason_is_relayed(pieces: list[bytes], end: list[bytes]) -> None:
    (only,) = fold(stream(*pieces, *end))
    assert (only["message"]["content"], only["finish_reason"]) == ("one two three", "stop")


def test_last_finish_reason_counts() -> None:
    assert (
        fold(stream(chunk({"content": "a"}, "stop"), chunk({"content": "b"}, "length")))[0]["finish_reason"] == "length"
    )


def test_fields_of_empty_events_are_relayed_at_the_end() -> None:
    chunks = stream(chunk({"content": "a"}), chunk({}, "stop", stop_reason=7), chunk(None, sources=["u"]), DONE)
    assert chunks[-1].extra == {"stop_reason": 7, "sources": ["u"]}


def test_whole_message_in_a_stream_is_its_text() -> None:
    whole = {"index": 0, "message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}
    (only,) = fold(stream(event({"object": "chat.completion", "choices": [whole]})))
    assert only["message"] == {"role": "assistant", "content": "a", "tool_calls": [
        {"id": "c", "name": "f", "arguments": '{"a": 1}'},
    ]}  # fmt: skip
    content = chunk({"content": "a"})
    assert fold(stream(content, event({"choices": [whole]}), DONE))[0]["message"]["content"] == "a"


def test_grace_begins_when_every_choice_has_ended() -> None:
    parser = openai.ChatCall(request(n=2), route()).open_stream()

    def fed(*pieces: bytes) -> float | None:
        for piece in pieces:
            list(parser.feed(piece))
        return parser.grace

    assert fed(chunk({"content": "a"})) is None
    assert fed(chunk({}, "stop")) == LONG_GRACE  # the other one may be to come
    assert fed(chunk({"content": "b"}, index=1)) is None
    assert fed(chunk({}, "stop", index=1)) == GRACE
    assert fed(chunk({"content": "!"}, index=1)) == LONG_GRACE


def test_end_without_done_is_whole_if_every_choice_has_ended() -> None:
    assert fold(stream(chunk({"content": "a"}), chunk({}, "stop")))[0]["finish_reason"] == "stop"
    with pytest.raises(UpstreamError, match="cut off"):
        stream(chunk({"content": "a"}), chunk({}, "stop"), chunk({"content": "b"}, index=1))


def test_done_without_a_finish_reason_ends_every_choice() -> None:
    chunks = stream(chunk({"content": "a"}, index=1), chunk({"content": "b"}), b"data: [DONE] \n\n")
    assert [c["finish_reason"] for c in fold(chunks)] == ["stop", "stop"]


@pytest.mark.parametrize("pieces", [[], [DONE], [b": x\n\n"], [chunk(None, usage=OPENAI_USAGE), DONE]])
def test_stream_without_a_response_is_an_error(pieces: list[bytes]) -> None:
    with pytest.raises(UpstreamError):
        stream(*pieces)


def test_done_without_a_blank_line_ends_the_stream() -> None:
    assert len(stream(chunk({"content": "a"}), b"data: [DONE]")) == 2


def test_events_after_done_are_ignored() -> None:
    assert len(stream(chunk({"content": "a"}, "stop") + DONE + event({"error": "late"}) + b"data: oops\n\n")) == 2


def test_incomplete_event_at_the_end_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        stream(chunk({"content": "a"}), b'data: {"choices": [{"ind')


@pytest.mark.parametrize("values", [[1, True, 1.0], ["a", "a", "b"], [None, "", None]])
def test_fields_beside_text_are_relayed_as_they_are(values: list[Any]) -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    events = [chunk({"content": "a"}, vendor=value) for value in [values[0], *values]]
    chunks = [part for data in events for part in parser.feed(data)]
    assert [repr(part.extra["vendor"]) for part in chunks[1:]] == [repr(value) for value in values]


def test_empty_reasoning_beside_text_is_relayed() -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    delta = {"content": "a", "reasoning_content": ""}
    chunks = [part for _ in range(2) for part in parser.feed(chunk({**delta}))]
    assert chunks[1].choices[0]["delta"] == delta
