"""Reasoning in requests to compatible servers."""

import json

import pytest

from support import families
from support.folding import fold
from tollgate.adapters import openai
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from unit.adapters.openai_requests import CATALOG, FIRST_MESSAGES, IN_JSON, LOOP, TOOLS, built, refused, request

# --- providers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("openai", set[str]()),
        ("deepseek", {"reasoning_content"}),
        ("openrouter", {"reasoning", "reasoning_details"}),
        ("vllm", {"reasoning_content", "reasoning", "reasoning_details"}),
    ],
)
def test_reasoning_is_sent_back_in_each_providers_fields(name: str, kept: set[str]) -> None:
    thinking_blocks = {"reasoning_content": "r", "reasoning": "r", "reasoning_details": [{"type": "reasoning.text"}]}
    body, upstream_request = built(
        name, {"messages": [*FIRST_MESSAGES, {"role": "assistant", "content": "7", **thinking_blocks}, *FIRST_MESSAGES]}
    )
    assert body["messages"][1].keys() - {"role", "content"} == kept
    assert upstream_request.dropped == ()


def test_deepseeks_thinking_is_switched_and_has_supported_efforts() -> None:
    knows = {"thinking": "adaptive", "efforts": ("low", "high", "max")}
    assert built("deepseek", {"reasoning_effort": "none"}, **knows)[0]["thinking"] == {"type": "disabled"}
    body, upstream_request = built("deepseek", {"reasoning_effort": "medium", "temperature": 0.3}, **knows)
    assert (body["reasoning_effort"], "thinking" in body, "temperature" in body) == ("low", False, False)
    assert upstream_request.dropped == ("reasoning_effort=low", "temperature")


def test_deepseek_does_not_think_without_its_earlier_reasoning() -> None:
    body, upstream_request = built("deepseek", {"messages": LOOP})
    assert body["thinking"] == {"type": "disabled"}
    assert upstream_request.dropped == ()
    assert built("deepseek", {"messages": LOOP, "reasoning": {"enabled": True}})[1].dropped == ("reasoning",)
    remembered = json.loads(json.dumps(LOOP))
    remembered[1]["reasoning_content"] = "Look it up."
    body, upstream_request = built("deepseek", {"messages": remembered})
    assert "thinking" not in body
    assert body["messages"] == remembered


@pytest.mark.parametrize(
    "forced",
    [
        {**TOOLS, "tool_choice": "required"},
        {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"response_format": IN_JSON},
    ],
)
def test_deepseek_does_not_think_with_a_forced_tool(forced: Json) -> None:
    knows: Json = {"thinking": "adaptive", "efforts": ("low", "high", "max"), "json_schema": False}
    body, upstream_request = built("deepseek", {**forced, "temperature": 0.3}, **knows)
    assert (body["thinking"], body["temperature"]) == ({"type": "disabled"}, 0.3)
    assert upstream_request.dropped == ()
    body, upstream_request = built("deepseek", {**forced, "reasoning_effort": "medium"}, **knows)
    assert (body["thinking"], "reasoning_effort" in body) == ({"type": "disabled"}, False)
    assert upstream_request.dropped == ("reasoning_effort",)
    assert built("deepseek", {**forced, "reasoning_effort": "none"}, **knows)[1].dropped == ()


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_deepseek_thinks_without_a_forced_tool(choice: str) -> None:
    body, _ = built("deepseek", {**TOOLS, "tool_choice": choice}, thinking="adaptive")
    assert "thinking" not in body


def test_disabled_thinking_is_refused_only_if_reasoning_is_required() -> None:
    strict: Json = {"provider": {"require_parameters": True}, "messages": LOOP, **TOOLS}
    assert built("deepseek", strict)[0]["thinking"] == {"type": "disabled"}
    assert refused("deepseek", {**strict, "reasoning_effort": "high"}) == "reasoning_effort"


def test_stop_is_refused_for_reasoning_grok() -> None:
    model = CATALOG.models["grok-4.20"].capabilities
    assert refused("xai", {"stop": "x"}, unsupported=model.unsupported) == "stop"
    body, upstream_request = built(
        "xai", {"presence_penalty": 0, "frequency_penalty": 1}, unsupported=model.unsupported
    )
    assert body == {"model": "up", "messages": FIRST_MESSAGES}
    assert upstream_request.dropped == ("frequency_penalty",)


