"""Chat requests in the dialects of compatible servers, by their rows."""

import json

import pytest

from support import families
from tollgate.adapters import openai
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from unit.adapters.openai_requests import CATALOG, FIRST_MESSAGES, IN_JSON, LOOP, SCHEMA, TOOLS, built, refused, request

# --- providers --------------------------------------------------------------------------------------------------------


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
def test_output_limit_has_each_providers_name(name: str, field: str) -> None:
    for value in ("max_tokens", "max_completion_tokens"):
        body, upstream_request = built(name, {value: 5})
        assert body == {"model": "up", "messages": FIRST_MESSAGES, field: 5}
        assert upstream_request.dropped == ()


def test_output_limit_over_the_models_is_lowered_and_reported() -> None:
    body, upstream_request = built("vllm", {"max_tokens": 500}, max_output_tokens=100)
    assert body["max_tokens"] == 100
    assert upstream_request.dropped == ("max_tokens=100",)


def test_azure_is_called_with_its_deployment_under_v1() -> None:
    _, upstream_request = built("azure", {})
    assert upstream_request.url == "https://YOUR-RESOURCE.openai.azure.com/openai/v1/chat/completions"
    assert (CATALOG.providers["azure"].auth, CATALOG.providers["azure"].auth_header) == ("header", "api-key")


@pytest.mark.parametrize(("name", "role"), [("openai", "developer"), ("openrouter", "developer"), ("groq", "system")])
def test_developer_role_becomes_system_if_unsupported(name: str, role: str) -> None:
    body, _ = built(name, {"messages": [{"role": "developer", "content": "Be brief."}, *FIRST_MESSAGES]})
    assert body["messages"][0] == {"role": role, "content": "Be brief."}


def test_mistral_gets_only_supported_fields_under_its_names() -> None:
    fields = {"seed": 3, "user": "u", "logit_bias": {"5": 1}, "stream": True, "temperature": 0.5, "n": 2}
    body, upstream_request = built("mistral", fields)
    known = {"random_seed": 3, "stream": True, "temperature": 0.5, "n": 2}
    assert body == {"model": "up", "messages": FIRST_MESSAGES, **known}
    assert upstream_request.dropped == ("user", "logit_bias")
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
def test_cache_breakpoints_are_dropped_and_reported(name: str) -> None:
    part = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    body, upstream_request = built(name, {"messages": [{"role": "user", "content": [part]}]})
    assert body["messages"][0]["content"] == ("Hi" if name == "deepseek" else [{"type": "text", "text": "Hi"}])
    assert upstream_request.dropped == ("cache_control",)
    body, upstream_request = built("openrouter", {"messages": [{"role": "user", "content": [part]}]})
    assert body["messages"][0]["content"] == [part]
    assert upstream_request.dropped == ()


@pytest.mark.parametrize(
    ("name", "dropped_names"),
    [
        ("openai", ("cache_control",)),
        ("azure", ("cache_control",)),
        ("openrouter", ()),
        ("mistral", ("cache_control", "prompt_cache_breakpoint")),
    ],
)
def test_each_provider_gets_its_supported_cache_breakpoints(name: str, dropped_names: tuple[str, ...]) -> None:
    marks = {"cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"mode": "explicit"}}
    body, upstream_request = built(
        name, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **marks}]}]}
    )
    assert body["messages"][0]["content"][0].keys() - {"type", "text"} == marks.keys() - {*dropped_names}
    assert upstream_request.dropped == dropped_names


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs"])
def test_parameter_that_groq_refuses_and_changes_the_answer_is_refused(field: str) -> None:
    assert refused("groq", {field: 1}) == field
    assert refused("groq", {"n": 2}) == "n"
    body, upstream_request = built(
        "groq", {"n": 1, "logprobs": False, "messages": [{**FIRST_MESSAGES[0], "name": "Ann"}]}
    )
    assert body == {"model": "up", "messages": FIRST_MESSAGES}
    assert upstream_request.dropped == ("name",)


def test_schema_without_native_support_is_a_tool_call() -> None:
    body, _ = built("deepseek", {"response_format": IN_JSON}, json_schema=False)
    function = {"name": "answer", "parameters": SCHEMA}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "answer"}}
    assert "response_format" not in body
    assert built("openai", {"response_format": IN_JSON})[0]["response_format"] == IN_JSON
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert refused("deepseek", {"response_format": IN_JSON, "tools": tools}, json_schema=False) == "response_format"


def test_images_are_refused_without_vision() -> None:
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
def test_text_model_refuses_other_parts(name: str, model: str, part: Json) -> None:
    assert not CATALOG.models[model].capabilities.vision
    fields: Json = {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}
    assert refused(name, fields, vision=False) == "messages[0].content[1].type"
    assert built(name, fields)[0]["messages"] == fields["messages"]


def test_fields_that_ollama_ignores_are_not_sent() -> None:
    body, upstream_request = built(
        "ollama", {**TOOLS, "tool_choice": "auto", "user": "u", "logit_bias": {"5": 1}, "n": 1}
    )
    assert body == {"model": "up", "messages": FIRST_MESSAGES, **TOOLS}
    assert upstream_request.dropped == ("user", "logit_bias")
    assert refused("ollama", {"n": 2}) == "n"
    for choice in ("required", {"type": "function", "function": {"name": "f"}}):
        assert refused("ollama", {**TOOLS, "tool_choice": choice}) == "tool_choice"
    assert refused("ollama", {"response_format": IN_JSON}, json_schema=False) == "response_format"


def test_ollama_gets_no_tools_with_tool_choice_none() -> None:
    body, upstream_request = built("ollama", {**TOOLS, "tool_choice": "none", "parallel_tool_calls": False})
    assert body == {"model": "up", "messages": FIRST_MESSAGES}
    assert upstream_request.dropped == ()


def test_ollama_gets_inline_images_only() -> None:
    def shown(url: str) -> Json:
        part = {"type": "image_url", "image_url": {"url": url}}
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}

    inline = shown("data:image/png;base64,iVBORw0KGgo=")
    assert built("ollama", inline)[0]["messages"] == inline["messages"]
    for url in ("https://x/i.png", "HTTP://x/i.png"):
        assert refused("ollama", shown(url)) == "messages[0].content[1].image_url.url"
    assert built("vllm", shown("https://x/i.png"))[0]["messages"] == shown("https://x/i.png")["messages"]


def test_clients_request_is_not_modified() -> None:
    upstream_request = request(
        messages=[{"role": "developer", "content": "x", "cache_control": {"type": "ephemeral"}}, *LOOP]
    )
    before = json.dumps(upstream_request.wire())
    openai.ChatCall(upstream_request, Route(families.route("openai").model, CATALOG.providers["mistral"], "up", None))
    assert json.dumps(upstream_request.wire()) == before


# --- router fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({"include_reasoning": False}, ("include_reasoning",)),
        ({"include_reasoning": True}, ()),
        ({"reasoning": {"exclude": True}}, ("reasoning.exclude",)),
        ({"models": ["a/b"]}, ()),
        ({"transforms": ["middle-out"]}, ("transforms",)),
        ({"transforms": []}, ()),
    ],
)
def test_router_fields_are_reported_if_dropped(fields: Json, reported: tuple[str, ...]) -> None:
    assert built("openai", fields)[1].dropped == reported
    assert built("openrouter", fields)[1].dropped == ()
    if reported:
        assert refused("openai", {**fields, "provider": {"require_parameters": True}}) == reported[0]
