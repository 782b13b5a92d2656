"""The Anthropic family's requests: what the Messages API is told, what is dropped and told, and what is refused."""

import base64
import datetime
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollgate.adapters import FAMILIES, anthropic
from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.catalog import Model, Provider, RouteRow, load
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()
CATALOG = load(
    [("catalog.toml", (Path(__file__).parents[3] / "src" / "catalog.toml").read_text(encoding="utf-8"))], FAMILIES
)


def route(base_url: str = "https://x/v1", **capabilities: Any) -> Route:
    model = Model(
        id="m",
        created=datetime.date(2026, 1, 1),
        owned_by="o",
        context_length=8,
        capabilities=Capabilities(**capabilities),
        routes=(RouteRow(provider="p", model="claude-x"),),
    )
    return Route(model, Provider(name="p", family="anthropic", base_url=base_url, auth="none"), "claude-x", None)


def of(model: str) -> Json:
    """The capabilities of a model in the catalog."""
    return CATALOG.models[model].capabilities.model_dump()


HAIKU, SONNET, OPUS, ALWAYS = (
    of(name) for name in ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "claude-opus-5-5")
)


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system", **more: Any) -> Json:
    return {"role": role, "content": content, **more}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "42", **more: Any) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


def text(said: str, **more: Any) -> Json:
    return {"type": "text", "text": said, **more}


ASK = [user("Hi")]
LOOP = [user("Hi"), assistant(None, tool_calls=[call("c1")]), result("c1")]


def build(fields: Json, capabilities: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.model_validate({"model": "m", "messages": ASK, **fields})
    return anthropic.ChatCall(request, route(**(capabilities or {}))).request


def sent(fields: Json, capabilities: Json | None = None) -> Json:
    return json.loads(build(fields, capabilities).body)


def dropped(fields: Json, capabilities: Json | None = None) -> tuple[str, ...]:
    return build(fields, capabilities).dropped


def refused(fields: Json, capabilities: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, capabilities)
    return caught.value


def turns(*messages: Json, **capabilities: Any) -> list[Json]:
    return sent({"messages": list(messages)}, capabilities)["messages"]


# --- the call ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["https://x/v1", "https://x/v1/"])
def test_request_goes_to_messages_in_the_version_that_knows_sampling(base_url: str) -> None:
    request = ChatRequest.model_validate({"model": "m", "messages": ASK})
    built = anthropic.ChatCall(request, route(base_url)).request
    assert (built.method, built.url) == ("POST", "https://x/v1/messages")
    assert built.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}


def test_body_has_what_must_be_there_and_nothing_else() -> None:
    assert sent({}) == {
        "model": "claude-x",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }


def test_stream_is_asked_for_without_openais_options() -> None:
    body = sent({"stream": True, "stream_options": {"include_usage": True}})
    assert body["stream"] is True
    assert "stream_options" not in body


def test_number_that_json_does_not_have_is_refused() -> None:
    tools = [tool(parameters={"type": "object", "default": float("nan")})]
    assert refused({"tools": tools}).status == 400


# --- system -----------------------------------------------------------------------------------------------------------


def test_leading_system_and_developer_messages_are_the_system() -> None:
    body = sent({"messages": [system("a"), system([text("b")], role="developer"), user("Hi")]})
    assert body["system"] == [text("a"), text("b")]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_blank_system_is_none() -> None:
    assert "system" not in sent({"messages": [system(" \n"), user("Hi")]})


def test_later_system_message_stays_where_it_is_as_the_users() -> None:
    assert turns(user("a"), system("b"), assistant("c"), user("d")) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
        {"role": "user", "content": [text("d")]},
    ]


def test_later_system_message_is_a_turn_where_the_model_takes_one() -> None:
    got = turns(user("a"), system("b"), system("c", role="developer"), assistant("d"), user("e"), **OPUS)
    assert [turn["role"] for turn in got] == ["user", "system", "assistant", "user"]
    assert got[1]["content"] == [text("b"), text("c")]


def test_system_message_at_the_end_is_a_turn() -> None:
    assert [turn["role"] for turn in turns(user("a"), system("b"), **OPUS)] == ["user", "system"]


@pytest.mark.parametrize(
    "messages",
    [[user("a"), system("b"), user("c")], [user("a"), assistant("x"), system("b"), user("c")]],
)
def test_system_message_where_no_turn_of_it_may_be_is_the_users(messages: list[Json]) -> None:
    assert "system" not in [turn["role"] for turn in turns(*messages, **OPUS)]


def test_system_alone_is_followed_by_a_user() -> None:
    body = sent({"messages": [system("a")]})
    assert body["system"] == [text("a")]
    assert body["messages"] == [{"role": "user", "content": [text("Begin.")]}]


# --- roles ------------------------------------------------------------------------------------------------------------


