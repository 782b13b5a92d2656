"""Fields and content of messages in the dialects of compatible servers."""

from typing import Any

import pytest

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from unit.adapters.openai_requests import FIRST_MESSAGES, built, refused

OURS: Json = {"refusal": None, "annotations": [], "extra_content": {"google": {}}, "images": [{"type": "image_url"}]}
STRICT = ("openai", "azure", "groq", "mistral", "deepseek", "xai", "fireworks", "gemini-openai")


def conversation(*more: Json, **fields: Any) -> Json:
    return {"messages": [*FIRST_MESSAGES, *more], **fields}


@pytest.mark.parametrize("name", STRICT)
def test_gateways_response_fields_are_removed_without_a_report(name: str) -> None:
    call = {"id": "D681PevKs", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}
    content = {"role": "assistant", "content": None, **OURS, "tool_calls": [call]}
    body, upstream_request = built(
        name, conversation(content, {"role": "tool", "tool_call_id": "D681PevKs", "content": "7"})
    )
    assert body["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert body["messages"][1]["tool_calls"][0].keys() == {"id", "type", "function"}
    assert upstream_request.dropped == ()


def test_google_gets_its_signatures() -> None:
    call: Json = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {}},
    }
    body, _ = built("gemini-openai", conversation({"role": "assistant", "tool_calls": [call]}))
    assert "extra_content" in body["messages"][1]["tool_calls"][0]


@pytest.mark.parametrize("name", ["vllm", "openrouter", "together"])
def test_server_that_takes_any_field_gets_all_that_are_not_empty(name: str) -> None:
    content = {"role": "assistant", "content": "7", "refusal": None, "annotations": [{"type": "url_citation"}]}
    body, _ = built(name, conversation(content))
    assert body["messages"][1] == {"role": "assistant", "content": "7", "annotations": [{"type": "url_citation"}]}


@pytest.mark.parametrize(("name", "kept"), [("openai", True), ("xai", True), ("groq", False), ("mistral", False)])
def test_message_name_is_sent_if_supported_else_reported(name: str, kept: bool) -> None:
    body, upstream_request = built(name, {"messages": [{"role": "user", "content": "Hi", "name": "ann"}]})
    assert ("name" in body["messages"][0]) is kept
    assert upstream_request.dropped == (() if kept else ("name",))


def test_unknown_message_field_is_reported() -> None:
    assert built("groq", {"messages": [{"role": "user", "content": "Hi", "timestamp": 5}]})[1].dropped == ("timestamp",)


@pytest.mark.parametrize(("name", "content"), [("mistral", "No."), ("openai", "")])
def test_refusal_is_content_without_a_refusal_field(name: str, content: str) -> None:
    body, _ = built(name, conversation({"role": "assistant", "content": None, "refusal": "No."}, *FIRST_MESSAGES))
    assert body["messages"][1]["content"] == content
    assert ("refusal" in body["messages"][1]) is (name == "openai")


def test_audio_in_assistant_messages_is_refused_without_support() -> None:
    content = conversation({"role": "assistant", "content": None, "audio": {"id": "a"}}, *FIRST_MESSAGES)
    assert refused("mistral", content) == "messages[1].audio"
    assert built("openai", content)[0]["messages"][1]["audio"] == {"id": "a"}


PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("name", "role", "flat"),
    [
        ("deepseek", "user", True), ("deepseek", "tool", True), ("groq", "system", True), ("groq", "tool", True),
        ("groq", "user", False), ("openai", "system", False), ("groq", "developer", True),
    ],
)  # fmt: skip
def test_text_parts_are_a_string_if_only_strings_are_supported(name: str, role: str, flat: bool) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    before = [{"role": "assistant", "content": None, "tool_calls": [call]}] if role == "tool" else []
    message = {"role": role, "content": PARTS, **({"tool_call_id": "c"} if role == "tool" else {})}
    body, _ = built(name, conversation(*before, message))
    assert body["messages"][-1]["content"] == ("a\nb" if flat else PARTS)


def test_image_is_kept_as_a_part() -> None:
    parts = [*PARTS, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert built("deepseek", {"messages": [{"role": "user", "content": parts}]})[0]["messages"][0]["content"] == parts


@pytest.mark.parametrize("role", ["user", "system", "tool", "assistant"])
@pytest.mark.parametrize("nothing", [None, []])
def test_empty_content_is_an_empty_string(role: str, nothing: Any) -> None:
    body, _ = built("openai", conversation({"role": role, "content": nothing, "tool_call_id": "c"}))
    assert body["messages"][1]["content"] == ""


@pytest.mark.parametrize("name", ["mistral", "openai", "vllm"])
def test_empty_lists_and_tool_fields_without_tools_are_left_out(name: str) -> None:
    nothing: Json = {"tools": [], "stop": [], "logit_bias": {}, "tool_choice": "auto", "parallel_tool_calls": True}
    content: Json = {"role": "assistant", "content": "7", "tool_calls": []}
    body, upstream_request = built(name, conversation(content, *FIRST_MESSAGES, **nothing))
    assert body.keys() == {"model", "messages"}
    assert body["messages"][1].keys() == {"role", "content"}
    assert upstream_request.dropped == ()


def test_forced_tool_without_tools_is_refused() -> None:
    with pytest.raises(BadRequestError, match="only allowed with tools") as caught:
        built("openai", {"tools": [], "tool_choice": "required"})
    assert caught.value.param == "tool_choice"


def test_nulls_in_a_tool_are_left_out_but_not_in_its_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    given_value = {
        "type": "function",
        "function": {"name": "f", "strict": None, "description": None, "parameters": schema},
    }
    body, _ = built("mistral", {"tools": [given_value]})
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
        ([{"role": "system", "content": "s"}, *FIRST_MESSAGES], ["assistant", "user", "user"]),
        ([{"role": "assistant", "content": "7"}, *FIRST_MESSAGES], ["assistant", "user"]),
    ],
)
def test_mistral_gets_an_assistant_between_a_result_and_a_user(after: list[Json], roles: list[str]) -> None:
    body, upstream_request = built("mistral", conversation(*RESULT, *after))
    assert [message["role"] for message in body["messages"][3:]] == roles
    assert all(message["content"] for message in body["messages"][3:])
    assert upstream_request.dropped == ()
    assert len(built("openai", conversation(*RESULT, *after))[0]["messages"]) == 3 + len(after)
