"""From HTTP to the core's words: which field is at fault is told, whatever is wrong with a body."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.chat import MAX_MESSAGES, MAX_PARTS, MAX_STOPS, MAX_TOOL_CALLS, MAX_TOOLS, ChatRequest
from tollgate.gateway.errors import AuthenticationError, BadRequestError, RequestTooLargeError
from tollgate.gateway.keys import generate
from tollgate.handler.http.requests import read_body
from tollgate.handler.settings import MAX_BODY_BYTES

USER: dict[str, Any] = {"role": "user", "content": "x"}
GOOD: dict[str, Any] = {"model": "m", "messages": [USER]}


def request(*pieces: bytes, **headers: str) -> Request:
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def parse(body: Any) -> ChatRequest:
    return parse_json(body if isinstance(body, bytes) else json.dumps(body).encode(), ChatRequest)


def refused(body: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        parse(body)
    assert caught.value.message
    json.dumps(error_body(caught.value))
    return caught.value


# --- the key ----------------------------------------------------------------------------------------------------------


KEY, _ = generate(lambda count: b"k" * count)


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY}", f"Bearer {KEY} "])
def test_key_is_read_from_the_authorization_header(value: str) -> None:
    assert bearer_key(request(authorization=value).headers) == KEY


@pytest.mark.parametrize(
    "form", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer{}", "Bearer\t{}", "\xe9", "Bearer sk-1"]
)
def test_anything_else_is_no_key(form: str) -> None:
    with pytest.raises(AuthenticationError):
        bearer_key(request(authorization=form.format(KEY)).headers)


def test_without_the_header_there_is_no_key() -> None:
    with pytest.raises(AuthenticationError):
        bearer_key(request().headers)


# --- the body's size --------------------------------------------------------------------------------------------------


async def test_body_is_put_together() -> None:
    assert await read_body(request(b"ab", b"", b"c")) == b"abc"


async def test_body_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    full = bytes(MAX_BODY_BYTES)
    assert await read_body(request(full, content_length=str(len(full)))) == full
    with pytest.raises(RequestTooLargeError):
        await read_body(request(full, b"x"))


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 5000])
async def test_body_declared_too_large_is_refused_unread(length: str) -> None:
    with pytest.raises(RequestTooLargeError, match="6 MB"):
        await read_body(request(content_length=length))


@pytest.mark.parametrize("length", ["", "-1", "x", "\xb2", "0", "0x7fffffff"])
async def test_length_that_lies_or_is_none_is_not_believed(length: str) -> None:
    assert await read_body(request(b"abc", content_length=length)) == b"abc"


# --- what is no JSON object -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"model": "m",}',
        b"{'model': 'm'}",
        b"\xff\xfe\xfd",
        b'{"model": "m"}{}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"null",
        b"[]",
        b'"text"',
        b"3",
        b"NaN",
        b"\x00",
    ],
)
def test_what_is_no_json_object_is_told_so(body: bytes) -> None:
    error = refused(body)
    assert (error.status, error.param, error.code) == (400, None, "invalid_json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_any_of_its_encodings_is_read(encoding: str) -> None:
    body = json.dumps({**GOOD, "user": "\u00e9\u2028"}, ensure_ascii=False).encode(encoding)
    assert parse(body).wire()["user"] == "\u00e9\u2028"


# --- what is at fault -------------------------------------------------------------------------------------------------

MISSING = {
    "model": {"messages": [USER]},
    "messages": {"model": "m"},
    "messages[0].role": {**GOOD, "messages": [{"content": "x"}]},
    "messages[1].role": {**GOOD, "messages": [USER, {}]},
}


@pytest.mark.parametrize("param", MISSING)
def test_missing_field_is_named(param: str) -> None:
    error = refused(MISSING[param])
    assert (error.param, error.code) == (param, "missing_required_parameter")
    assert error.message == f"Missing required parameter: '{param}'."


def with_message(**fields: Any) -> dict[str, Any]:
    return {**GOOD, "messages": [USER, {**USER, **fields}]}


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("model", {**GOOD, "model": 3}),
    ("model", {**GOOD, "model": ""}),
    ("model", {**GOOD, "model": ["m"]}),
    ("model", {**GOOD, "model": "\ud800"}),
    ("messages", {**GOOD, "messages": []}),
    ("messages", {**GOOD, "messages": "x"}),
    ("messages", {**GOOD, "messages": {"role": "user"}}),
    ("messages[0]", {**GOOD, "messages": ["x"]}),
    ("messages[1]", {**GOOD, "messages": [USER, None]}),
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
    ("temperature", {**GOOD, "temperature": "0.5"}),
    ("temperature", {**GOOD, "temperature": 3}),
    ("temperature", {**GOOD, "temperature": -0.1}),
    ("temperature", {**GOOD, "temperature": float("nan")}),
    ("temperature", {**GOOD, "temperature": float("inf")}),
    ("temperature", {**GOOD, "temperature": True}),
    ("temperature", {**GOOD, "temperature": 10**400}),
    ("temperature", {**GOOD, "temperature": {}}),
    ("top_p", {**GOOD, "top_p": 1.1}),
    ("max_tokens", {**GOOD, "max_tokens": 0}),
    ("max_tokens", {**GOOD, "max_tokens": 1.5}),
    ("max_tokens", {**GOOD, "max_tokens": "5"}),
    ("max_completion_tokens", {**GOOD, "max_completion_tokens": -1}),
    ("n", {**GOOD, "n": 0}),
    ("n", {**GOOD, "n": 129}),
    ("n", {**GOOD, "n": 10**30}),
    ("stream", {**GOOD, "stream": "true"}),
    ("stream", {**GOOD, "stream": 1}),
    ("stream_options", {**GOOD, "stream_options": True}),
    ("stream_options.include_usage", {**GOOD, "stream_options": {"include_usage": "yes"}}),
    ("stop", {**GOOD, "stop": 3}),
    ("stop", {**GOOD, "stop": {}}),
    ("stop", {**GOOD, "stop": {"0": "a"}}),
    ("tools", {**GOOD, "tools": {}}),
    ("tools[0]", {**GOOD, "tools": ["f"]}),
    ("tool_choice", {**GOOD, "tool_choice": []}),
    ("tool_choice", {**GOOD, "tool_choice": 3}),
    ("response_format", {**GOOD, "response_format": "json"}),
]


@pytest.mark.parametrize(("param", "body"), INVALID, ids=[f"{n}-{param}" for n, (param, _) in enumerate(INVALID)])
def test_field_that_is_wrong_is_named(param: str, body: dict[str, Any]) -> None:
    error = refused(body)
    assert (error.status, error.param, error.code) == (400, param, "invalid_value")
    assert f"'{param}'" in error.message


def test_what_the_client_said_is_not_said_back() -> None:
    assert "hush" not in refused(with_message(content={"secret": "hush"})).message
    assert "hush" not in refused({**GOOD, "temperature": "hush"}).message


def test_first_fault_is_told() -> None:
    assert refused({}).param == "model"


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_nulls_count_as_absent() -> None:
    body = {**GOOD, "temperature": None, "stream": None, "stop": None, "tools": None, "whatever": None, "n": None}
    assert parse(body).wire() == GOOD
    assert refused({**GOOD, "model": None}).code == "missing_required_parameter"


def test_nulls_inside_are_kept() -> None:
    body = {**with_message(role="assistant", content=None, tool_calls=None), "stream_options": {"include_usage": None}}
    assert parse(body).wire() == body
    assert not parse(body).wants_usage_chunk


def test_unknown_fields_are_kept_at_every_depth() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body = {**with_message(content=[part], name="n"), "seed": 2**70, "provider": {"order": ["a"]}}
    assert parse(body).wire() == body


def test_last_of_two_equal_names_counts() -> None:
    assert parse(b'{"model": "a", "model": "b", "messages": [{"role": "user"}]}').model == "b"


def test_lone_surrogates_go_through() -> None:
    assert parse(with_message(content="a\ud800")).messages[1].get("content") == "a\ud800"


@pytest.mark.parametrize("body", [{**GOOD, "\ud800": 1}, {**GOOD, "messages": [{**USER, "\ud800": 1}]}])
def test_name_that_is_no_text_is_refused(body: dict[str, Any]) -> None:
    assert refused(body).code == "invalid_value"


@pytest.mark.parametrize("field", ["wire", "output_limit", "wants_usage_chunk", "model_config", "model_fields", "self"])
def test_field_named_like_our_own_changes_nothing(field: str) -> None:
    request = parse({**GOOD, field: {"a": 1}, "max_tokens": 5})
    assert (request.output_limit, request.wants_usage_chunk) == (5, False)
    assert request.wire()[field] == {"a": 1}


@pytest.mark.parametrize("depth", [100, 300, 900])
def test_deep_nesting_that_json_takes_is_taken(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    assert parse(b'{"model": "m", "messages": [{"role": "user"}], "metadata": %b}' % nested).wire()["metadata"]


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
@settings(max_examples=300)
def test_any_body_is_taken_or_refused_with_a_field_of_its_own(body: dict[str, Any]) -> None:
    field = fault(body)
    assert field is None or field.partition("[")[0].partition(".")[0] in {*body, "model", "messages"}


def fault(body: dict[str, Any]) -> str | None:
    """The field at fault; None where the body is taken."""
    try:
        parse(body)
    except BadRequestError as error:
        return error.param or ""
    return None


def test_part_of_content_without_a_type_is_named() -> None:
    error = refused(with_message(content=[{"text": "x"}]))
    assert (error.param, error.code) == ("messages[1].content[0].type", "missing_required_parameter")


def test_nulls_inside_a_part_of_content_count_as_absent() -> None:
    parse_json(
        json.dumps(with_message(content=[{"type": "text", "text": "x", "image_url": None}])).encode(), ChatRequest
    )


# --- what a body may cost ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "item", "most"),
    [
        ("messages", {"role": "user", "content": "x"}, MAX_MESSAGES),
        ("tools", {"type": "function"}, MAX_TOOLS),
        ("stop", "x", MAX_STOPS),
    ],
)
def test_lists_have_bounds(field: str, item: Any, most: int) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    parse_json(json.dumps({**body, field: [item] * most}).encode(), ChatRequest)
    with pytest.raises(BadRequestError) as refused:
        parse_json(json.dumps({**body, field: [item] * (most + 1)}).encode(), ChatRequest)
    assert (refused.value.param, refused.value.code) == (field, "invalid_value")


@pytest.mark.parametrize(
    ("field", "item", "most"), [("content", {"type": "text"}, MAX_PARTS), ("tool_calls", {}, MAX_TOOL_CALLS)]
)
def test_lists_in_a_message_have_bounds(field: str, item: Any, most: int) -> None:
    body = {"model": "m", "messages": [{"role": "assistant", field: [item] * (most + 1)}]}
    with pytest.raises(BadRequestError) as refused:
        parse_json(json.dumps(body).encode(), ChatRequest)
    assert (refused.value.param, refused.value.code) == (f"messages[0].{field}", "invalid_value")


@pytest.mark.parametrize(
    "junk", [b"0,", b"{},", b"[],", b'"",', b"[[],{}],", b'{"a":0,"b":0},'], ids=lambda junk: junk.decode()
)
def test_a_body_of_nothing_but_values_is_refused_before_it_is_parsed(junk: bytes) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":[' + junk * (3_000_000 // len(junk)) + b"0]}]}"
    tracemalloc.start()
    try:
        with pytest.raises(BadRequestError):
            parse_json(body, ChatRequest)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_a_long_text_full_of_brackets_and_quotes_is_a_text() -> None:
    text = '[{"a": [1, 2, 3]}, "\\", {}],' * 50_000
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    assert parse_json(json.dumps(body).encode(), ChatRequest).messages[0].get("content") == text


def test_a_long_conversation_of_short_messages_is_one() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Go on."}]}] * MAX_MESSAGES
    body = json.dumps({"model": "m", "messages": messages}).encode()
    assert len(parse_json(body, ChatRequest).messages) == MAX_MESSAGES