def test_messages_of_one_role_are_one_turn() -> None:
    got = turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [(turn["role"], len(turn["content"])) for turn in got] == [("user", 2), ("assistant", 2), ("user", 1)]


def test_conversation_begins_with_a_user() -> None:
    got = turns(assistant("Welcome."), user("Hi"))
    assert [turn["role"] for turn in got] == ["user", "assistant", "user"]


def test_blank_texts_are_left_out() -> None:
    assert turns(user([text(" "), text("a")]), assistant(""), user("b")) == [
        {"role": "user", "content": [text("a"), text("b")]}
    ]


def test_refusal_in_the_history_is_what_the_assistant_said() -> None:
    got = turns(user("a"), assistant(None, refusal="No."), user("b"), assistant([{"type": "refusal", "refusal": "N"}]))
    assert got[1]["content"] == [text("No.")]
    assert got[3]["content"] == [text("N")]


def test_prefill_has_no_white_space_at_its_end() -> None:
    assert turns(user("a"), assistant("The answer is \n"))[-1]["content"] == [text("The answer is")]


def test_prefill_is_refused_where_the_model_refuses_it() -> None:
    error = refused({"messages": [user("a"), assistant("b")]}, SONNET)
    assert (error.code, error.param) == ("unsupported_parameter", "messages")


def test_names_of_people_are_dropped_and_told() -> None:
    assert dropped({"messages": [user("a", name="Ada")]}) == ("name",)


def test_deprecated_functions_are_refused() -> None:
    messages = [user("a"), {"role": "function", "name": "f", "content": "1"}]
    assert refused({"messages": messages}).code == "unsupported_parameter"
    assert refused({"functions": [{"name": "f"}]}).param == "functions"


# --- parts ------------------------------------------------------------------------------------------------------------


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def only_block(part: Json, **capabilities: Any) -> Json:
    (turn,) = turns(user([part]), **capabilities)
    (block,) = turn["content"]
    return block


def test_image_by_https_url_is_fetched_by_the_provider() -> None:
    source = {"type": "url", "url": "https://example.com/a.png"}
    assert only_block(image("https://example.com/a.png")) == {"type": "image", "source": source}


@pytest.mark.parametrize("label", ["image/png", "image/jpg", "application/octet-stream", ""])
def test_image_in_a_data_url_is_what_its_bytes_say(label: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    assert only_block(image(f"data:{label};base64,{PNG}"))["source"] == source


def test_image_of_unknown_bytes_is_what_its_label_says() -> None:
    data = base64.b64encode(b"????" * 9).decode()
    assert only_block(image(f"data:image/jpg;base64,{data}"))["source"]["media_type"] == "image/jpeg"


def test_data_url_without_base64_becomes_base64() -> None:
    url = "data:image/gif,GIF89a%01%02%03"
    assert base64.b64decode(only_block(image(url))["source"]["data"]) == b"GIF89a\x01\x02\x03"


@pytest.mark.parametrize(
    "url",
    [
        "http://x/a.png",
        "ftp://x/a",
        "file:///etc/passwd",
        "https://",
        "https://[",
        "data:image/png;base64",
        "",
        "blob:x",
    ],
)
def test_image_that_is_neither_https_nor_data_is_refused(url: str) -> None:
    assert refused({"messages": [user([image(url)])]}).param == "messages[0].content[0].image_url.url"


def test_data_that_is_no_image_is_refused() -> None:
    assert refused({"messages": [user([image(f"data:application/pdf;base64,{PDF}")])]}).status == 400
    assert refused({"messages": [user([image("data:image/png;base64,\u00e9\u00e9\u00e9\u00e9")])]}).status == 400


def test_model_without_eyes_is_shown_nothing() -> None:
    error = refused({"messages": [user([image("https://x/a.png")])]}, {"vision": False})
    assert error.code == "unsupported_parameter"


def test_detail_of_an_image_is_dropped_and_told() -> None:
    fields: Json = {"messages": [user([image("https://x/a.png", detail="high")])]}
    assert dropped(fields) == ("image_url.detail",)
    assert dropped({"messages": [user([image("https://x/a.png", detail="auto")])]}) == ()


@pytest.mark.parametrize("data", [f"data:application/pdf;base64,{PDF}", PDF])
def test_pdf_is_a_document_with_its_name(data: str) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    got = only_block(file(file_data=data, filename="a.pdf"))
    assert got == {"type": "document", "source": source, "title": "a.pdf"}


def test_text_file_is_a_document_of_text() -> None:
    data = base64.b64encode("s\u00e9ven".encode()).decode()
    source = {"type": "text", "media_type": "text/plain", "data": "s\u00e9ven"}
    assert only_block(file(file_data=f"data:text/markdown;base64,{data}"))["source"] == source


def test_pdf_by_url_is_fetched_by_the_provider() -> None:
    assert only_block(file(file_data="https://x/a.pdf"))["source"] == {"type": "url", "url": "https://x/a.pdf"}


@pytest.mark.parametrize(
    "part",
    [
        file(file_id="file-1"),
        file(file_data=f"data:application/zip;base64,{PNG[:0]}UEsDBAo="),
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://x"}},
        {"type": "refusal", "refusal": "x"},
    ],
)
def test_part_that_anthropic_has_no_block_for_is_refused(part: Json) -> None:
    error = refused({"messages": [user([part])]})
    assert error.code == "unsupported_parameter"
    assert str(error.param).startswith("messages[0].content[0]")


# --- tools ------------------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def test_tool_has_its_name_description_and_schema() -> None:
    (native,) = sent({"tools": [tool("f", description="d", parameters=SCHEMA)]})["tools"]
    assert native == {"name": "f", "description": "d", "input_schema": SCHEMA}


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_tool_without_parameters_takes_an_empty_object(parameters: Json) -> None:
    (native,) = sent({"tools": [tool("f", **parameters)]})["tools"]
    assert native["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("name", ["files.read", "a/b", "\u00e9", "x" * 200, ".", "ns:f"])
def test_name_outside_the_alphabet_is_spelt_anew_everywhere_alike(name: str) -> None:
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call("c", name)]), result("c")],
            "tools": [tool(name), tool("f")],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    native = body["tools"][0]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", native)
    assert body["messages"][1]["content"][0]["name"] == body["tool_choice"]["name"] == native


