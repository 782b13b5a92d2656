"""The time to translate a request is linear in its size, in every family and for every part of it.

If the size of a part is limited, 4n is the limit.
"""

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from support.growth import MAX_GROWTH, growth, seconds
from tollgate.adapters import FAMILIES
from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.adapters.strict_schema import strict_schema, without_branches
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.chat import MAX_PARTS, MAX_STOPS, MAX_TOOL_CALLS, MAX_TOOLS, ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from tollgate.handler.components import read_catalog

MODELS = ("gpt-4o", "mistral-large-2512", "claude-sonnet-4-6", "gemini-3.6-flash", "bedrock/claude-sonnet-4-6", "echo")
MARK = {"cache_control": {"type": "ephemeral"}}
TEXT = base64.b64encode(b"seven").decode()

CATALOG: Catalog = read_catalog(None)


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def text(text_content: str) -> Json:
    return {"type": "text", "text": text_content}


def call(number: int) -> Json:
    return {"id": f"c{number}", "type": "function", "function": {"name": f"f{number % 7}", "arguments": '{"a": 1}'}}


def called(numbers: range) -> list[Json]:
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": "7"} for number in numbers]
    return [{"role": "assistant", "content": None, "tool_calls": [call(number) for number in numbers]}, *results]


def tool(number: int) -> Json:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    return {"type": "function", "function": {"name": f"f{number}", "parameters": schema}}


def file(number: int) -> Json:
    named = {"filename": "a.txt", "file_data": f"data:text/plain;base64,{TEXT}"}
    return {"type": "file", "file": named}


def document_turns(n: int) -> list[Json]:
    answer = {"role": "assistant", "content": "ok"}
    return [message for number in range(n) for message in (user([text("see"), file(number)]), answer)] + [user("Hi")]


PARTS: dict[str, tuple[int, Callable[[int], Json]]] = {
    "messages": (2400, lambda n: {"messages": [user(f"m{number}") for number in range(n)]}),
    "turns": (1200, lambda n: {"messages": [user("a"), {"role": "assistant", "content": "b"}] * n + [user("c")]}),
    "parts": (MAX_PARTS // 4, lambda n: {"messages": [user([text("a") for _ in range(n)])]}),
    "marks": (MAX_PARTS // 4, lambda n: {"messages": [user([{**text("a"), **MARK} for _ in range(n)])]}),
    "documents": (1200, lambda n: {"messages": document_turns(n)}),
    "tools": (MAX_TOOLS // 4, lambda n: {"tools": [tool(number) for number in range(n)], "messages": [user("a")]}),
    "calls in one message": (MAX_TOOL_CALLS // 4, lambda n: {"messages": [user("a"), *called(range(n))]}),
    "calls in many": (
        300,
        lambda n: {"messages": [user("a"), *(m for k in range(n) for m in called(range(k, k + 1)))]},
    ),
    "one id in every call": (1200, lambda n: {"messages": [user("a"), *called(range(1)) * n]}),
    "stop": (MAX_STOPS // 4, lambda n: {"stop": [f"s{number}" for number in range(n)], "messages": [user("a")]}),
    "white space": (40_000, lambda n: {"messages": [user(f"a{' ' * n}b{' ' * n}")]}),
    "white space alone": (40_000, lambda n: {"messages": [user(" " * n), user("a")]}),
    "lines": (40_000, lambda n: {"messages": [user("a\n" * n)]}),
    "system texts": (1200, lambda n: {"messages": [user("a"), *([{"role": "system", "content": "s"}, user("b")] * n)]}),
    "unknown fields": (800, lambda n: {**{f"x{number}": 1 for number in range(n)}, "messages": [user("a")]}),
}


def legacy(n: int) -> ChatRequest:
    turns = [m for k in range(n) for m in _function_turn(k)]
    return ChatRequest.of({"model": "m", "messages": [user("a"), *turns]})


def _function_turn(number: int) -> list[Json]:
    name = f"f{number % 3}"
    return [
        {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": "{}"}},
        {"role": "function", "name": name, "content": "7"},
    ]


def translation(name: str, fields: Json) -> Callable[[], object]:
    model = CATALOG.models[name]
    provider = CATALOG.providers[model.routes[0].provider]
    route = Route(model, provider, model.routes[0].model, None)
    request = ChatRequest.of({"model": name, **fields})

    def work() -> None:
        with suppress(BadRequestError):  # a refusal must cost no more than a translation
            FAMILIES[provider.family].calls["chat"](request, route)

    return work


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("model", MODELS)
def test_request_is_translated_in_linear_time(model: str, part: str) -> None:
    n, fields = PARTS[part]
    assert growth(lambda size: translation(model, fields(size)), n) < MAX_GROWTH


def test_functions_are_translated_to_tools_in_linear_time() -> None:
    def make(n: int) -> Callable[[], object]:
        request = legacy(n)
        return lambda: with_tools(request)

    assert growth(make, 500) < MAX_GROWTH


def test_schemas_with_many_branches_are_reduced_in_linear_time() -> None:
    def make(n: int) -> Callable[[], object]:
        branches = [{"properties": {f"p{number}": {"type": "string"}}, "required": ["a"]} for number in range(n)]
        return lambda: without_branches({"type": "object", "oneOf": branches})

    assert growth(make, 2000) < MAX_GROWTH


def test_lists_of_types_do_not_double_the_schema_with_every_level() -> None:
    schema: Json = {"type": "string"}
    for _ in range(20):
        schema = {"type": ["object", "array"], "anyOf": [schema]}
    assert seconds(lambda: strict_schema(schema)) < 5


def test_a_list_of_types_is_as_long_as_there_are_types() -> None:
    assert len(strict_schema({"type": ["string", "null"] * 1000, "pattern": "a"})["anyOf"]) == 2
