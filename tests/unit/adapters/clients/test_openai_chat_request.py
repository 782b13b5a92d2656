"""Chat request validation: the error names the missing or invalid field, and lists are bounded."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.chat_bodies import USER, VALID, parse, refusal, with_message
from tollgate.adapters.clients.json_body import parse_json
from tollgate.gateway.chat import MAX_MESSAGES, MAX_PARTS, MAX_STOPS, MAX_TOOL_CALLS, MAX_TOOLS, ChatRequest
from tollgate.gateway.errors import BadRequestError

MISSING = {
    "messages": {"model": "m"},
    "messages[0].role": {**VALID, "messages": [{"content": "x"}]},
    "messages[1].role": {**VALID, "messages": [USER, {}]},
}


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("model", {**VALID, "model": 3}),
    ("model", {**VALID, "model": ""}),
    ("model", {**VALID, "model": ["m"]}),
    ("model", {**VALID, "model": "\ud800"}),
    ("messages", {**VALID, "messages": []}),
    ("messages", {**VALID, "messages": "x"}),
    ("messages", {**VALID, "messages": {"role": "user"}}),
    ("messages[0]", {**VALID, "messages": ["x"]}),
    ("messages[1]", {**VALID, "messages": [USER, None]}),
    ("messages[1].role", with_message(role="robot")),
    ("messages[1].role", with_message(role=None)),
    ("messages[1].role", with_message(role=["user"])),
    ("messages[1].content", with_message(content=3)),
    ("messages[1].content", with_message(content=True)),
    ("messages[1].content", with_message(content={})),
    ("messages[1].content", with_message(content={"type": "text", "text": "x"})),
    ("messages[1].content[0]", with_message(content=[3])),
    ("messages[1].content[1].text", with_message(content=[{"type": "text"}, {"type": "text", "text": 3}])),
    ("messages[1].tool_calls", with_message(tool_calls="x")),
    ("messages[1].tool_calls", with_message(tool_calls={})),
    ("messages[1].tool_calls[1]", with_message(tool_calls=[{}, 3])),
    ("messages[1].tool_call_id", with_message(tool_call_id=3)),
    ("temperature", {**VALID, "temperature": "0.5"}),
    ("temperature", {**VALID, "temperature": 3}),
    ("temperature", {**VALID, "temperature": -0.1}),
    ("temperature", {**VALID, "temperature": float("nan")}),
    ("temperature", {**VALID, "temperature": float("inf")}),
    ("temperature", {**VALID, "temperature": True}),
    ("temperature", {**VALID, "temperature": 10**400}),
    ("temperature", {**VALID, "temperature": {}}),
    ("top_p", {**VALID, "top_p": 1.1}),
    ("max_tokens", {**VALID, "max_tokens": 0}),
    ("max_tokens", {**VALID, "max_tokens": 1.5}),
    ("max_tokens", {**VALID, "max_tokens": "5"}),
    ("max_completion_tokens", {**VALID, "max_completion_tokens": -1}),
    ("n", {**VALID, "n": 0}),
    ("n", {**VALID, "n": 129}),
    ("n", {**VALID, "n": 10**30}),
    ("stream", {**VALID, "stream": "true"}),
    ("stream", {**VALID, "stream": 1}),
    ("stream_options", {**VALID, "stream_options": True}),
    ("stream_options.include_usage", {**VALID, "stream_options": {"include_usage": "yes"}}),
    ("stop", {**VALID, "stop": 3}),
    ("stop", {**VALID, "stop": {}}),
    ("stop", {**VALID, "stop": {"0": "a"}}),
    ("tools", {**VALID, "tools": {}}),
    ("tools[0]", {**VALID, "tools": ["f"]}),
    ("tool_choice", {**VALID, "tool_choice": []}),
    ("tool_choice", {**VALID, "tool_choice": 3}),
    ("response_format", {**VALID, "response_format": "json"}),
]


def invalid_field(body: dict[str, Any]) -> str | None:
    """The invalid field, or None if the body is accepted."""
    try:
        parse(body)
    except BadRequestError as error:
        return error.param or ""
    return None


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["user", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "str", "tool_calls", "0"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("param", MISSING)
def test_missing_field_is_named(param: str) -> None:
    error = refusal(MISSING[param])
    assert (error.param, error.code) == (param, "missing_required_parameter")
    assert error.message == f"Missing required parameter: '{param}'."


@pytest.mark.parametrize(("param", "body"), INVALID, ids=[f"{n}-{param}" for n, (param, _) in enumerate(INVALID)])
def test_invalid_field_is_named(param: str, body: dict[str, Any]) -> None:
    error = refusal(body)
    assert (error.status, error.param, error.code) == (400, param, "invalid_value")
    assert f"'{param}'" in error.message


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": VALUE | st.just("m"),
            "messages": VALUE | st.lists(VALUE | st.just(USER), min_size=1, max_size=3),
            **dict.fromkeys(("stop", "tools", "tool_choice", "stream_options", "temperature", "n", "x"), VALUE),
        },
    )
)
@settings(max_examples=3 * settings().max_examples)
def test_any_body_is_accepted_or_refused_with_one_of_its_fields(body: dict[str, Any]) -> None:
    field = invalid_field(body)
    assert field is None or field.partition("[")[0].partition(".")[0] in {*body, "model", "messages"}


def test_content_part_without_a_type_is_named() -> None:
    error = refusal(with_message(content=[{"text": "x"}]))
    assert (error.param, error.code) == ("messages[1].content[0].type", "missing_required_parameter")


def test_nulls_in_a_content_part_count_as_absent() -> None:
    parse_json(
        {}, json.dumps(with_message(content=[{"type": "text", "text": "x", "image_url": None}])).encode(), ChatRequest
    )


@pytest.mark.parametrize(
    ("field", "item", "maximum"),
    [
        ("messages", {"role": "user", "content": "x"}, MAX_MESSAGES),
        ("tools", {"type": "function"}, MAX_TOOLS),
        ("stop", "x", MAX_STOPS),
    ],
)
def test_lists_are_bounded(field: str, item: Any, maximum: int) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    parse_json({}, json.dumps({**body, field: [item] * maximum}).encode(), ChatRequest)
    with pytest.raises(BadRequestError) as refused:
        parse_json({}, json.dumps({**body, field: [item] * (maximum + 1)}).encode(), ChatRequest)
    assert (refused.value.param, refused.value.code) == (field, "invalid_value")


@pytest.mark.parametrize(
    ("field", "item", "maximum"), [("content", {"type": "text"}, MAX_PARTS), ("tool_calls", {}, MAX_TOOL_CALLS)]
)
def test_lists_in_a_message_are_bounded(field: str, item: Any, maximum: int) -> None:
    body = {"model": "m", "messages": [{"role": "assistant", field: [item] * (maximum + 1)}]}
    with pytest.raises(BadRequestError) as refused:
        parse_json({}, json.dumps(body).encode(), ChatRequest)
    assert (refused.value.param, refused.value.code) == (f"messages[0].{field}", "invalid_value")