def test_names_that_differ_stay_different() -> None:
    names = [native["name"] for native in sent({"tools": [tool("a.b"), tool("a/b"), tool("a_b")]})["tools"]]
    assert len(set(names)) == 3
    assert names[2] == "a_b"


def test_strict_tool_is_closed_where_the_model_can_be_held_to_it() -> None:
    (native,) = sent({"tools": [tool("f", parameters=SCHEMA, strict=True)]})["tools"]
    assert native["strict"] is True
    assert native["input_schema"] == {**SCHEMA, "additionalProperties": False}


def test_strictness_a_model_does_not_have_is_dropped_and_told() -> None:
    fields: Json = {"tools": [tool("f", parameters=SCHEMA, strict=True)]}
    assert dropped(fields, {"json_schema": False}) == ("tools.function.strict",)
    assert "strict" not in sent(fields, {"json_schema": False})["tools"][0]


def test_tool_that_is_no_function_is_refused() -> None:
    error = refused({"tools": [tool(), {"type": "custom", "custom": {"name": "f"}}]})
    assert (error.code, error.param) == ("unsupported_parameter", "tools[1].type")
    assert refused({"tools": [{"type": "function", "function": {}}]}).param == "tools[0].function.name"


CHOICES: list[tuple[Any, Any]] = [
    (None, None),
    ("auto", {"type": "auto"}),
    ("none", {"type": "none"}),
    ("required", {"type": "any"}),
    ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
]


@pytest.mark.parametrize(("openais", "native"), CHOICES)
def test_tool_choice_in_anthropics_words(openais: Any, native: Any) -> None:
    assert sent({"tools": [tool()], "tool_choice": openais}).get("tool_choice") == native


@pytest.mark.parametrize(("openais", "native"), CHOICES)
def test_parallel_calls_off_is_said_wherever_it_may_be(openais: Any, native: Any) -> None:
    got = sent({"tools": [tool()], "tool_choice": openais, "parallel_tool_calls": False})["tool_choice"]
    if openais == "none":
        assert got == {"type": "none"}
    else:
        assert got == {**(native or {"type": "auto"}), "disable_parallel_tool_use": True}