def test_router_fields_go_to_a_router_and_reasoning_to_every_provider() -> None:
    fields = {"reasoning": {"effort": "high"}, "transforms": ["middle-out"], "usage": {"include": True}}
    assert built("openrouter", fields)[0] == {"model": "up", "messages": FIRST_MESSAGES, **fields}
    assert built("openai", fields)[0] == {"model": "up", "messages": FIRST_MESSAGES, "reasoning_effort": "high"}
    assert refused("openai", {"plugins": [{"id": "web"}]}) == "plugins"


@pytest.mark.parametrize(
    ("value", "sent_effort", "reported"),
    [
        ({"reasoning_effort": "low"}, "low", ()),
        ({"reasoning_effort": "max"}, "xhigh", ("reasoning_effort=xhigh",)),
        ({"reasoning_effort": "none"}, "none", ()),
        ({"reasoning": {"enabled": True}}, "low", ("reasoning=low",)),
        ({"reasoning": {"enabled": False}}, "none", ()),
    ],
)
def test_effort_is_one_that_the_model_supports(value: Json, sent_effort: str, reported: tuple[str, ...]) -> None:
    body, upstream_request = built("openai", value, thinking="adaptive", efforts=("low", "xhigh"))
    assert body["reasoning_effort"] == sent_effort
    assert upstream_request.dropped == reported


def test_model_that_always_thinks_gets_the_lowest_effort() -> None:
    body, upstream_request = built("xai", {"reasoning_effort": "none"}, thinking="always")
    assert body["reasoning_effort"] == "low"
    assert upstream_request.dropped == ("reasoning_effort=low",)


def test_effort_passes_for_an_unknown_model() -> None:
    assert built("vllm", {"reasoning_effort": "minimal"})[0]["reasoning_effort"] == "minimal"
    with pytest.raises(BadRequestError, match="not a supported reasoning effort"):
        built("vllm", {"reasoning_effort": "maximal"})


def test_sampling_is_dropped_while_a_model_thinks() -> None:
    fields: Json = {"reasoning_effort": "high", "temperature": 0.2, "top_p": 1}
    body, upstream_request = built("openai", fields, thinking="adaptive")
    assert body == {"model": "up", "messages": FIRST_MESSAGES, "reasoning_effort": "high"}
    assert upstream_request.dropped == ("temperature",)
    assert built("openai", {"temperature": 0.2}, thinking="adaptive")[0]["temperature"] == 0.2


def test_deepseeks_reasoning_is_sent_back_with_its_call() -> None:
    provider = CATALOG.providers["deepseek"]
    there = Route(families.route("openai", thinking="adaptive").model, provider, "up", None)
    deepseek = families.ALL["openai"]
    whole = deepseek.call(request(), there).parse_response(deepseek.whole("vllm_tools")).choices[0]["message"]
    (streamed,) = fold(families.read(deepseek.call(request(), there).open_stream(), deepseek.stream("vllm_tools")))
    for message in (whole, streamed["message"]):
        call = message["tool_calls"][0]
        content = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "7"}
        upstream_request = openai.ChatCall(
            request(messages=[*FIRST_MESSAGES, content, result], temperature=1), there
        ).request
        body = json.loads(upstream_request.body)
        assert body["messages"][1]["reasoning_content"] == "Look it up."
        assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == "chatcmpl-tool-1"
        assert "thinking" not in body
        assert upstream_request.dropped == ()


def test_reasoning_is_attached_to_ids_only_if_required() -> None:
    message = families.ALL["openai"].parse("vllm_tools").choices[0]["message"]
    assert message["tool_calls"][0]["id"] == "chatcmpl-tool-1"


# --- thinking by default ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [{"temperature": 0}, {"top_p": 0.9}, {"presence_penalty": 1}])
def test_sampling_is_dropped_for_a_model_that_thinks_by_default(field: Json) -> None:
    thinks = {"thinking": "adaptive", "default_effort": "medium"}
    body, upstream_request = built("openai", field, **thinks)
    assert not body.keys() & field.keys()
    assert upstream_request.dropped == tuple(field)
    assert built("openai", {**field, "reasoning_effort": "none"}, **thinks)[1].dropped == ()
    assert built("openai", field, thinking="adaptive")[1].dropped == ()


def test_probabilities_are_refused_while_a_model_thinks() -> None:
    assert refused("openai", {"logprobs": True, "reasoning_effort": "low"}, thinking="adaptive") == "logprobs"
    assert built("openai", {"logprobs": True}, thinking="adaptive")[0]["logprobs"] is True
