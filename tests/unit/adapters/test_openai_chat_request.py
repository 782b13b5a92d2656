"""Chat requests to OpenAI and compatible servers: what every server gets."""

import json
from typing import Any

import pytest

from support import families
from tollgate.adapters import openai
from tollgate.gateway.catalog import Provider
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from unit.adapters.openai_requests import FIRST_MESSAGES, request


def route(base_url: str = "https://x/v1", **quirks: Any) -> Route:
    found = families.route("openai", Quirks(**quirks))
    provider = Provider(name="p", family="openai", base_url=base_url, auth="none", quirks=Quirks(**quirks))
    return Route(found.model, provider, "up", None)


def sent(fields: Json, **quirks: Any) -> Json:
    body = json.loads(openai.ChatCall(request(**fields), route(**quirks)).request.body)
    assert body.pop("model") == "up"
    assert body.pop("messages") == FIRST_MESSAGES
    return body


@pytest.mark.parametrize("base_url", ["https://x/v1", "https://x/v1/"])
def test_request_goes_to_chat_completions_under_the_base_url(base_url: str) -> None:
    built = openai.ChatCall(request(), route(base_url)).request
    assert (built.method, built.url) == ("POST", "https://x/v1/chat/completions")
    assert built.headers == {"content-type": "application/json"}


def test_unknown_fields_pass_and_absent_fields_stay_absent() -> None:
    fields: Json = {"top_k": 7, "stop": ["a"], "metadata": {"a": None}, "temperature": 0.5}
    assert sent(fields) == fields


def test_nulls_inside_a_message_are_kept() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[Any] = [
        *FIRST_MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "r"},
    ]
    assert json.loads(openai.ChatCall(request(messages=messages), route()).request.body)["messages"] == messages


def test_integers_stay_integers() -> None:
    assert '"temperature":1' in openai.ChatCall(request(temperature=1), route()).request.body.decode().replace(".0", "")
    assert b'"seed":9007199254740993' in openai.ChatCall(request(seed=2**53 + 1), route()).request.body


def test_fields_named_like_request_attributes_pass() -> None:
    fields: Json = {"wire": 1, "output_limit": 5, "model_config": 3, "model_extra": {"a": 1}, "__class__": 3, "self": 4}
    assert sent(fields) == fields


def test_every_stream_requests_its_usage() -> None:
    assert sent({"stream": True})["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    assert sent({"stream": True, "stream_options": options})["stream_options"] == {**options, "include_usage": True}


def test_stream_options_are_removed_if_unsupported() -> None:
    assert sent({"stream": True, "stream_options": {"include_usage": True}}, stream_usage=False) == {"stream": True}
    assert sent({"stream": True}, stream_usage=False) == {"stream": True}


def test_whole_response_needs_no_stream_options() -> None:
    assert sent({}) == {}
    assert sent({"stream": False}) == {"stream": False}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("requested_as", ["max_tokens", "max_completion_tokens"])
def test_output_limit_has_the_providers_name(name: str, requested_as: str) -> None:
    assert sent({requested_as: 5}, max_tokens_field=name) == {name: 5}
    assert sent({requested_as: 5}) == {requested_as: 5}
    assert sent({}, max_tokens_field=name) == {}


def test_newer_name_of_the_output_limit_takes_precedence() -> None:
    both = {"max_tokens": 5, "max_completion_tokens": 6}
    assert sent(both, max_tokens_field="max_tokens") == {"max_tokens": 6}
    assert sent(both) == both


def test_fields_the_provider_refuses_are_left_out() -> None:
    assert sent({"logit_bias": {}, "seed": 1}, unsupported=("logit_bias", "nowhere")) == {"seed": 1}


def test_dropped_fields_are_reported_or_refused_if_the_client_requires_all() -> None:
    fields: Json = {"logit_bias": {"5": 1}, "top_k": 1}
    built = openai.ChatCall(request(**fields), route(unsupported=("logit_bias",))).request
    assert built.dropped == ("logit_bias",)
    strict = request(**fields, provider={"require_parameters": True})
    with pytest.raises(BadRequestError) as caught:
        openai.ChatCall(strict, route(unsupported=("logit_bias",)))
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "logit_bias")
    assert openai.ChatCall(strict, route()).request.dropped == ()


def test_object_for_a_router_goes_to_a_router_only() -> None:
    fields: Json = {"provider": {"order": ["x"]}}
    assert sent(fields) == {}
    assert sent(fields, router=True) == fields


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused(number: float) -> None:
    with pytest.raises(BadRequestError):
        openai.ChatCall(request(metadata={"a": [number]}), route())


def test_request_is_ascii() -> None:
    body = openai.ChatCall(request(user="\ud800\u2028\U0001f600"), route()).request.body
    assert body.isascii()
    assert json.loads(body)["user"] == "\ud800\u2028\U0001f600"


def test_schema_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    expected = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    given_value = ChatRequest.of({"model": "m", "messages": FIRST_MESSAGES, "response_format": expected})
    with pytest.raises(BadRequestError, match="too deeply"):
        openai.ChatCall(given_value, families.route("openai", json_schema=False))