def test_allowed_tools_are_the_ones_that_are_sent() -> None:
    choice: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}}
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": choice})
    assert [native["name"] for native in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_forced_tool_is_refused_where_the_model_refuses_it(choice: Any) -> None:
    error = refused({"tools": [tool()], "tool_choice": choice}, ALWAYS)
    assert (error.code, error.param) == ("unsupported_parameter", "tool_choice")


def test_choice_of_a_tool_that_is_not_there_is_refused() -> None:
    named = {"type": "function", "function": {"name": "g"}}
    assert refused({"tools": [tool()], "tool_choice": named}).param == "tool_choice"
    assert refused({"tool_choice": "required"}).param == "tool_choice"
    assert refused({"tools": [tool()], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}).status == 400
    nothing: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert refused({"tools": [tool()], "tool_choice": nothing}).param == "tool_choice"


def test_none_without_tools_is_nothing() -> None:
    assert "tool_choice" not in sent({"tool_choice": "none", "tools": []})


# --- history of tools -------------------------------------------------------------------------------------------------


def test_results_of_a_turn_are_in_one_user_turn_before_what_the_user_says() -> None:
    calls = [call("c1", "f", '{"a": 1}'), call("c2", "g", "")]
    got = turns(user("a"), assistant("", tool_calls=calls), result("c2", "2"), result("c1", "1"), user("and?"))
    assert got[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert got[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [text("2")]},
        text("and?"),
    ]


def test_words_beside_a_call_come_before_it() -> None:
    got = turns(user("a"), assistant("I look.", tool_calls=[call("c1")]), result("c1"))
    assert [block["type"] for block in got[1]["content"]] == ["text", "tool_use"]


@pytest.mark.parametrize("given_id", ["call/1", "functions.f:0", "\u00e9", "", "x" * 400])
def test_id_outside_the_alphabet_is_spelt_anew_in_call_and_result(given_id: str) -> None:
    got = turns(user("a"), assistant(None, tool_calls=[call(given_id)]), result(given_id))
    native = got[1]["content"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,256}", native)
    assert got[2]["content"][0]["tool_use_id"] == native


def test_id_used_again_in_a_later_turn_is_told_apart() -> None:
    again = [assistant(None, tool_calls=[call("call_0")]), result("call_0")]
    got = turns(user("a"), *again, *again)
    ids = [got[index]["content"][0]["id"] for index in (1, 3)]
    assert len(set(ids)) == 2
    assert ids == [got[index]["content"][0]["tool_use_id"] for index in (2, 4)]


def test_same_conversation_is_always_sent_the_same() -> None:
    messages = [user("a"), assistant(None, tool_calls=[call("c:1", "f.g")]), result("c:1"), user("b")]
    assert build({"messages": messages}).body == build({"messages": messages}).body
    longer = turns(*messages, assistant("c"), user("d"))
    assert longer[: len(turns(*messages))] == turns(*messages)


@pytest.mark.parametrize("arguments", ['{"a', "[1]", "nope", '{"a": NaN}', "7", "[" * 9999])
def test_arguments_that_are_no_object_are_kept_as_they_are(arguments: str) -> None:
    got = turns(user("a"), assistant(None, tool_calls=[call("c1", "f", arguments)]), result("c1"))
    assert list(got[1]["content"][0]["input"]) == ["arguments"]


def test_result_may_hold_images_and_nothing() -> None:
    got = turns(user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", [image(f"data:;base64,{PNG}")]))
    assert got[2]["content"][0]["content"][0]["type"] == "image"
    got = turns(user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", ""))
    assert got[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([user("a"), assistant(None, tool_calls=[call("c1")]), user("b")], "messages[2]"),
        ([user("a"), assistant(None, tool_calls=[call("c1"), call("c2")]), result("c1")], "messages"),
        ([user("a"), result("c1")], "messages[1].tool_call_id"),
        ([*LOOP, result("c1")], "messages[3].tool_call_id"),
        ([user("a"), {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
    ],
)
def test_calls_and_results_that_do_not_match_are_refused(messages: list[Json], param: str) -> None:
    assert refused({"messages": messages}).param == param


def test_calls_in_the_history_alone_declare_their_tools_and_call_none() -> None:
    body = sent({"messages": [*LOOP, user("b")]})
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


def test_call_of_what_is_no_function_is_refused() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    messages = [user("a"), assistant(None, tool_calls=[custom])]
    assert refused({"messages": messages}).param == "messages[1].tool_calls[0]"


# --- limits and sampling ----------------------------------------------------------------------------------------------


def test_limit_of_the_answer_is_the_models_where_the_client_has_none() -> None:
    assert sent({}, HAIKU)["max_tokens"] == 64000
    assert sent({}, OPUS)["max_tokens"] == 128000


def test_limit_of_the_answer_is_the_clients_under_either_name() -> None:
    assert sent({"max_tokens": 5})["max_tokens"] == 5
    assert sent({"max_tokens": 5, "max_completion_tokens": 6})["max_tokens"] == 6


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_limit_over_the_models_is_lowered_and_told(name: str) -> None:
    assert sent({name: 65000}, HAIKU)["max_tokens"] == 64000
    assert dropped({name: 65000}, HAIKU) == (f"{name}=64000",)


def test_stop_is_a_list_without_white_space_alone() -> None:
    assert sent({"stop": "END"})["stop_sequences"] == ["END"]
    assert sent({"stop": ["a", "\n", "b"]})["stop_sequences"] == ["a", "b"]
    assert dropped({"stop": ["a", "\n", "b"]}) == ("stop",)
    assert "stop_sequences" not in sent({"stop": "\n"})
    assert dropped({"stop": []}) == ()


def test_temperature_over_one_is_lowered_and_told() -> None:
    assert sent({"temperature": 1.7})["temperature"] == 1
    assert dropped({"temperature": 1.7}) == ("temperature=1",)
    assert sent({"temperature": 0})["temperature"] == 0


def test_temperature_goes_before_top_p() -> None:
    body = sent({"temperature": 0.5, "top_p": 0.9})
    assert (body["temperature"], "top_p" in body) == (0.5, False)
    assert dropped({"temperature": 0.5, "top_p": 0.9}) == ("top_p",)
    assert sent({"temperature": 1, "top_p": 0.9})["top_p"] == 0.9


def test_top_k_is_known() -> None:
    assert sent({"top_k": 5})["top_k"] == 5
    assert dropped({"top_k": "x"}) == ("top_k",)


@pytest.mark.parametrize("capabilities", [OPUS, ALWAYS])
def test_sampling_is_dropped_and_told_where_the_model_refuses_it(capabilities: Json) -> None:
    fields = {"temperature": 0.2, "top_p": 0.5, "top_k": 5}
    assert not fields.keys() & sent(fields, capabilities).keys()
    assert dropped(fields, capabilities) == ("temperature", "top_p", "top_k")
    assert dropped({"temperature": 1, "top_p": 1}, capabilities) == ()


# --- format -----------------------------------------------------------------------------------------------------------


def in_json(schema: Any, **more: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}}


OPEN = {"type": "object", "additionalProperties": {"type": "integer"}}


def test_schema_is_native_where_the_model_has_it() -> None:
    body = sent(in_json(SCHEMA, strict=True, description="d"))
    schema = {**SCHEMA, "additionalProperties": False, "description": "d"}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(("schema", "capabilities"), [(SCHEMA, {"json_schema": False}), (OPEN, {})])
def test_schema_is_a_forced_tool_elsewhere(schema: Json, capabilities: Json) -> None:
    body = sent(in_json(schema), capabilities)
    assert body["tools"] == [{"name": "answer", "input_schema": schema}]
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert "output_config" not in body


def test_schema_that_cannot_be_kept_is_refused() -> None:
    assert refused(in_json(OPEN), ALWAYS).param == "response_format"
    assert refused({**in_json(OPEN), "tools": [tool()]}).param == "response_format"
    assert refused({**in_json(OPEN), "messages": LOOP}).param == "response_format"
    assert refused(in_json("x")).param == "response_format"
    assert refused({"response_format": {"type": "grammar"}}).param == "response_format"


def test_json_object_is_an_instruction_after_the_system() -> None:
    body = sent({"messages": [system("a"), user("b")], "response_format": {"type": "json_object"}})
    assert len(body["system"]) == 2
    assert "JSON" in body["system"][1]["text"]


def test_text_is_no_format() -> None:
    assert sent({"response_format": {"type": "text"}}) == sent({})


# --- thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "budget"), [("minimal", 1024), ("low", 2048), ("medium", 8192), ("high", 16384), ("max", 32000)]
)
def test_effort_is_a_budget_where_the_model_has_budgets(effort: str, budget: int) -> None:
    body = sent({"reasoning_effort": effort}, HAIKU)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["thinking"]["budget_tokens"] < body["max_tokens"]


def test_budget_leaves_half_of_the_answer() -> None:
    assert sent({"reasoning_effort": "high", "max_tokens": 4000}, HAIKU)["thinking"]["budget_tokens"] == 2000


def test_budget_that_is_too_small_is_no_thinking_and_told() -> None:
    assert sent({"reasoning_effort": "high", "max_tokens": 1500}, HAIKU)["thinking"]["budget_tokens"] == 1024
    fields = {"reasoning_effort": "high", "max_tokens": 1024}
    assert "thinking" not in sent(fields, HAIKU)
    assert dropped(fields, HAIKU) == ("reasoning_effort",)


def test_thinking_gives_way_to_a_forced_tool_in_models_that_do_not_take_both() -> None:
    fields: Json = {"reasoning_effort": "high", "tools": [tool()], "tool_choice": "required"}
    for model in (HAIKU, SONNET):  # up to Claude 4.7: langchain-ai/langchain-aws PR 1141 and 1151
        assert not {"thinking", "output_config"} & sent(fields, model).keys()
        assert dropped(fields, model) == ("reasoning_effort",)
    assert sent(fields, OPUS)["thinking"]["type"] == "adaptive"


def test_thinking_goes_before_sampling() -> None:
    fields = {"reasoning_effort": "high", "temperature": 0.2, "top_k": 3}
    assert dropped(fields, HAIKU) == ("temperature", "top_k")
    assert "temperature" not in sent(fields, HAIKU)


def test_effort_is_effort_where_the_model_thinks_as_it_sees_fit() -> None:
    body = sent({"reasoning_effort": "xhigh"}, OPUS)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "xhigh"}


@pytest.mark.parametrize(("effort", "native"), [("minimal", "low"), ("xhigh", "high")])
def test_effort_the_model_does_not_know_is_the_next_lower_and_told(effort: str, native: str) -> None:
    assert sent({"reasoning_effort": effort}, SONNET)["output_config"] == {"effort": native}
    assert dropped({"reasoning_effort": effort}, SONNET) == (f"reasoning_effort={native}",)


def test_effort_and_schema_share_the_config_of_the_output() -> None:
    body = sent({**in_json(SCHEMA), "reasoning_effort": "low"}, SONNET)
    assert set(body["output_config"]) == {"format", "effort"}


def test_no_effort_switches_thinking_off_where_that_can_be() -> None:
    assert sent({"reasoning_effort": "none"}, SONNET)["thinking"] == {"type": "disabled"}
    assert "thinking" not in sent({"reasoning_effort": "none"}, HAIKU)
    assert "thinking" not in sent({"reasoning_effort": "none"})
    body = sent({"reasoning_effort": "none"}, ALWAYS)
    assert (body["output_config"], "thinking" in body) == ({"effort": "low"}, False)
    assert dropped({"reasoning_effort": "none"}, ALWAYS) == ("reasoning_effort=low",)


def test_effort_of_a_model_that_does_not_think_is_dropped_and_told() -> None:
    assert dropped({"reasoning_effort": "high"}) == ("reasoning_effort",)


def test_effort_that_is_none_of_openais_is_refused() -> None:
    error = refused({"reasoning_effort": "huge"}, SONNET)
    assert (error.code, error.param) == ("invalid_value", "reasoning_effort")


BUDGET: Json = {"type": "enabled", "budget_tokens": 2048}


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning": {"max_tokens": 3000}}, {"type": "enabled", "budget_tokens": 3000}),
        ({"reasoning": {"enabled": True}}, {"type": "enabled", "budget_tokens": 8192}),
        ({"reasoning": {"exclude": True, "max_tokens": 2048}}, {**BUDGET, "display": "omitted"}),
        ({"reasoning": {"effort": "low"}}, BUDGET),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"type": "enabled", "budget_tokens": 2000}),
        ({"reasoning": {"enabled": False}}, None),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_openrouters_and_anthropics_words_for_thinking_are_known(fields: Json, thinking: Json | None) -> None:
    assert sent(fields, HAIKU).get("thinking") == thinking
    assert dropped(fields, HAIKU) == ()


