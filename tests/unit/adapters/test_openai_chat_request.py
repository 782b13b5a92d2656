"""The OpenAI family's requests: what passes as it is, and the dialects of compatible servers, as their rows say."""

import json
from typing import Any

import pytest

from support import families
from support.folding import fold
from tollgate.adapters import openai
from tollgate.gateway.catalog import Provider
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest
from tollgate.handler.components import read_catalog

ASK: list[Any] = [{"role": "user", "content": "How many?"}]


def route(base_url: str = "https://x/v1", **quirks: Any) -> Route:
    found = families.route("openai", Quirks(**quirks))
    provider = Provider(name="p", family="openai", base_url=base_url, auth="none", quirks=Quirks(**quirks))
    return Route(found.model, provider, "up", None)


def request(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": ASK, **fields})


def sent(fields: Json, **quirks: Any) -> Json:
    body = json.loads(openai.ChatCall(request(**fields), route(**quirks)).request.body)
    assert body.pop("model") == "up"
    assert body.pop("messages") == ASK
    return body


# --- what every server is asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["https://x/v1", "https://x/v1/"])
def test_request_goes_to_chat_completions_under_the_base_url(base_url: str) -> None:
    built = openai.ChatCall(request(), route(base_url)).request
    assert (built.method, built.url) == ("POST", "https://x/v1/chat/completions")
    assert built.headers == {"content-type": "application/json"}


def test_unknown_fields_pass_and_what_was_not_given_stays_away() -> None:
    fields: Json = {"top_k": 7, "stop": ["a"], "metadata": {"a": None}, "temperature": 0.5}
    assert sent(fields) == fields


def test_nulls_inside_a_message_are_kept() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[Any] = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "r"}]
    assert json.loads(openai.ChatCall(request(messages=messages), route()).request.body)["messages"] == messages


def test_whole_numbers_stay_whole() -> None:
    assert '"temperature":1' in openai.ChatCall(request(temperature=1), route()).request.body.decode().replace(".0", "")
    assert b'"seed":9007199254740993' in openai.ChatCall(request(seed=2**53 + 1), route()).request.body


def test_fields_named_like_our_own_are_only_fields() -> None:
    fields: Json = {"wire": 1, "output_limit": 5, "model_config": 3, "model_extra": {"a": 1}, "__class__": 3, "self": 4}
    assert sent(fields) == fields


def test_every_stream_is_asked_for_its_usage() -> None:
    assert sent({"stream": True})["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    assert sent({"stream": True, "stream_options": options})["stream_options"] == {**options, "include_usage": True}


def test_provider_that_knows_no_stream_options_gets_none() -> None:
    assert sent({"stream": True, "stream_options": {"include_usage": True}}, stream_usage=False) == {"stream": True}
    assert sent({"stream": True}, stream_usage=False) == {"stream": True}


def test_whole_answer_needs_no_stream_options() -> None:
    assert sent({}) == {}
    assert sent({"stream": False}) == {"stream": False}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("given_as", ["max_tokens", "max_completion_tokens"])
def test_output_limit_goes_under_the_name_the_provider_knows(name: str, given_as: str) -> None:
    assert sent({given_as: 5}, max_tokens_field=name) == {name: 5}
    assert sent({given_as: 5}) == {given_as: 5}
    assert sent({}, max_tokens_field=name) == {}


def test_of_two_output_limits_the_newer_name_counts() -> None:
    both = {"max_tokens": 5, "max_completion_tokens": 6}
    assert sent(both, max_tokens_field="max_tokens") == {"max_tokens": 6}
    assert sent(both) == both


def test_fields_the_provider_refuses_are_left_out() -> None:
    assert sent({"logit_bias": {}, "seed": 1}, unsupported=("logit_bias", "nowhere")) == {"seed": 1}


def test_what_is_left_out_is_told_or_refused_where_the_client_requires_all() -> None:
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
def test_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(BadRequestError):
        openai.ChatCall(request(metadata={"a": [number]}), route())


def test_request_is_ascii_whatever_is_said() -> None:
    body = openai.ChatCall(request(user="\ud800\u2028\U0001f600"), route()).request.body
    assert body.isascii()
    assert json.loads(body)["user"] == "\ud800\u2028\U0001f600"


def test_schema_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    given = ChatRequest.model_construct(model="m", messages=ASK, response_format=wanted)
    with pytest.raises(BadRequestError, match="too deeply"):
        openai.ChatCall(given, families.route("openai", json_schema=False))


# --- dialects ---------------------------------------------------------------------------------------------------------

CATALOG = read_catalog(None)
CALL: Json = {"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP: list[Any] = [
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_abc", "content": "7"},
]
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
IN_JSON: Json = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def built(name: str, fields: Json, **capabilities: Any) -> tuple[Json, UpstreamRequest]:
    """The body for a provider of the built-in catalog, and all of the request."""
    model = families.route("openai").model.model_copy(update={"capabilities": Capabilities(**capabilities)})
    asked = openai.ChatCall(request(**fields), Route(model, CATALOG.providers[name], "up", None)).request
    return json.loads(asked.body), asked


def refused(name: str, fields: Json, **capabilities: Any) -> str | None:
    with pytest.raises(BadRequestError) as caught:
        built(name, fields, **capabilities)
    assert caught.value.code == "unsupported_parameter"
    return caught.value.param


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
        ("mistral", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("ollama", "max_tokens"),
    ],
)
def test_output_limit_has_the_name_that_each_knows(name: str, field: str) -> None:
    for given in ("max_tokens", "max_completion_tokens"):
        body, asked = built(name, {given: 5})
        assert body == {"model": "up", "messages": ASK, field: 5}
        assert asked.dropped == ()


