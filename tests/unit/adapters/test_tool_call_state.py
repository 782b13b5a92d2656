"""State in the ids of tool calls, with a client that sends back OpenAI's standard fields alone."""

import json

import pytest

from support.families import ALL, read, request, route
from support.folding import fold
from support.rules import result_or_gateway_error
from tollgate.adapters import tool_call_state
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.types import Json

FIRST_MESSAGES: Json = {"role": "user", "content": "Hi"}


def echoed(message: Json) -> Json:
    """An assistant message as OpenAI's clients send it back."""
    calls = [{name: call[name] for name in ("id", "type", "function")} for call in message["tool_calls"]]
    return {"role": "assistant", "content": message["content"], "tool_calls": calls}


def next_turn(family: str, message: Json) -> Json:
    """The body of the request with the results of the calls, to a model that thinks adaptively."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "7"} for call in message["tool_calls"]]
    tools = [{"type": "function", "function": {"name": call["function"]["name"]}} for call in message["tool_calls"]]
    given_value = request(messages=[FIRST_MESSAGES, echoed(message), *results], tools=tools)
    built = ALL[family].call(given_value, route(family, thinking="adaptive")).request
    assert built.dropped == ()
    return json.loads(built.body)


@pytest.mark.parametrize("family", ["anthropic", "bedrock"])
def test_thinking_before_a_call_is_sent_back_with_it(family: str) -> None:
    whole = ALL[family].parse("thinking_tool").choices[0]["message"]
    (streamed,) = fold(read(ALL[family].open("thinking_tool"), ALL[family].stream("thinking_tool")))
    for message in (whole, streamed["message"]):
        _, content, results = next_turn(family, message)["messages"]
        kept = next_turn(family, {**message, "content": None})["messages"][1]["content"]
        blocks = json.loads(ALL[family].whole("thinking_tool"))
        native = blocks["content"] if family == "anthropic" else blocks["output"]["message"]["content"]
        thinking_blocks = [
            block for block in native if "thinking" in block or "data" in block or "reasoningContent" in block
        ]
        assert thinking_blocks
        assert content["content"][: len(thinking_blocks)] == thinking_blocks == kept[: len(thinking_blocks)]
        assert "sig" not in json.dumps(results)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "eJw=", "é"])
def test_id_without_valid_state_has_none(text: str) -> None:
    for mark in (tool_call_state.CLAUDE, tool_call_state.GEMINI):
        assert (
            tool_call_state.details_of_call(
                {"id": tool_call_state.attach_state("call_1", mark, text) if text.isascii() else text}
            )
            == []
        )


def test_unsigned_thinking_is_not_attached_to_ids() -> None:
    details = tool_call_state.ReasoningDetails()
    details.entries.append({"type": "reasoning.text", "text": "x", "signature": None})
    assert details.attach_to({"id": "call_1"}) == {"id": "call_1"}


def test_other_providers_get_the_id_without_state() -> None:
    call = {
        "id": tool_call_state.attach_state("call_1", tool_call_state.CLAUDE, "c2ln" * 100),
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    messages = [FIRST_MESSAGES, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "7"})
    body = json.loads(ALL["openai"].call(request(messages=messages), route("openai")).request.body)
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == "call_1"


def test_long_id_is_shortened_consistently_for_servers_that_refuse_it() -> None:
    call = {"id": "c" * 100, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [FIRST_MESSAGES, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "7"})
    for quirks, length in ((Quirks(max_tool_id_length=40), 40), (Quirks(), 100)):
        built = ALL["openai"].call(request(messages=messages), route("openai", quirks)).request
        body = json.loads(built.body)
        assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"]
        assert len(body["messages"][2]["tool_call_id"]) == length


@pytest.mark.parametrize("of", ["anthropic", "bedrock", "gemini"])
@pytest.mark.parametrize("to", ["anthropic", "bedrock", "gemini", "openai"])
def test_conversation_continues_with_any_other_family(of: str, to: str) -> None:
    name = "tools" if of == "gemini" else "thinking_tool"
    body = json.dumps(next_turn(to, ALL[of].parse(name).choices[0]["message"]))
    packed = [
        call["id"].split(".")[2]
        for call in ALL[of].parse(name).choices[0]["message"]["tool_calls"]
        if "." in call["id"]
    ]
    assert packed
    if not (of == to == "gemini"):
        assert not any(data in body for data in packed)
    if to == "gemini" != of:
        assert '"thoughtSignature": "skip_thought_signature_validator"' in body


def test_thinking_between_calls_is_sent_back_between_them() -> None:
    first, second = (
        {"type": "reasoning.text", "text": t, "signature": f"s{t}", "format": "anthropic-claude-v1"} for t in "12"
    )
    details = tool_call_state.ReasoningDetails()
    calls: list[Json] = []
    for name, detail in (("f", first), ("g", second)):
        details.entries.append(detail)
        call = {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        calls.append(details.attach_to(call))
    body = next_turn("anthropic", {"content": "Well.", "tool_calls": calls})
    assert [block["type"] for block in body["messages"][1]["content"]] == [
        "thinking", "text", "tool_use", "thinking", "tool_use",
    ]  # fmt: skip


def test_encrypted_thinking_without_a_format_is_not_sent() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
    }
    given_value = request(messages=[FIRST_MESSAGES, message, FIRST_MESSAGES])
    for family in ("anthropic", "bedrock"):
        body = ALL[family].call(given_value, route(family, thinking="adaptive")).request.body
        assert b"edacted" not in body


@pytest.mark.parametrize("family", ["anthropic", "bedrock", "gemini"])
def test_results_are_sent_in_the_order_of_their_calls(family: str) -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "w", "arguments": "{}"}} for name in ("a", "b")]
    results = [{"role": "tool", "tool_call_id": name, "content": f"for {name}"} for name in ("b", "a")]
    given_value = request(messages=[FIRST_MESSAGES, {"role": "assistant", "tool_calls": calls}, *results])
    body = ALL[family].call(given_value, route(family, thinking="budget")).request.body
    assert body.index(b"for a") < body.index(b"for b")


@pytest.mark.parametrize("family", ["anthropic", "bedrock", "gemini"])
def test_audio_in_assistant_messages_is_refused(family: str) -> None:
    given_value = request(
        messages=[FIRST_MESSAGES, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, FIRST_MESSAGES]
    )
    with pytest.raises(BadRequestError) as caught:
        ALL[family].call(given_value, route(family))
    assert caught.value.param == "messages[1].audio"


@pytest.mark.parametrize("family", ["anthropic", "bedrock", "gemini"])
@pytest.mark.parametrize("part", ["image_url", "file"])
def test_lone_surrogates_are_refused_or_kept(family: str, part: str) -> None:
    url = "data:text/plain,\ud800"
    inner = {"image_url": {"url": url}} if part == "image_url" else {"file": {"file_data": url}}
    given_value = request(messages=[{"role": "user", "content": [{"type": part, **inner}]}])
    result_or_gateway_error(lambda: ALL[family].call(given_value, route(family)).request)