def test_budget_for_a_model_without_budgets_is_dropped_and_told() -> None:
    assert dropped({"reasoning": {"max_tokens": 3000}}, SONNET) == ("reasoning.max_tokens",)
    assert sent({"reasoning": {"max_tokens": 3000}}, SONNET)["thinking"]["type"] == "adaptive"


SIGNED: list[Json] = [
    {"type": "reasoning.text", "text": "hm", "signature": "S1", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "D", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.text", "text": "foreign", "signature": "S", "format": "google-gemini-v1", "index": 2},
    {"type": "reasoning.text", "text": "unsigned", "index": 3},
]
BLOCKS = [{"type": "thinking", "thinking": "hm", "signature": "S1"}, {"type": "redacted_thinking", "data": "D"}]


def looped(**more: Any) -> list[Json]:
    return [user("Hi"), assistant("Wait.", tool_calls=[call("c1")], **more), result("c1")]


@pytest.mark.parametrize("capabilities", [HAIKU, SONNET, ALWAYS])
def test_signed_thinking_that_a_client_gives_back_is_replayed_first(capabilities: Json) -> None:
    fields: Json = {"messages": looped(reasoning_details=SIGNED), "tools": [tool()], "reasoning_effort": "low"}
    blocks = sent(fields, capabilities)["messages"][1]["content"]
    assert blocks[:2] == BLOCKS
    assert [block["type"] for block in blocks[2:]] == ["text", "tool_use"]
    assert dropped(fields, capabilities) == ()


def test_loop_whose_thinking_a_client_lost_goes_on_without_where_budgets_demand_it() -> None:
    fields: Json = {"messages": looped(reasoning_content="hm"), "tools": [tool()], "reasoning_effort": "low"}
    assert "thinking" not in sent(fields, HAIKU)
    assert dropped(fields, HAIKU) == ("reasoning_effort",)


@pytest.mark.parametrize("capabilities", [SONNET, OPUS, ALWAYS])
def test_loop_whose_thinking_a_client_lost_thinks_on_where_the_model_allows(capabilities: Json) -> None:
    fields: Json = {"messages": looped(), "tools": [tool()], "reasoning_effort": "low"}
    assert sent(fields, capabilities)["thinking"]["type"] == "adaptive"
    assert dropped(fields, capabilities) == ()


def test_only_the_first_turn_of_a_loop_must_be_signed() -> None:
    second = [assistant(None, tool_calls=[call("c2")]), result("c2")]
    fields: Json = {"messages": [*looped(reasoning_details=SIGNED), *second], "reasoning_effort": "low"}
    assert "thinking" in sent({**fields, "tools": [tool()]}, HAIKU)


def test_loop_that_is_over_needs_no_thinking() -> None:
    messages = [*looped(), assistant("Done."), user("And?")]
    assert "thinking" in sent({"messages": messages, "reasoning_effort": "low", "tools": [tool()]}, HAIKU)


@pytest.mark.parametrize(("capabilities", "effort"), [(HAIKU, None), (SONNET, "none"), ({}, "low")])
def test_without_thinking_nothing_is_replayed(capabilities: Json, effort: str | None) -> None:
    fields: Json = {"messages": looped(reasoning_details=SIGNED), "reasoning_effort": effort}
    assert [block["type"] for block in sent(fields, capabilities)["messages"][1]["content"]] == ["text", "tool_use"]


def test_thinking_bound_to_its_conversation_is_dropped_by_the_provider_rather_than_fatal() -> None:
    built = build({"messages": looped(reasoning_details=SIGNED)}, ALWAYS)
    binding = {"prefix_mismatch_behavior": "drop_block"}
    assert json.loads(built.body)["thinking"] == {"type": "adaptive", "block_binding": binding}
    assert built.headers["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert "anthropic-beta" not in build({"messages": looped(reasoning_details=SIGNED)}, OPUS).headers


# --- cache marks ------------------------------------------------------------------------------------------------------

MARK: Json = {"type": "ephemeral"}


def test_marks_of_the_cache_stay_on_tools_system_and_parts() -> None:
    body = sent(
        {
            "messages": [
                system([text("s", cache_control=MARK)]),
                user([text("u", cache_control={**MARK, "ttl": "1h"}), text("v")]),
            ],
            "tools": [{**tool(), "cache_control": MARK}],
        }
    )
    assert body["tools"][0]["cache_control"] == MARK
    assert body["system"][0]["cache_control"] == MARK
    assert [part.get("cache_control") for part in body["messages"][0]["content"]] == [{**MARK, "ttl": "1h"}, None]


def test_openais_breakpoints_and_marks_on_messages_are_marks() -> None:
    assert only_block(text("a", prompt_cache_breakpoint={"mode": "explicit", "ttl": "30m"}))["cache_control"] == MARK
    (turn,) = turns(user("a", cache_control=MARK))
    assert turn["content"][-1]["cache_control"] == MARK


def test_mark_in_a_result_is_on_the_result() -> None:
    got = turns(user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", [text("x", cache_control=MARK)]))
    assert got[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("x")], "cache_control": MARK}
    ]


def test_mark_of_the_whole_request_is_kept() -> None:
    assert sent({"cache_control": MARK})["cache_control"] == MARK


def test_of_too_many_marks_the_last_four_stay() -> None:
    parts = [text(str(n), cache_control=MARK) for n in range(6)]
    fields: Json = {"messages": [user(parts)]}
    marks = ["cache_control" in part for part in sent(fields)["messages"][0]["content"]]
    assert marks == [False, False, True, True, True, True]
    assert dropped(fields) == ("cache_control",)
    assert (
        sum("cache_control" in part for part in sent({**fields, "cache_control": MARK})["messages"][0]["content"]) == 3
    )


# --- who and how ------------------------------------------------------------------------------------------------------


def test_user_is_the_metadata() -> None:
    assert sent({"user": "u-1"})["metadata"] == {"user_id": "u-1"}
    assert sent({"user": "u-1", "safety_identifier": "s-1"})["metadata"] == {"user_id": "s-1"}


@pytest.mark.parametrize("personal", ["ada@example.com", "+41 44 123 45 67", "x" * 300])
def test_user_who_can_be_known_by_it_is_hashed(personal: str) -> None:
    hashed = sent({"user": personal})["metadata"]["user_id"]
    assert re.fullmatch(r"[0-9a-f]{64}", hashed)
    assert sent({"user": personal})["metadata"]["user_id"] == hashed


@pytest.mark.parametrize(("openais", "native"), [("auto", "auto"), ("priority", "auto"), ("default", "standard_only")])
def test_service_tier_in_anthropics_words(openais: str, native: str) -> None:
    assert sent({"service_tier": openais})["service_tier"] == native


def test_service_tier_that_anthropic_does_not_have_is_dropped_and_told() -> None:
    assert dropped({"service_tier": "flex"}) == ("service_tier",)


# --- fidelity ---------------------------------------------------------------------------------------------------------

KNOBS: Json = {
    "seed": 0,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"1": 2},
    "verbosity": "low",
    "store": True,
    "prediction": {"type": "content", "content": "x"},
    "metadata": {"a": "b"},
    "brand_new": 1,
}