def test_output_limit_is_at_most_the_models_and_that_is_told() -> None:
    body, asked = built("vllm", {"max_tokens": 500}, max_output_tokens=100)
    assert body["max_tokens"] == 100
    assert asked.dropped == ("max_tokens=100",)


def test_azure_is_asked_for_its_deployment_under_v1() -> None:
    _, asked = built("azure", {})
    assert asked.url == "https://YOUR-RESOURCE.openai.azure.com/openai/v1/chat/completions"
    assert (CATALOG.providers["azure"].auth, CATALOG.providers["azure"].auth_header) == ("header", "api-key")


@pytest.mark.parametrize(("name", "role"), [("openai", "developer"), ("openrouter", "developer"), ("groq", "system")])
def test_developer_is_the_system_where_that_role_is_unknown(name: str, role: str) -> None:
    body, _ = built(name, {"messages": [{"role": "developer", "content": "Be brief."}, *ASK]})
    assert body["messages"][0] == {"role": role, "content": "Be brief."}


def test_mistral_gets_only_what_it_knows_and_by_its_names() -> None:
    fields = {"seed": 3, "user": "u", "logit_bias": {"5": 1}, "stream": True, "temperature": 0.5, "n": 2}
    body, asked = built("mistral", fields)
    known = {"random_seed": 3, "stream": True, "temperature": 0.5, "n": 2}
    assert body == {"model": "up", "messages": ASK, **known}
    assert asked.dropped == ("user", "logit_bias")
    assert refused("mistral", {"logprobs": True}) == "logprobs"
    assert refused("mistral", {"functions": [{"name": "f"}]}) == "functions"


def test_mistrals_ids_are_nine_letters_and_digits_in_calls_and_results() -> None:
    body, _ = built("mistral", {"messages": LOOP})
    call_id = body["messages"][1]["tool_calls"][0]["id"]
    assert len(call_id) == 9
    assert call_id.isalnum()
    assert body["messages"][2]["tool_call_id"] == call_id
    other = json.loads(json.dumps(LOOP).replace("call_abc", "call_abd"))
    assert built("mistral", {"messages": other})[0]["messages"][2]["tool_call_id"] != call_id
    fits = json.loads(json.dumps(LOOP).replace("call_abc", "D681PevKs"))
    assert built("mistral", {"messages": fits})[0]["messages"] == fits


