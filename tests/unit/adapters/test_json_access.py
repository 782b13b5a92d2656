"""Reading JSON of unknown form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters import json_access
from tollgate.gateway.errors import UpstreamError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "text",
    ["", " ", "<html>", "[]", "3", "null", '"x"', "{", "{oops}", '{"a":1}{"b":2}', "[" * 200_000, "9" * 5000, b"\xff"],
)
def test_other_text_than_a_json_object_is_an_upstream_error(text: str | bytes) -> None:
    with pytest.raises(UpstreamError):
        json_access.parse_object(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_nan_and_infinity_are_read_as_null(number: str) -> None:
    assert json_access.parse_object(f'{{"a": {number}, "b": 1.5}}') == {"a": None, "b": 1.5}


def test_object_is_read_from_text_and_bytes_with_or_without_a_byte_order_mark() -> None:
    for text in ('{"a": 1}', b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16")):
        assert json_access.parse_object(text) == {"a": 1}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (0, 0),
        (-1, 0),
        (100_000_000, 100_000_000),
        (100_000_001, 0),
        (2**53 - 1, 0),
        (10**40, 0),
        (True, 0),
        (3.0, 3),
        (3.5, 0),
        ("3", 0),
        (None, 0),
        ([], 0),
    ],
)
def test_count_is_a_whole_number_in_range(value: Any, number: int) -> None:
    assert json_access.count({"n": value}, "n") == number


def test_missing_value_is_empty() -> None:
    assert json_access.count({}, "n") == 0
    assert json_access.child({}, "n") == {}
    assert json_access.children({}, "n") == []
    assert json_access.text({}, "n") is None


@given(ANYTHING)
def test_every_reader_returns_its_type(value: Any) -> None:
    parent: dict[str, Any] = {"n": value}
    assert isinstance(json_access.child(parent, "n"), dict)
    assert all(isinstance(item, dict) for item in json_access.children(parent, "n"))
    assert 0 <= json_access.count(parent, "n") < 2**53
    assert json_access.text(parent, "n") != ""
    written = json.dumps(json_access.parse_object(json.dumps(parent)))
    assert not {"NaN", "Infinity"} & set(written.replace("-", " ").replace(",", " ").split())
