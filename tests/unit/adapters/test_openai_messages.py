"""Messages in the dialects of compatible servers: fields of responses that clients send back, roles and cache marks."""

import json
from typing import Any

import pytest

from support.families import ALL, route
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.quirks import Quirks

USER = {"role": "user", "content": "x"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ECHOED = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "images": [{"type": "image_url"}],
    "reasoning": "r",
    "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "s"}}}],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "1"}
PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def built(quirks: Quirks, *messages: Any, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    upstream_request = ChatRequest.of({"model": "m", "messages": [USER, *messages], **more})
    request = ALL["openai"].call(upstream_request, route("openai", quirks)).request
    return json.loads(request.body), request.dropped


def test_gateways_own_response_fields_are_not_sent() -> None:
    knows = Quirks(reasoning_fields=(), message_fields={"assistant": ("tool_calls",)})
    body, dropped = built(knows, ECHOED, RESULT)
    assert body["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert dropped == ()


def test_fields_of_a_servers_own_messages_are_sent_back() -> None:
    body, _ = built(Quirks(call_fields=("id", "type", "function", "extra_content")), ECHOED, RESULT)
    assert body["messages"][1]["images"] == ECHOED["images"]
    assert body["messages"][1]["tool_calls"] == ECHOED["tool_calls"]


def test_refusal_becomes_content_without_a_refusal_field() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    body, _ = built(Quirks(message_fields={"assistant": ()}), refused)
    assert body["messages"][1] == {"role": "assistant", "content": "No."}
    body, _ = built(Quirks(message_fields={"assistant": ("refusal",)}), refused)
    assert body["messages"][1]["refusal"] == "No."


def test_strict_server_gets_supported_fields_and_the_others_are_reported() -> None:
    strict = Quirks(message_fields={"user": (), "assistant": ("tool_calls",), "tool": ("tool_call_id", "name")})
    body, dropped = built(strict, {**USER, "name": "ann", "x": 1}, ECHOED, {**RESULT, "name": "f", "y": 2})
    assert [sorted(message) for message in body["messages"]] == [
        ["content", "role"],
        ["content", "role"],
        ["content", "role", "tool_calls"],
        ["content", "name", "role", "tool_call_id"],
    ]
    assert set(dropped) == {"name", "x", "y"}


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool", "developer"])
def test_text_parts_become_a_string_if_only_strings_are_supported(role: str) -> None:
    message: dict[str, Any] = {"role": role, "content": PARTS}
    around = [{"role": "assistant", "tool_calls": [CALL]}] if role == "tool" else []
    message |= {"tool_call_id": "call_1"} if role == "tool" else {}
    body, _ = built(Quirks(string_content=("system", "user", "assistant", "tool")), *around, message)
    assert body["messages"][-1]["content"] == "a\nb"
    body, _ = built(Quirks(), *around, message)
    assert body["messages"][-1]["content"] == PARTS


def test_other_parts_than_text_are_kept() -> None:
    parts = [*PARTS, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    body, _ = built(Quirks(string_content=("user",)), {"role": "user", "content": parts})
    assert body["messages"][-1]["content"] == parts


def test_assistant_message_is_inserted_between_a_result_and_a_user_message() -> None:
    conversation = [{"role": "assistant", "tool_calls": [CALL]}, RESULT, RESULT, USER]
    body, _ = built(Quirks(strict_order=True), *conversation)
    assert [message["role"] for message in body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
    ]
    body, _ = built(Quirks(), *conversation)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user"]


@pytest.mark.parametrize("name", ["tools", "stop", "logit_bias", "metadata", "modalities", "response_format"])
def test_empty_lists_and_objects_are_left_out(name: str) -> None:
    body, dropped = built(Quirks(), **{name: {} if name in ("logit_bias", "metadata", "response_format") else []})
    assert name not in body
    assert dropped == ()


def test_tool_choice_without_tools_is_left_out() -> None:
    body, _ = built(Quirks(), tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert body.keys() & {"tools", "tool_choice", "parallel_tool_calls"} == set()


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ({"include_reasoning": False}, ("include_reasoning",)),
        ({"include_reasoning": True}, ()),
        ({"models": ["a"], "route": "fallback"}, ()),
        ({"transforms": ["middle-out"]}, ("transforms",)),
    ],
)
def test_router_fields_are_dropped_and_reported(value: dict[str, Any], reported: tuple[str, ...]) -> None:
    body, dropped = built(Quirks(), **value)
    assert (body.keys() & value.keys(), dropped) == (set(), reported)


@pytest.mark.parametrize("name", ["temperature", "top_p", "presence_penalty"])
def test_sampling_is_dropped_where_a_model_thinks_by_default(name: str) -> None:
    upstream_request = ChatRequest.of({"model": "m", "messages": [USER], name: 0.3})
    thinks = route("openai", thinking="adaptive", default_effort="medium")
    assert ALL["openai"].call(upstream_request, thinks).request.dropped == (name,)
    at_rest = route("openai", thinking="adaptive")
    assert ALL["openai"].call(upstream_request, at_rest).request.dropped == ()
    quiet = ChatRequest.of({**upstream_request.wire(), "reasoning_effort": "none"})
    assert ALL["openai"].call(quiet, thinks).request.dropped == ()


def documents(*kinds: str) -> list[dict[str, Any]]:
    """Texts and documents; each document has a cache breakpoint."""
    files = {"md": "data:text/markdown;base64,IyBoaQ==", "pdf": "data:application/pdf;base64,JVBERi0xLjQK"}
    parts: list[dict[str, Any]] = []
    for place, kind in enumerate(kinds):
        name = kind.rstrip("*")
        part: dict[str, Any] = (
            {"type": "text", "text": "see"}
            if name == "text"
            else {"type": "file", "file": {"filename": f"{place}.{name}", "file_data": files[name]}}
        )
        parts.append({**part, "cache_control": {"type": "ephemeral"}} if kind.endswith("*") else part)
    return parts


@pytest.mark.parametrize(
    ("parts", "blocks", "reported"),
    [
        (("text", "md*"), ["text", "cachePoint", "document"], ("cache_control",)),
        (("text", "md", "md*"), ["text", "cachePoint", "document", "document"], ("cache_control",)),
        (("text", "pdf*"), ["text", "document", "cachePoint"], ()),
        (("text*", "md*"), ["text", "cachePoint", "document"], ("cache_control",)),
        (("md*", "text"), ["document", "text"], ("cache_control",)),
        (("pdf", "md*", "text"), ["document", "cachePoint", "document", "text"], ("cache_control",)),
    ],
)
def test_bedrock_gets_no_cache_point_after_a_document_other_than_pdf(
    parts: tuple[str, ...], blocks: list[str], reported: tuple[str, ...]
) -> None:
    message = {"role": "user", "content": documents(*parts)}
    upstream_request = ChatRequest.of({"model": "m", "messages": [message]})
    claude = route("bedrock", cache_points=("system", "messages", "tools"))
    request = ALL["bedrock"].call(upstream_request, claude).request
    content = json.loads(request.body)["messages"][0]["content"]
    assert [next(iter(block)) for block in content] == blocks
    assert request.dropped == reported


@pytest.mark.parametrize("thinking", ["adaptive", "budget"])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_bedrock_does_not_think_while_a_tool_is_forced(thinking: str, choice: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    fields = {"tools": tools, "tool_choice": choice, "reasoning_effort": "high", "max_tokens": 30_000}
    upstream_request = ChatRequest.of({"model": "m", "messages": [USER], **fields})
    request = (
        ALL["bedrock"]
        .call(upstream_request, route("bedrock", thinking=thinking, forced_tool_while_thinking=False))
        .request
    )
    native = json.loads(request.body).get("additionalModelRequestFields", {})
    assert native.get("thinking", {}).get("type") in (None, "disabled")
    assert "reasoning_effort" in request.dropped


def test_files_in_results_follow_the_results() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    call = {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]}
    first = {"role": "tool", "tool_call_id": "call_1", "content": [PARTS[0], image]}
    second = {"role": "tool", "tool_call_id": "call_2", "content": [image]}
    body, _ = built(Quirks(), call, first, second, USER)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert body["messages"][2]["content"] == [PARTS[0]]
    assert body["messages"][3]["content"] == ""
    assert body["messages"][4]["content"][1:] == [image, image]