@pytest.mark.parametrize("name", ["openai", "groq", "mistral", "deepseek"])
def test_marks_of_the_cache_stay_behind_and_are_told(name: str) -> None:
    part = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    body, asked = built(name, {"messages": [{"role": "user", "content": [part]}]})
    assert body["messages"][0]["content"] == ("Hi" if name == "deepseek" else [{"type": "text", "text": "Hi"}])
    assert asked.dropped == ("cache_control",)
    body, asked = built("openrouter", {"messages": [{"role": "user", "content": [part]}]})
    assert body["messages"][0]["content"] == [part]
    assert asked.dropped == ()


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("openai", ("cache_control",)),
        ("azure", ("cache_control",)),
        ("openrouter", ()),
        ("mistral", ("cache_control", "prompt_cache_breakpoint")),
    ],
)
def test_each_gets_the_marks_of_the_cache_that_it_knows(name: str, lost: tuple[str, ...]) -> None:
    marks = {"cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"mode": "explicit"}}
    body, asked = built(name, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **marks}]}]})
    assert body["messages"][0]["content"][0].keys() - {"type", "text"} == marks.keys() - {*lost}
    assert asked.dropped == lost


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("openai", set[str]()),
        ("deepseek", {"reasoning_content"}),
        ("openrouter", {"reasoning", "reasoning_details"}),
        ("vllm", {"reasoning_content", "reasoning", "reasoning_details"}),
    ],
)
def test_reasoning_goes_back_under_the_names_that_each_reads(name: str, kept: set[str]) -> None:
    thought = {"reasoning_content": "r", "reasoning": "r", "reasoning_details": [{"type": "reasoning.text"}]}
    body, asked = built(name, {"messages": [*ASK, {"role": "assistant", "content": "7", **thought}, *ASK]})
    assert body["messages"][1].keys() - {"role", "content"} == kept
    assert asked.dropped == ()


def test_deepseeks_thinking_is_switched_and_goes_by_the_efforts_it_knows() -> None:
    knows = {"thinking": "adaptive", "efforts": ("low", "high", "max")}
    assert built("deepseek", {"reasoning_effort": "none"}, **knows)[0]["thinking"] == {"type": "disabled"}
    body, asked = built("deepseek", {"reasoning_effort": "medium", "temperature": 0.3}, **knows)
    assert (body["reasoning_effort"], "thinking" in body, "temperature" in body) == ("low", False, False)
    assert asked.dropped == ("reasoning_effort=low", "temperature")


def test_deepseek_does_not_think_where_its_old_thoughts_are_lost() -> None:
    body, asked = built("deepseek", {"messages": LOOP})
    assert body["thinking"] == {"type": "disabled"}
    assert asked.dropped == ()
    assert built("deepseek", {"messages": LOOP, "reasoning": {"enabled": True}})[1].dropped == ("reasoning",)
    remembered = json.loads(json.dumps(LOOP))
    remembered[1]["reasoning_content"] = "Look it up."
    body, asked = built("deepseek", {"messages": remembered})
    assert "thinking" not in body
    assert body["messages"] == remembered


TOOLS: Json = {"tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    "forced",
    [
        {**TOOLS, "tool_choice": "required"},
        {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"response_format": IN_JSON},
    ],
)
def test_deepseek_does_not_think_where_a_tool_is_forced(forced: Json) -> None:
    knows: Json = {"thinking": "adaptive", "efforts": ("low", "high", "max"), "json_schema": False}
    body, asked = built("deepseek", {**forced, "temperature": 0.3}, **knows)
    assert (body["thinking"], body["temperature"]) == ({"type": "disabled"}, 0.3)
    assert asked.dropped == ()
    body, asked = built("deepseek", {**forced, "reasoning_effort": "medium"}, **knows)
    assert (body["thinking"], "reasoning_effort" in body) == ({"type": "disabled"}, False)
    assert asked.dropped == ("reasoning_effort",)
    assert built("deepseek", {**forced, "reasoning_effort": "none"}, **knows)[1].dropped == ()


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_deepseek_thinks_where_no_tool_is_forced(choice: str) -> None:
    body, _ = built("deepseek", {**TOOLS, "tool_choice": choice}, thinking="adaptive")
    assert "thinking" not in body


