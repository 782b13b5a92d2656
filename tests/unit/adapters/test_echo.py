"""The echo family: whole and streamed responses, and the parameters that it drops or refuses."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters.echo import chat
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage

PROVIDER = Provider(name="echo", family="echo", auth="none")
MODEL = Model(
    id="echo",
    created=datetime.date(2026, 1, 1),
    owned_by="o",
    context_length=8,
    routes=(RouteRow(provider="echo", model="echo"),),
)
ROUTE = Route(MODEL, PROVIDER, "echo", None)


def chat_request(content: Any = "How many? Four.", **more: Any) -> ChatRequest:
    return ChatRequest.of({"model": "m", "messages": [{"role": "user", "content": content}], **more})


def whole(request: ChatRequest) -> tuple[str, str, Usage | None]:
    body = chat.ChatCall(request, ROUTE).request.body
    completion = chat.ChatCall(request, ROUTE).parse_response(body)
    (choice,) = completion.choices
    return choice["message"]["content"], choice["finish_reason"], completion.usage


def test_last_user_message_is_repeated() -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "One two"},
        {"role": "assistant", "content": "One two"},
        {"role": "user", "content": "three"},
        {"role": "tool", "content": None},
    ]
    assert whole(chat_request(messages=messages)) == ("three", "stop", Usage(7, 1))


def test_text_parts_are_joined() -> None:
    parts: list[Any] = [
        {"type": "text", "text": "a b"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "c"},
    ]
    assert whole(chat_request(parts))[0] == "a b  c"


@pytest.mark.parametrize("content", ["", "   ", None, []])
def test_empty_message_is_repeated_as_empty(content: Any) -> None:
    assert whole(chat_request(content)) == ("", "stop", Usage(0, 0))


def test_conversation_without_a_user_is_answered_with_nothing() -> None:
    assert whole(chat_request(messages=[{"role": "system", "content": "a b"}])) == ("", "stop", Usage(2, 0))


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_response_is_truncated_at_the_output_limit(field: str) -> None:
    assert whole(chat_request("a b c", **{field: 2})) == ("a b", "length", Usage(3, 2))
    assert whole(chat_request("a b c", **{field: 3}))[1] == "stop"


def test_more_than_one_choice_is_refused() -> None:
    with pytest.raises(BadRequestError) as caught:
        chat.ChatCall(chat_request(n=2), ROUTE)
    assert caught.value.param == "n"


def test_truncated_stream_is_an_error() -> None:
    request = chat_request("a b")
    body = chat.ChatCall(request, ROUTE).request.body
    parser = chat.ChatCall(request, ROUTE).open_stream()
    assert len(list(parser.feed(body[:-1]))) == 2
    assert not parser.done
    with pytest.raises(UpstreamError):
        list(parser.close())


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.lists(st.integers(0, 500), max_size=4))
def test_stream_split_anywhere_equals_the_whole_response(text_content: str, places: list[int]) -> None:
    request = chat_request(text_content)
    body = chat.ChatCall(request, ROUTE).request.body
    parser = chat.ChatCall(request, ROUTE).open_stream()
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    chunks = [chunk for i, start in enumerate(edges[:-1]) for chunk in parser.feed(body[start : edges[i + 1]])]
    assert parser.done
    assert [*parser.close()] == []
    deltas = [chunk.choices[0]["delta"] for chunk in chunks]
    assert ["role" in delta for delta in deltas] == [True] + [False] * (len(deltas) - 1)
    text = "".join(delta.get("content", "") for delta in deltas)
    assert (text, chunks[-1].choices[0]["finish_reason"], chunks[-1].usage) == whole(request)
    assert text == text_content.rstrip()


def test_lone_surrogates_and_line_ends_are_kept() -> None:
    assert whole(chat_request("a\ud800 b\u2028c\rd\ne"))[0] == "a\ud800 b\u2028c\rd\ne"
    assert b"\r" not in chat.ChatCall(chat_request("a\rb"), ROUTE).request.body


def test_error_of_the_network_layer_is_a_bad_gateway() -> None:
    assert chat.ChatCall(chat_request(), ROUTE).parse_error(500, {}, b"").status == 502


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("audio", {"voice": "x"}),
        ("web_search_options", {"a": 1}),
    ],
)
def test_parameter_that_would_change_the_answer_is_refused(param: str, value: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}] if param == "tool_choice" else None
    with pytest.raises(BadRequestError) as refused:
        chat.ChatCall(chat_request(tools=tools, **{param: value}), ROUTE)
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")


def test_tools_without_a_choice_are_accepted() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    for more in ({}, {"tool_choice": "auto"}, {"tool_choice": "none"}):
        assert chat.ChatCall(chat_request(tools=tools, **more), ROUTE).request.dropped == ()


@pytest.mark.parametrize(
    "fields", [{"seed": 1}, {"temperature": 0.5}, {"reasoning_effort": "high"}, {"metadata": {"a": "b"}}]
)
def test_tuning_parameters_are_dropped_and_reported_or_refused_if_required(fields: dict[str, Any]) -> None:
    assert chat.ChatCall(chat_request(**fields), ROUTE).request.dropped == tuple(fields)
    with pytest.raises(BadRequestError):
        chat.ChatCall(chat_request(**fields, provider={"require_parameters": True}), ROUTE)


@pytest.mark.parametrize(
    ("stop", "text_content"), [("Four", "How many?"), (["x", "many"], "How"), ("no", "How many? Four.")]
)
def test_response_ends_before_a_stop_sequence(stop: Any, text_content: str) -> None:
    assert whole(chat_request(stop=stop))[0] == text_content


@pytest.mark.parametrize("text_content", [" " * 200_000, "\n" * 200_000 + "x", "x " * 100_000, "x" * 200_000])
def test_reading_time_of_a_long_text_is_linear(text_content: str) -> None:
    """A quadratic implementation took a minute for a tenth of this text."""
    assert whole(chat_request(text_content))[0] == text_content.rstrip()