def test_knobs_that_anthropic_lacks_are_dropped_and_told() -> None:
    assert dropped(KNOBS) == tuple(KNOBS)
    assert sent(KNOBS) == sent({})


@pytest.mark.parametrize("name", KNOBS)
def test_dropped_knob_is_refused_where_the_client_requires_all(name: str) -> None:
    error = refused({name: KNOBS[name], "provider": {"require_parameters": True}})
    assert (error.code, error.param) == ("unsupported_parameter", name)


def test_lowered_value_is_refused_where_the_client_requires_all() -> None:
    assert refused({"temperature": 2, "provider": {"require_parameters": True}}).param == "temperature"


@pytest.mark.parametrize("required", [True, False])
def test_neutral_values_lose_nothing(required: bool) -> None:
    neutral: Json = {
        "n": 1,
        "logprobs": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "store": False,
        "modalities": ["text"],
        "tools": [],
        "parallel_tool_calls": True,
        "provider": {"require_parameters": required, "order": ["x"]},
        "usage": {"include": True},
    }
    assert dropped(neutral) == ()
    assert sent(neutral) == sent({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("audio", {"voice": "x", "format": "wav"}),
        ("modalities", ["text", "audio"]),
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
        ("web_search_options", {"search_context_size": "low"}),
    ],
)
def test_what_changes_the_answer_is_refused(name: str, value: Any) -> None:
    error = refused({name: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)


def test_names_no_header_can_carry_are_not_told() -> None:
    assert dropped({"a\r\nset-cookie: x": 1, "\u00e9": 1, "x" * 99: 1, "ok": 1}) == ("ok",)
    assert len(dropped({f"k{n}": n + 1 for n in range(99)})) == 32


# --- garbage ----------------------------------------------------------------------------------------------------------

WORDS = " ".join(
    [
        "type text image_url url file file_data filename cache_control ttl function name arguments parameters strict",
        "id properties items anyOf oneOf allOf enum additionalProperties description tool_choice allowed_tools tools",
        "mode schema json_schema effort max_tokens enabled reasoning_details signature data format detail minItems",
        "$ref $defs",
    ]
).split()
SAID = ["function", "text", "image_url", "file", "json_schema", "object", "array", "auto", "required", "none", "high"]
LEAF: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([*SAID, "data:,x"])
)
GARBAGE: st.SearchStrategy[Any] = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
)
NODE = st.dictionaries(st.sampled_from(WORDS), GARBAGE, max_size=5)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "file", "refusal", "x"])}, optional={
    "text": st.text(max_size=3), "image_url": NODE, "file": NODE, "cache_control": GARBAGE,
})  # fmt: skip
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"])}, optional={
    "content": st.text(max_size=5) | st.lists(PART, max_size=2), "tool_calls": st.lists(NODE, max_size=2),
    "tool_call_id": st.text(max_size=2), "reasoning_details": GARBAGE, "refusal": GARBAGE, "cache_control": GARBAGE,
})  # fmt: skip
FIELDS = st.fixed_dictionaries({}, optional={
    "messages": st.lists(MESSAGE, min_size=1, max_size=4), "tools": st.lists(NODE, max_size=2),
    "tool_choice": st.sampled_from(["auto", "none", "required", "x"]) | NODE, "response_format": NODE,
    "reasoning": GARBAGE, "reasoning_effort": GARBAGE, "thinking": GARBAGE, "provider": GARBAGE, "user": GARBAGE,
    "service_tier": GARBAGE, "cache_control": GARBAGE, "top_k": GARBAGE, "seed": GARBAGE, "brand_new": GARBAGE,
    "parallel_tool_calls": GARBAGE, "logprobs": GARBAGE, "n": st.integers(1, 2), "stop": st.lists(st.text(max_size=2)),
})  # fmt: skip


def without_nulls(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


@given(FIELDS, st.sampled_from([{}, HAIKU, SONNET, OPUS, ALWAYS]))
@settings(max_examples=400, deadline=None)
def test_garbage_in_a_request_is_a_request_or_a_bad_one(fields: Json, capabilities: Json) -> None:
    try:
        built = build(without_nulls(fields), capabilities)
    except BadRequestError as error:
        json.dumps(error_body(error), allow_nan=False)
        return
    body = json.loads(built.body)
    roles = [turn["role"] for turn in body["messages"]]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    assert all(turn["content"] for turn in body["messages"])
    assert all(entry.isascii() and entry.isprintable() for entry in built.dropped)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(BadRequestError):
        anthropic.ChatCall(
            ChatRequest.model_construct(model="m", messages=ASK, tools=[tool("f", parameters=schema, strict=True)]),
            route(),
        )