def test_only_who_asked_deepseek_to_reason_is_refused_where_it_cannot() -> None:
    strict: Json = {"provider": {"require_parameters": True}, "messages": LOOP, **TOOLS}
    assert built("deepseek", strict)[0]["thinking"] == {"type": "disabled"}
    assert refused("deepseek", {**strict, "reasoning_effort": "high"}) == "reasoning_effort"


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs"])
def test_what_groq_refuses_and_changes_the_answer_is_refused_here(field: str) -> None:
    assert refused("groq", {field: 1}) == field
    assert refused("groq", {"n": 2}) == "n"
    body, asked = built("groq", {"n": 1, "logprobs": False, "messages": [{**ASK[0], "name": "Ann"}]})
    assert body == {"model": "up", "messages": ASK}
    assert asked.dropped == ("name",)


def test_grok_that_reasons_takes_no_stop() -> None:
    model = CATALOG.models["grok-4.20"].capabilities
    assert refused("xai", {"stop": "x"}, unsupported=model.unsupported) == "stop"
    body, asked = built("xai", {"presence_penalty": 0, "frequency_penalty": 1}, unsupported=model.unsupported)
    assert body == {"model": "up", "messages": ASK}
    assert asked.dropped == ("frequency_penalty",)


def test_routers_fields_go_to_a_router_and_its_reasoning_is_everybodys() -> None:
    fields = {"reasoning": {"effort": "high"}, "transforms": ["middle-out"], "usage": {"include": True}}
    assert built("openrouter", fields)[0] == {"model": "up", "messages": ASK, **fields}
    assert built("openai", fields)[0] == {"model": "up", "messages": ASK, "reasoning_effort": "high"}
    assert refused("openai", {"plugins": [{"id": "web"}]}) == "plugins"


@pytest.mark.parametrize(
    ("given", "sent_effort", "told"),
    [
        ({"reasoning_effort": "low"}, "low", ()),
        ({"reasoning_effort": "max"}, "xhigh", ("reasoning_effort=xhigh",)),
        ({"reasoning_effort": "none"}, "none", ()),
        ({"reasoning": {"enabled": True}}, "low", ("reasoning=low",)),
        ({"reasoning": {"enabled": False}}, "none", ()),
    ],
)
def test_effort_is_one_that_the_model_knows(given: Json, sent_effort: str, told: tuple[str, ...]) -> None:
    body, asked = built("openai", given, thinking="adaptive", efforts=("low", "xhigh"))
    assert body["reasoning_effort"] == sent_effort
    assert asked.dropped == told


def test_model_that_always_thinks_thinks_as_little_as_it_can() -> None:
    body, asked = built("xai", {"reasoning_effort": "none"}, thinking="always")
    assert body["reasoning_effort"] == "low"
    assert asked.dropped == ("reasoning_effort=low",)


def test_effort_passes_where_nothing_is_known_of_the_model() -> None:
    assert built("vllm", {"reasoning_effort": "minimal"})[0]["reasoning_effort"] == "minimal"
    with pytest.raises(BadRequestError, match="not a supported reasoning effort"):
        built("vllm", {"reasoning_effort": "maximal"})


def test_model_that_thinks_takes_no_sampling_while_it_does() -> None:
    fields: Json = {"reasoning_effort": "high", "temperature": 0.2, "top_p": 1}
    body, asked = built("openai", fields, thinking="adaptive")
    assert body == {"model": "up", "messages": ASK, "reasoning_effort": "high"}
    assert asked.dropped == ("temperature",)
    assert built("openai", {"temperature": 0.2}, thinking="adaptive")[0]["temperature"] == 0.2


def test_schema_without_a_native_way_is_the_call_of_a_tool() -> None:
    body, _ = built("deepseek", {"response_format": IN_JSON}, json_schema=False)
    function = {"name": "answer", "parameters": SCHEMA}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "answer"}}
    assert "response_format" not in body
    assert built("openai", {"response_format": IN_JSON})[0]["response_format"] == IN_JSON
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert refused("deepseek", {"response_format": IN_JSON, "tools": tools}, json_schema=False) == "response_format"


