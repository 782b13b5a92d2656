"""JSON bodies: which are read, what is kept of them, and what a body may cost."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chat_bodies import USER, VALID, parse, refusal, with_message
from tollgate.adapters.clients.json_body import parse_json
from tollgate.gateway.chat import MAX_MESSAGES, ChatRequest
from tollgate.gateway.errors import BadRequestError, UnsupportedMediaTypeError


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
def test_body_that_is_not_a_json_object_is_invalid_json(body: bytes) -> None:
    error = refusal(body)
    assert (error.status, error.param, error.code) == (400, None, "invalid_json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_every_unicode_encoding_is_read(encoding: str) -> None:
    body = json.dumps({**VALID, "user": "\u00e9\u2028"}, ensure_ascii=False).encode(encoding)
    assert parse(body).wire()["user"] == "\u00e9\u2028"


def test_error_does_not_repeat_the_value() -> None:
    assert "hush" not in refusal(with_message(content={"secret": "hush"})).message
    assert "hush" not in refusal({**VALID, "temperature": "hush"}).message


def test_first_invalid_field_is_reported() -> None:
    assert refusal({}).param == "messages"


def test_null_fields_count_as_absent() -> None:
    body = {**VALID, "temperature": None, "stream": None, "stop": None, "tools": None, "whatever": None, "n": None}
    assert parse(body).wire() == VALID
    assert refusal({**VALID, "messages": None}).code == "missing_required_parameter"


def test_nested_nulls_are_kept() -> None:
    body = {**with_message(role="assistant", content=None, tool_calls=None), "stream_options": {"include_usage": None}}
    assert parse(body).wire() == body
    assert not parse(body).wants_usage_chunk


def test_unknown_fields_are_kept_at_every_depth() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body = {**with_message(content=[part], name="n"), "seed": 2**70, "provider": {"order": ["a"]}}
    assert parse(body).wire() == body


def test_last_of_duplicate_names_is_used() -> None:
    assert parse(b'{"model": "a", "model": "b", "messages": [{"role": "user"}]}').model == "b"


def test_lone_surrogates_are_kept() -> None:
    assert parse(with_message(content="a\ud800")).messages[1].get("content") == "a\ud800"


@pytest.mark.parametrize("body", [{**VALID, "\ud800": 1}, {**VALID, "messages": [{**USER, "\ud800": 1}]}])
def test_field_name_that_is_not_unicode_is_refused(body: dict[str, Any]) -> None:
    assert refusal(body).code == "invalid_value"


@pytest.mark.parametrize("field", ["wire", "output_limit", "wants_usage_chunk", "model_config", "model_fields", "self"])
def test_field_named_like_an_attribute_of_the_request_changes_no_attribute(field: str) -> None:
    request = parse({**VALID, field: {"a": 1}, "max_tokens": 5})
    assert (request.output_limit, request.wants_usage_chunk) == (5, False)
    assert request.wire()[field] == {"a": 1}


@pytest.mark.parametrize("depth", [100, 300, 900])
def test_nesting_that_the_json_parser_supports_is_accepted(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    assert parse(b'{"model": "m", "messages": [{"role": "user"}], "metadata": %b}' % nested).wire()["metadata"]


@pytest.mark.parametrize(
    "item", [b"0,", b"{},", b"[],", b'"",', b"[[],{}],", b'{"a":0,"b":0},'], ids=lambda item: item.decode()
)
def test_body_of_too_many_values_is_refused_before_it_is_parsed(item: bytes) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":[' + item * (3_000_000 // len(item)) + b"0]}]}"
    tracemalloc.start()
    try:
        with pytest.raises(BadRequestError):
            parse_json({}, body, ChatRequest)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_long_text_of_brackets_and_quotes_is_accepted() -> None:
    text = '[{"a": [1, 2, 3]}, "\\", {}],' * 50_000
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    assert parse_json({}, json.dumps(body).encode(), ChatRequest).messages[0].get("content") == text


def test_long_conversation_of_short_messages_is_accepted() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Go on."}]}] * MAX_MESSAGES
    body = json.dumps({"model": "m", "messages": messages}).encode()
    assert len(parse_json({}, body, ChatRequest).messages) == MAX_MESSAGES


@given(text=st.text(st.sampled_from('a\u00e9\U0001f600\U0002f800\U000e0067\\"\x00\n'), max_size=12))
def test_characters_outside_the_basic_plane_are_kept(text: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], text + "x": text}
    for ascii_only in (False, True):
        assert parse(json.dumps(body, ensure_ascii=ascii_only).encode()).wire() == body


@pytest.mark.parametrize(
    "wrong", [b'"\\\xf0\x9f\x98\x80"', b"\xf0\x9f\x98\x80", b'"\xf0\x9f\x98"', b'"\xf0\x8f\x98\x80"']
)
def test_character_outside_the_basic_plane_where_none_may_be_is_refused(wrong: bytes) -> None:
    error = refusal(b'{"model": "m", "messages": [{"role": "user", "content": %b}]}' % wrong)
    assert error.code == "invalid_json"


def test_one_emoji_does_not_multiply_the_memory_of_a_body() -> None:
    messages = [{"role": "user", "content": "word " * 200}] * 1000 + [{"role": "user", "content": "\U0001f600"}]
    body = json.dumps({"model": "m", "messages": messages}, ensure_ascii=False).encode()
    tracemalloc.start()
    try:
        parse_json({}, body, ChatRequest)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "Application/JSON; charset=utf-8", "text/json", "application/vnd.api+json"]
)
def test_json_is_read_under_its_content_types(content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert parse_json(headers, json.dumps(body).encode(), ChatRequest).model == "m"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        parse_json({"content-type": content_type}, b"{}", ChatRequest)
