"""Whole chat responses of OpenAI and compatible servers."""

from typing import Any

import pytest

from tollgate.adapters import openai
from tollgate.gateway.errors import OverloadedError, UpstreamError
from tollgate.gateway.types import Json
from unit.adapters.openai_responses import CALL, DONE, OPENAI_USAGE, choice, chunk, fold, parsed, request, route, stream


def test_envelope_fields_are_removed_and_other_fields_are_relayed() -> None:
    answer = parsed(choice(), system_fingerprint="fp", service_tier="x", x_groq={"id": 1}, citations=["u"])
    assert answer.extra == {"system_fingerprint": "fp", "service_tier": "x", "citations": ["u"]}


def test_message_has_openais_required_fields() -> None:
    (only,) = parsed({"message": {"tool_calls": None, "reasoning_content": "r"}}).choices
    assert only == {
        "index": 0,
        "message": {
            "content": None,
            "refusal": None,
            "reasoning_content": "r",
            "role": "assistant",
        },
        "finish_reason": "stop",
        "logprobs": None,
    }


FINISH: dict[str, str] = {
    "end_turn": "stop",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
    "brand_new": "brand_new",
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "stop",  # no client should look for calls that are not there
    "function_call": "stop",
    "content_filter": "content_filter",
    "": "stop",
}


@pytest.mark.parametrize(("native", "finish"), FINISH.items())
def test_finish_reason_is_openais(native: str, finish: str) -> None:
    assert parsed(choice(finish=native)).choices[0]["finish_reason"] == finish
    if native:
        assert fold(stream(chunk({"content": "x"}), chunk({}, native), DONE))[0]["finish_reason"] == finish


def test_missing_finish_reason_of_a_whole_response_is_stop() -> None:
    assert parsed(choice(finish=None)).choices[0]["finish_reason"] == "stop"


FAILED = ("error", "abort", "ABORT", "network_error", "cancelled", "malformed_function_call", "timeout")


@pytest.mark.parametrize("native", FAILED)
def test_response_that_ends_with_an_error_reason_is_an_error(native: str) -> None:
    with pytest.raises(UpstreamError, match=native):
        parsed(choice(finish=native))
    parser = openai.ChatCall(request(), route()).open_stream()
    chunks = parser.feed(chunk({"content": "x"}, native, usage=OPENAI_USAGE))
    reported = next(chunks)
    assert (reported.choices[0]["delta"]["content"], reported.usage is None) == (
        "x",
        False,
    )  # it is billed all the same
    with pytest.raises(UpstreamError, match=native):
        next(chunks)


def test_native_finish_reason_is_returned_and_a_routers_own_is_kept() -> None:
    assert parsed(choice(finish="eos")).choices[0]["native_finish_reason"] == "eos"
    assert "native_finish_reason" not in parsed(choice(finish="stop")).choices[0]
    (last,) = stream(chunk({"content": "x"}, "eos"), DONE)[-1].choices
    assert (last["finish_reason"], last["native_finish_reason"]) == ("stop", "eos")
    assert parsed(choice(native_finish_reason="end_turn")).choices[0]["native_finish_reason"] == "end_turn"


def test_reason_that_is_not_a_name_is_unknown() -> None:
    assert parsed(choice(finish="a secret of 80 characters " * 4)).choices[0]["finish_reason"] == "unknown"


def test_deepseeks_insufficient_resources_is_overloaded() -> None:
    with pytest.raises(OverloadedError):
        parsed(choice(finish="insufficient_system_resource"))
    with pytest.raises(OverloadedError):
        stream(chunk({"content": "x"}), chunk({}, "insufficient_system_resource"), DONE)


@pytest.mark.parametrize(
    ("content", "text_content"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"content": "ab"}),
        ([{"type": "thinking", "thinking": "t"}], {"content": "", "reasoning_content": "t"}),
        ([{"type": "thinking", "thinking": [{"text": "t"}, {"no": 1}]}, 3, {"type": "reference"}], {
            "content": "", "reasoning_content": "t",
        }),
        ([], {"content": ""}),
        ({"text": "a"}, {"content": ""}),
    ],
)  # fmt: skip
def test_content_parts_are_joined_to_text(content: Any, text_content: Json) -> None:
    whole = parsed(choice({"content": content})).choices[0]["message"]
    assert whole == {"refusal": None, "role": "assistant", **text_content}
    assert fold(stream(chunk({"content": content}), chunk({}, "stop"), DONE))[0]["message"] == {
        "role": "assistant",
        **text_content,
    }


def test_stop_with_calls_is_tool_calls_and_a_truncated_call_is_not() -> None:
    assert parsed(choice({"tool_calls": [CALL]})).choices[0]["finish_reason"] == "tool_calls"
    assert parsed(choice({"tool_calls": [CALL]}, "length")).choices[0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a": 1}'), (None, ""), ([], "[]"), ("", "")]
)
def test_arguments_of_a_tool_are_text(arguments: Any, text: str) -> None:
    call: Json = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    (got,) = parsed(choice({"tool_calls": [call]})).choices[0]["message"]["tool_calls"]
    assert (got["type"], got["function"]) == ("function", {"name": "f", "arguments": text})


def test_repeated_call_is_returned_once() -> None:
    other: Json = {"id": "d", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = parsed(choice({"tool_calls": [CALL, other, CALL]})).choices[0]["message"]
    assert message["tool_calls"] == [CALL, other]
    nameless: Json = {"function": {"name": "f", "arguments": "{}"}}
    assert len(parsed(choice({"tool_calls": [nameless, nameless]})).choices[0]["message"]["tool_calls"]) == 2


@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": None}])
def test_choices_without_an_index_of_their_own_keep_their_order(index: Json) -> None:
    answer = parsed(*({"message": {"content": text}, **index} for text in "ab"))
    assert [(c["index"], c["message"]["content"]) for c in answer.choices] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"text": "x"}]}',
        b'{"error": {"message": "x"}, "choices": [{"message": {"content": "x"}}]}',
        b'{"error": "x"}',
        b'{"object": "error", "message": "x"}',
    ],
)
def test_invalid_response_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        openai.ChatCall(request(), route()).parse_response(body)


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_empty_error_is_not_an_error(error: Any) -> None:
    assert parsed(choice(), error=error).choices