def test_model_that_sees_nothing_is_shown_nothing() -> None:
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://x/i.png"}}]
    fields: Json = {"messages": [{"role": "user", "content": parts}]}
    assert refused("groq", fields, vision=False) == "messages[0].content[1].type"
    assert built("groq", fields)[0]["messages"][0]["content"] == parts


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://x/v.mp4"}},
    ],
)
@pytest.mark.parametrize(("name", "model"), [("deepseek", "deepseek-v4-flash"), ("groq", "gpt-oss-120b")])
def test_model_of_text_alone_gets_text_alone(name: str, model: str, part: Json) -> None:
    assert not CATALOG.models[model].capabilities.vision
    fields: Json = {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}
    assert refused(name, fields, vision=False) == "messages[0].content[1].type"
    assert built(name, fields)[0]["messages"] == fields["messages"]


def test_ollama_is_told_nothing_that_it_would_pass_over() -> None:
    body, asked = built("ollama", {**TOOLS, "tool_choice": "auto", "user": "u", "logit_bias": {"5": 1}, "n": 1})
    assert body == {"model": "up", "messages": ASK, **TOOLS}
    assert asked.dropped == ("user", "logit_bias")
    assert refused("ollama", {"n": 2}) == "n"
    for choice in ("required", {"type": "function", "function": {"name": "f"}}):
        assert refused("ollama", {**TOOLS, "tool_choice": choice}) == "tool_choice"
    assert refused("ollama", {"response_format": IN_JSON}, json_schema=False) == "response_format"


def test_ollama_calls_no_tool_where_none_is_wanted() -> None:
    body, asked = built("ollama", {**TOOLS, "tool_choice": "none", "parallel_tool_calls": False})
    assert body == {"model": "up", "messages": ASK}
    assert asked.dropped == ()


def test_ollama_gets_images_in_the_request_itself_only() -> None:
    def shown(url: str) -> Json:
        part = {"type": "image_url", "image_url": {"url": url}}
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}

    inline = shown("data:image/png;base64,iVBORw0KGgo=")
    assert built("ollama", inline)[0]["messages"] == inline["messages"]
    for url in ("https://x/i.png", "HTTP://x/i.png"):
        assert refused("ollama", shown(url)) == "messages[0].content[1].image_url.url"
    assert built("vllm", shown("https://x/i.png"))[0]["messages"] == shown("https://x/i.png")["messages"]


def test_the_request_itself_stays_as_it_was() -> None:
    asked = request(messages=[{"role": "developer", "content": "x", "cache_control": {"type": "ephemeral"}}, *LOOP])
    before = asked.model_dump_json()
    openai.ChatCall(asked, Route(families.route("openai").model, CATALOG.providers["mistral"], "up", None))
    assert asked.model_dump_json() == before


def test_deepseeks_reasoning_comes_back_with_the_call_it_led_to() -> None:
    provider = CATALOG.providers["deepseek"]
    there = Route(families.route("openai", thinking="adaptive").model, provider, "up", None)
    deepseek = families.ALL["openai"]
    whole = deepseek.call(request(), there).parse_response(deepseek.whole("vllm_tools")).choices[0]["message"]
    (streamed,) = fold(families.read(deepseek.call(request(), there).open_stream(), deepseek.stream("vllm_tools")))
    for message in (whole, streamed["message"]):
        call = message["tool_calls"][0]
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "7"}
        asked = openai.ChatCall(request(messages=[*ASK, said, result], temperature=1), there).request
        body = json.loads(asked.body)
        assert body["messages"][1]["reasoning_content"] == "Look it up."
        assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == "chatcmpl-tool-1"
        assert "thinking" not in body
        assert asked.dropped == ()


def test_reasoning_rides_only_where_it_must_come_back() -> None:
    message = families.ALL["openai"].parse("vllm_tools").choices[0]["message"]
    assert message["tool_calls"][0]["id"] == "chatcmpl-tool-1"


# --- messages as each server takes them -------------------------------------------------------------------------------

OURS: Json = {"refusal": None, "annotations": [], "extra_content": {"google": {}}, "images": [{"type": "image_url"}]}
STRICT = ("openai", "azure", "groq", "mistral", "deepseek", "xai", "fireworks", "gemini-openai")


def conversation(*more: Json, **fields: Any) -> Json:
    return {"messages": [*ASK, *more], **fields}


@pytest.mark.parametrize("name", STRICT)
def test_fields_of_our_own_answers_stay_behind_and_are_no_loss(name: str) -> None:
    call = {"id": "D681PevKs", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}
    said = {"role": "assistant", "content": None, **OURS, "tool_calls": [call]}
    body, asked = built(name, conversation(said, {"role": "tool", "tool_call_id": "D681PevKs", "content": "7"}))
    assert body["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert body["messages"][1]["tool_calls"][0].keys() == {"id", "type", "function"}
    assert asked.dropped == ()


def test_google_gets_its_signatures_back() -> None:
    call: Json = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {}},
    }
    body, _ = built("gemini-openai", conversation({"role": "assistant", "tool_calls": [call]}))
    assert "extra_content" in body["messages"][1]["tool_calls"][0]


@pytest.mark.parametrize("name", ["vllm", "openrouter", "together"])
def test_server_that_takes_any_field_gets_what_says_something(name: str) -> None:
    said = {"role": "assistant", "content": "7", "refusal": None, "annotations": [{"type": "url_citation"}]}
    body, _ = built(name, conversation(said))
    assert body["messages"][1] == {"role": "assistant", "content": "7", "annotations": [{"type": "url_citation"}]}


@pytest.mark.parametrize(("name", "kept"), [("openai", True), ("xai", True), ("groq", False), ("mistral", False)])
def test_name_of_a_user_goes_where_it_is_known_and_is_told_elsewhere(name: str, kept: bool) -> None:
    body, asked = built(name, {"messages": [{"role": "user", "content": "Hi", "name": "ann"}]})
    assert ("name" in body["messages"][0]) is kept
    assert asked.dropped == (() if kept else ("name",))


def test_field_that_a_client_has_made_up_is_told() -> None:
    assert built("groq", {"messages": [{"role": "user", "content": "Hi", "timestamp": 5}]})[1].dropped == ("timestamp",)


@pytest.mark.parametrize(("name", "said"), [("mistral", "No."), ("openai", "")])
def test_refusal_is_what_was_said_where_there_is_no_field_for_it(name: str, said: str) -> None:
    body, _ = built(name, conversation({"role": "assistant", "content": None, "refusal": "No."}, *ASK))
    assert body["messages"][1]["content"] == said
    assert ("refusal" in body["messages"][1]) is (name == "openai")


def test_sound_that_was_said_is_refused_where_it_is_not_remembered() -> None:
    said = conversation({"role": "assistant", "content": None, "audio": {"id": "a"}}, *ASK)
    assert refused("mistral", said) == "messages[1].audio"
    assert built("openai", said)[0]["messages"][1]["audio"] == {"id": "a"}


PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("name", "role", "flat"),
    [
        ("deepseek", "user", True), ("deepseek", "tool", True), ("groq", "system", True), ("groq", "tool", True),
        ("groq", "user", False), ("openai", "system", False), ("groq", "developer", True),
    ],
)  # fmt: skip
def test_text_parts_are_a_string_where_only_strings_are_taken(name: str, role: str, flat: bool) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    before = [{"role": "assistant", "content": None, "tool_calls": [call]}] if role == "tool" else []
    message = {"role": role, "content": PARTS, **({"tool_call_id": "c"} if role == "tool" else {})}
    body, _ = built(name, conversation(*before, message))
    assert body["messages"][-1]["content"] == ("a\nb" if flat else PARTS)


def test_image_stays_a_part_beside_its_text() -> None:
    parts = [*PARTS, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert built("deepseek", {"messages": [{"role": "user", "content": parts}]})[0]["messages"][0]["content"] == parts


@pytest.mark.parametrize("role", ["user", "system", "tool", "assistant"])
@pytest.mark.parametrize("nothing", [None, []])
def test_content_that_is_nothing_is_an_empty_text(role: str, nothing: Any) -> None:
    body, _ = built("openai", conversation({"role": role, "content": nothing, "tool_call_id": "c"}))
    assert body["messages"][1]["content"] == ""


@pytest.mark.parametrize("name", ["mistral", "openai", "vllm"])
def test_empty_lists_stay_behind_and_with_no_tools_what_is_said_of_them(name: str) -> None:
    nothing: Json = {"tools": [], "stop": [], "logit_bias": {}, "tool_choice": "auto", "parallel_tool_calls": True}
    said: Json = {"role": "assistant", "content": "7", "tool_calls": []}
    body, asked = built(name, conversation(said, *ASK, **nothing))
    assert body.keys() == {"model", "messages"}
    assert body["messages"][1].keys() == {"role", "content"}
    assert asked.dropped == ()


def test_tool_cannot_be_forced_where_there_is_none() -> None:
    with pytest.raises(BadRequestError, match="only allowed with tools") as caught:
        built("openai", {"tools": [], "tool_choice": "required"})
    assert caught.value.param == "tool_choice"


def test_nulls_in_a_tool_stay_behind_but_not_those_of_its_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    given = {"type": "function", "function": {"name": "f", "strict": None, "description": None, "parameters": schema}}
    body, _ = built("mistral", {"tools": [given]})
    assert body["tools"] == [{"type": "function", "function": {"name": "f", "parameters": schema}}]


RESULT: list[Json] = [
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "D681PevKs", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "D681PevKs", "content": "7"},
]


@pytest.mark.parametrize(
    ("after", "roles"),
    [
        ([{"role": "user", "content": "stop"}], ["assistant", "user"]),
        ([{"role": "system", "content": "s"}, *ASK], ["assistant", "user", "user"]),
        ([{"role": "assistant", "content": "7"}, *ASK], ["assistant", "user"]),
    ],
)
def test_mistral_gets_an_assistant_between_a_result_and_a_user(after: list[Json], roles: list[str]) -> None:
    body, asked = built("mistral", conversation(*RESULT, *after))
    assert [message["role"] for message in body["messages"][3:]] == roles
    assert all(message["content"] for message in body["messages"][3:])
    assert asked.dropped == ()
    assert len(built("openai", conversation(*RESULT, *after))[0]["messages"]) == 3 + len(after)


# --- thinking by default ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [{"temperature": 0}, {"top_p": 0.9}, {"presence_penalty": 1}])
def test_model_that_thinks_unasked_is_told_of_no_sampling(field: Json) -> None:
    thinks = {"thinking": "adaptive", "default_effort": "medium"}
    body, asked = built("openai", field, **thinks)
    assert not body.keys() & field.keys()
    assert asked.dropped == tuple(field)
    assert built("openai", {**field, "reasoning_effort": "none"}, **thinks)[1].dropped == ()
    assert built("openai", field, thinking="adaptive")[1].dropped == ()


def test_probabilities_are_refused_while_a_model_thinks() -> None:
    assert refused("openai", {"logprobs": True, "reasoning_effort": "low"}, thinking="adaptive") == "logprobs"
    assert built("openai", {"logprobs": True}, thinking="adaptive")[0]["logprobs"] is True


# --- a router's fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"include_reasoning": False}, ("include_reasoning",)),
        ({"include_reasoning": True}, ()),
        ({"reasoning": {"exclude": True}}, ("reasoning.exclude",)),
        ({"models": ["a/b"]}, ("models",)),
        ({"transforms": []}, ()),
    ],
)
def test_what_only_a_router_reads_is_told_where_it_is_lost(fields: Json, told: tuple[str, ...]) -> None:
    assert built("openai", fields)[1].dropped == told
    assert built("openrouter", fields)[1].dropped == ()
    if told:
        assert refused("openai", {**fields, "provider": {"require_parameters": True}}) == told[0]
