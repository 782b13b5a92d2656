"""The Bedrock family's requests: what Converse is told, what is dropped and told, and what is refused.

Every body that is built here is held against botocore's own model of Converse.
"""

import base64
import datetime
import json
import re
from functools import cache
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tollgate.adapters import bedrock
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()
TEXT = base64.b64encode(b"seven").decode()

CLAUDE: Json = {
    "cache_points": ("system", "messages", "tools"),
    "cache_hour": True,
    "exclusive_sampling": True,
    "top_k_field": "top_k",
    "native_tool_choice": True,
}
BUDGET: Json = {**CLAUDE, "thinking": "budget", "max_output_tokens": 64000}
ADAPTIVE: Json = {**CLAUDE, "thinking": "adaptive", "efforts": ("low", "medium", "high", "max")}
ALWAYS: Json = {**CLAUDE, "thinking": "always", "sampling": False, "prefill": False, "forced_tool": False}
NOVA: Json = {
    "json_schema": False,
    "cache_points": ("system", "messages"),
    "top_k_field": "inferenceConfig.topK",
    "unsupported_schema_keywords": ("$schema", "title", "description", "additionalProperties"),
}
LLAMA: Json = {"json_schema": False, "forced_tool": False, "prefill": False, "vision": False}


def route(owned_by: str = "meta", model: str = "vendor.model-v1:0", **capabilities: Any) -> Route:
    row = Model(
        id="m",
        created=datetime.date(2026, 1, 1),
        owned_by=owned_by,
        context_length=8,
        capabilities=Capabilities(**capabilities),
        routes=(RouteRow(provider="p", model=model),),
    )
    return Route(row, Provider(name="p", family="bedrock", base_url="https://x/", auth="none"), model, None)


NAMED: Json = {"type": "function", "function": {"name": "f"}}


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system") -> Json:
    return {"role": role, "content": content}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "42") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


def text(said: str, **more: Any) -> Json:
    return {"type": "text", "text": said, **more}


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(data: str, name: str | None = None) -> Json:
    return {"type": "file", "file": {"file_data": data, "filename": name}}


ASK = [user("Hi")]
LOOP = [user("Hi"), assistant(None, tool_calls=[call("c1")]), result("c1")]
MARK: Json = {"type": "ephemeral"}
POINT: Json = {"cachePoint": {"type": "default"}}
EMPTY: Json = {"json": {"type": "object", "properties": {}}}


def build(fields: Json, of: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.model_validate({"model": "m", "messages": ASK, **fields})
    return bedrock.ChatCall(request, route(**(of or {}))).request


def sent(fields: Json, of: Json | None = None) -> Json:
    body = json.loads(build(fields, of).body)
    check(body)
    return body


def dropped(fields: Json, of: Json | None = None) -> tuple[str, ...]:
    return build(fields, of).dropped


def refused(fields: Json, of: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, of)
    return caught.value


def turns(*messages: Json, **of: Any) -> list[Json]:
    return sent({"messages": list(messages)}, of)["messages"]


# --- botocore's model -------------------------------------------------------------------------------------------------


@cache
def converse() -> Any:
    model = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
    return model.operation_model("Converse").input_shape


def check(body: Json) -> None:
    """Raises where Converse does not know this body: names, types, lengths, and what strings may be made of."""
    report = ParamValidator().validate({"modelId": "m", **_native(converse(), body)}, converse())
    assert not report.has_errors(), report.generate_report()


def _native(shape: Any, value: Any) -> Any:
    """A value off the wire as botocore takes it, its strings held against enumerations and patterns."""
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        assert not getattr(shape, "is_tagged_union", False) or len(value) == 1, value
        assert value.keys() <= shape.members.keys(), value
        return {name: _native(shape.members[name], inner) for name, inner in value.items()}
    if shape.type_name == "list":
        return [_native(shape.member, inner) for inner in value]
    if shape.type_name == "map":
        return {_native(shape.key, name): _native(shape.value, inner) for name, inner in value.items()}
    if shape.type_name == "string":
        assert value in (shape.enum or [value])
        assert re.fullmatch(shape.metadata.get("pattern", "(?s:.*)"), value), value
    return value


# --- the call ---------------------------------------------------------------------------------------------------------


def test_body_has_what_must_be_there_and_nothing_else() -> None:
    assert sent({}) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(("stream", "operation"), [(False, "converse"), (True, "converse-stream")])
def test_model_is_one_segment_of_the_path(stream: bool, operation: str) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab.c"
    request = ChatRequest.model_validate({"model": "m", "messages": ASK, "stream": stream})
    built = bedrock.ChatCall(request, route(model=arn)).request
    segment = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fab.c"
    assert (built.method, built.url) == ("POST", f"https://x/model/{segment}/{operation}")
    assert json.loads(built.body).keys() == {"messages"}


@pytest.mark.parametrize("place", ["tools", "response_format"])
def test_number_that_json_does_not_have_is_refused(place: str) -> None:
    schema: Json = {"type": "object", "properties": {"a": {"default": float("nan")}}}
    fields: Json = {"tools": {"tools": [tool(parameters=schema)]}, "response_format": in_json(schema)}[place]
    assert refused(fields).status == 400


# --- turns ------------------------------------------------------------------------------------------------------------


def test_system_is_apart_and_roles_alternate_from_user_to_user() -> None:
    body = sent({"messages": [system("a"), system([text("b")], "developer"), assistant("c"), user("d"), user("e")]})
    assert body["system"] == [{"text": "a"}, {"text": "b"}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Begin."}]},
        {"role": "assistant", "content": [{"text": "c"}]},
        {"role": "user", "content": [{"text": "d"}, {"text": "e"}]},
    ]


def test_conversation_that_ends_with_the_assistant_is_refused_where_the_model_refuses_it() -> None:
    assert refused({"messages": [user("a"), assistant("b")]}, LLAMA).param == "messages"


def test_later_system_message_is_the_users_and_blank_texts_are_left_out() -> None:
    assert turns(user("a"), assistant([text(" ")]), system("b")) == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]}
    ]


# --- images and documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "kind"), [(PNG, "png"), (JPEG, "jpeg")])
def test_image_is_its_bytes_in_the_format_they_tell(data: str, kind: str) -> None:
    (turn,) = turns(user([text("?"), image(f"data:image/webp;base64,{data}")]))
    assert turn["content"][1] == {"image": {"format": kind, "source": {"bytes": data}}}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.com/a.png", "unsupported_parameter"),
        ("http://example.com/a.png", "invalid_value"),
        (f"data:application/pdf;base64,{PDF}", "invalid_value"),
        ("data:image/png;base64,", "invalid_value"),
        (f"data:image/png;base64,{base64.b64encode(bytes(3_932_164)).decode()}", "invalid_value"),
    ],
)
def test_image_that_bedrock_does_not_take_is_refused_by_its_name(url: str, code: str) -> None:
    error = refused({"messages": [user([image(url)])]})
    assert (error.status, error.code, error.param) == (400, code, "messages[0].content[0].image_url.url")


def test_bedrock_fetches_nothing() -> None:
    assert not bedrock.FAMILY.fetches_url("https://x/i.png")


@pytest.mark.parametrize(("most", "part"), [(20, image(f"data:;base64,{PNG}")), (5, file(PDF))])
def test_message_takes_only_so_many_images_and_documents(most: int, part: Json) -> None:
    assert len(turns(user([text("?"), *[part] * most]))[0]["content"]) == most + 1
    assert refused({"messages": [user([part] * (most + 1))]}).param == "messages"


def test_model_without_eyes_is_shown_nothing() -> None:
    assert refused({"messages": [user([image(f"data:;base64,{PNG}")])]}, LLAMA).code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (PDF, "a.pdf", "pdf"),
        (f"data:text/plain;base64,{TEXT}", "a", "txt"),
        (f"data:text/plain;base64,{TEXT}", "a.md", "md"),
        (f"data:text/csv;base64,{TEXT}", "a.txt", "csv"),
        (f"data:text/html;base64,{TEXT}", None, "html"),
        (f"data:text/x-python;base64,{TEXT}", "a.py", "txt"),
        (f"data:application/octet-stream;base64,{TEXT}", "a.docx", "docx"),
        (f"data:application/vnd.openxmlformats-officedocument.spreadsheetml.sheet;base64,{TEXT}", "a", "xlsx"),
    ],
)
def test_document_has_the_format_of_its_type_or_name(data: str, name: str | None, kind: str) -> None:
    (turn,) = turns(user([text("?"), file(data, name)]))
    assert turn["content"][1]["document"]["format"] == kind


def test_document_of_an_unknown_format_is_refused() -> None:
    error = refused({"messages": [user([file("data:application/zip;base64,UEsDBAo=", "a.zip")])]})
    assert (error.code, error.param) == ("unsupported_parameter", "messages[0].content[0].file.file_data")
    assert refused({"messages": [user([{"type": "file", "file": {"file_id": "f-1"}}])]}).status == 400


def test_documents_have_names_of_their_own_and_a_text_beside_them() -> None:
    names = ["Q3_report (final).pdf", "Q3 report (final).pdf", "\u00e9", None]
    (turn,) = turns(user([file(PDF, name) for name in names]))
    *documents, last = turn["content"]
    assert [block["document"]["name"] for block in documents] == [
        "Q3 report (final) pdf",
        "Q3 report (final) pdf (2)",
        "Document",
        "Document (2)",
    ]
    assert last == {"text": "The document is attached."}


@pytest.mark.parametrize("kind", ["input_audio", "video_url"])
def test_part_that_converse_has_no_block_for_is_refused(kind: str) -> None:
    assert refused({"messages": [user([{"type": kind}])]}).param == "messages[0].content[0].type"


# --- tools ------------------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def test_tools_have_name_description_and_schema() -> None:
    body = sent({"tools": [tool("f", description="d", parameters=SCHEMA), tool("g.h", description=" ")]})
    assert body["toolConfig"]["tools"][0] == {
        "toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": SCHEMA}}
    }
    second = body["toolConfig"]["tools"][1]["toolSpec"]
    assert second["inputSchema"] == EMPTY
    assert second.keys() == {"name", "inputSchema"}


def test_tool_for_nova_has_nothing_around_its_schema_that_nova_does_not_know() -> None:
    parameters = {**SCHEMA, "title": "F", "description": "d", "additionalProperties": False, "$schema": "s"}
    fields: Json = {"tools": [tool(parameters=parameters)]}
    assert sent(fields, NOVA)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": SCHEMA}
    assert sent(fields, CLAUDE)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": parameters}


def test_strict_tool_is_closed_where_the_model_can_be_held_to_it() -> None:
    fields: Json = {"tools": [tool(parameters=SCHEMA, strict=True)]}
    spec = sent(fields)["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["strict"] is True
    assert spec["inputSchema"] == {"json": {**SCHEMA, "additionalProperties": False}}
    assert "strict" not in sent(fields, NOVA)["toolConfig"]["tools"][0]["toolSpec"]
    assert dropped(fields, NOVA) == ("tools.function.strict",)


CHOICES: list[tuple[Any, Any, Any]] = [
    (None, None, {"type": "auto"}),
    ("auto", None, {"type": "auto"}),
    ("required", {"any": {}}, {"type": "any"}),
    ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}, {"type": "tool", "name": "f"}),
]


@pytest.mark.parametrize(("openais", "native", "claudes"), CHOICES)
def test_choice_is_bedrocks_and_claudes_where_calls_come_one_by_one(openais: Any, native: Any, claudes: Any) -> None:
    fields: Json = {"tools": [tool()], "tool_choice": openais}
    body = sent(fields, CLAUDE)
    assert body["toolConfig"].get("toolChoice") == native
    assert "additionalModelRequestFields" not in body
    body = sent({**fields, "parallel_tool_calls": False}, CLAUDE)
    assert "toolChoice" not in body["toolConfig"]
    assert body["additionalModelRequestFields"] == {"tool_choice": {**claudes, "disable_parallel_tool_use": True}}


def test_parallel_calls_that_cannot_be_forbidden_are_told() -> None:
    fields: Json = {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False}
    assert sent(fields, NOVA)["toolConfig"]["toolChoice"] == {"any": {}}
    assert dropped(fields, NOVA) == ("parallel_tool_calls",)


def test_tools_that_may_not_be_called_are_left_out() -> None:
    fields: Json = {"tools": [tool()], "tool_choice": "none", "parallel_tool_calls": False}
    assert sent(fields, CLAUDE) == sent({})
    assert dropped(fields, NOVA) == ()


@pytest.mark.parametrize("fields", [{}, {"tools": [tool("f")], "tool_choice": "none"}])
def test_tools_that_were_called_are_listed_and_not_to_be_called_again(fields: Json) -> None:
    body = sent({"messages": [system("s"), *LOOP, user("b")], **fields})
    assert body["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": EMPTY}}]}
    assert body["system"] == [{"text": "s"}, {"text": "Answer without calling a tool."}]


def test_forced_tool_is_refused_where_the_model_refuses_it() -> None:
    assert refused({"tools": [tool()], "tool_choice": "required"}, LLAMA).param == "tool_choice"


def test_results_of_a_turn_are_in_one_user_turn_before_what_the_user_says() -> None:
    calls = [call("c1", "f", '{"a": 1}'), call("c2", "g", "")]
    got = turns(user("a"), assistant("I look.", tool_calls=calls), result("c2", "2"), result("c1", ""), user("and?"))
    assert got[1]["content"] == [
        {"text": "I look."},
        {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "g", "input": {}}},
    ]
    assert got[2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "(no output)"}]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "2"}]}},
        {"text": "and?"},
    ]


def test_result_may_hold_images_and_documents() -> None:
    got = turns(*LOOP[:2], result("c1", [image(f"data:;base64,{PNG}"), file(PDF, "a")]))
    content = got[2]["content"][0]["toolResult"]["content"]
    assert [next(iter(block)) for block in content] == ["image", "document"]


@pytest.mark.parametrize("given", ["call/1", "functions.f:0", "\u00e9", "", "x" * 400])
def test_id_and_name_outside_the_alphabet_are_spelt_anew_alike(given: str) -> None:
    name = given or "f"
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call(given, name)]), result(given)],
            "tools": [tool(name)],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    use = body["messages"][1]["content"][0]["toolUse"]
    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == use["toolUseId"]
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == use["name"]
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": use["name"]}}
    assert (use["toolUseId"] == given) == (given == "functions.f:0")


# --- limits and sampling ----------------------------------------------------------------------------------------------


def test_limits_are_in_the_config_of_the_inference() -> None:
    fields: Json = {"max_tokens": 5, "stop": ["a", "\n"], "temperature": 0, "top_p": 0.5}
    config = {"maxTokens": 5, "stopSequences": ["a"], "temperature": 0, "topP": 0.5}
    assert sent(fields, NOVA)["inferenceConfig"] == config
    assert dropped(fields, NOVA) == ("stop",)


def test_temperature_over_one_is_lowered_and_told() -> None:
    assert sent({"temperature": 1.7})["inferenceConfig"] == {"temperature": 1}
    assert dropped({"temperature": 1.7}) == ("temperature=1",)


def test_claude_takes_one_of_temperature_and_top_p_and_top_k_in_words_of_its_own() -> None:
    fields: Json = {"temperature": 0.5, "top_p": 0.9, "top_k": 5}
    body = sent(fields, CLAUDE)
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert body["additionalModelRequestFields"] == {"top_k": 5}
    assert dropped(fields, CLAUDE) == ("top_p",)
    assert sent({"temperature": 1, "top_p": 0.9}, CLAUDE)["inferenceConfig"] == {"topP": 0.9}
    assert sent({"top_k": 5}, NOVA)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert dropped({"top_k": 5}, LLAMA) == ("top_k",)


def test_sampling_is_dropped_and_told_where_the_model_refuses_it() -> None:
    fields = {"temperature": 0.2, "top_p": 0.5, "top_k": 5}
    assert sent(fields, ALWAYS) == sent({})
    assert dropped(fields, ALWAYS) == ("temperature", "top_p", "top_k")


@pytest.mark.parametrize("owned_by", ["anthropic", "amazon", "meta", "me"])
@pytest.mark.parametrize("columns", [CLAUDE, NOVA, LLAMA], ids=["claude", "nova", "llama"])
def test_request_depends_on_capabilities_and_not_on_owned_by(owned_by: str, columns: Json) -> None:
    schema: Json = {"type": "object", "properties": {}, "additionalProperties": False}
    fields: Json = {
        "messages": [user([text("u", cache_control=MARK)])],
        "tools": [tool(parameters=schema)],
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
    }
    assert build(fields, {**columns, "owned_by": owned_by}) == build(fields, {**columns, "owned_by": "other"})


@pytest.mark.parametrize("owned_by", ["anthropic", "me"])
def test_profile_of_claude_keeps_cache_points_and_one_sampling_parameter(owned_by: str) -> None:
    fields: Json = {"messages": [user([text("u", cache_control=MARK)])], "temperature": 0.5, "top_p": 0.9}
    body = sent(fields, {**CLAUDE, "owned_by": owned_by})
    assert body["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert dropped(fields, {**CLAUDE, "owned_by": owned_by}) == ("top_p",)


# --- format -----------------------------------------------------------------------------------------------------------


def in_json(schema: Any, **more: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": schema, **more}}}


def test_schema_is_a_string_where_the_model_has_it() -> None:
    text_format = sent(in_json(SCHEMA, description="d"))["outputConfig"]["textFormat"]
    definition = text_format["structure"]["jsonSchema"]
    assert text_format["type"] == "json_schema"
    assert json.loads(definition["schema"]) == {**SCHEMA, "additionalProperties": False}
    assert definition["description"] == "d"
    assert re.fullmatch("a_b_[0-9a-f]{12}", definition["name"])


def test_schema_is_a_forced_tool_elsewhere() -> None:
    body = sent(in_json(SCHEMA, description="d"), NOVA)
    spec = {"name": "answer", "description": "d", "inputSchema": {"json": SCHEMA}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": "answer"}}}
    assert "outputConfig" not in body


def test_schema_that_cannot_be_kept_is_refused() -> None:
    assert refused(in_json(SCHEMA), LLAMA).param == "response_format"


def test_json_object_is_an_instruction_after_the_system() -> None:
    body = sent({"messages": [system("a"), user("b")], "response_format": {"type": "json_object"}})
    assert [block["text"][:6] for block in body["system"]] == ["a", "Answer"]


# --- thinking ---------------------------------------------------------------------------------------------------------


def test_effort_is_a_budget_where_the_model_has_budgets() -> None:
    body = sent({"reasoning_effort": "low", "temperature": 0.2}, BUDGET)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert body["inferenceConfig"] == {"maxTokens": 64000}
    assert dropped({"reasoning_effort": "low", "temperature": 0.2}, BUDGET) == ("temperature",)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1024},
        {"tools": [tool()], "tool_choice": "required"},
        {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False},
        {"messages": [user("a"), assistant("b")]},
        {"messages": LOOP, "tools": [tool()]},
    ],
)
def test_budget_that_cannot_be_is_no_thinking_and_told(fields: Json) -> None:
    assert "thinking" not in json.dumps(sent({"reasoning_effort": "high", **fields}, BUDGET))
    assert dropped({"reasoning_effort": "high", **fields}, BUDGET) == ("reasoning_effort",)


def test_effort_is_effort_where_the_model_thinks_as_it_sees_fit() -> None:
    body = sent({"reasoning_effort": "xhigh", **in_json(SCHEMA)}, ADAPTIVE)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive", "display": "summarized"}}
    assert body["outputConfig"].keys() == {"textFormat", "effort"}
    assert body["outputConfig"]["effort"] == "high"
    assert dropped({"reasoning_effort": "xhigh"}, ADAPTIVE) == ("reasoning_effort=high",)


def test_no_effort_switches_thinking_off_where_that_can_be() -> None:
    fields = {"reasoning_effort": "none"}
    assert sent(fields, ADAPTIVE)["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    assert sent(fields, BUDGET) == sent(fields, NOVA) == sent({})
    assert sent(fields, ALWAYS)["outputConfig"] == {"effort": "low"}


def test_effort_of_a_model_that_does_not_think_is_dropped_and_told() -> None:
    assert dropped({"reasoning_effort": "high"}, NOVA) == ("reasoning_effort",)


SIGNED: list[Json] = [
    {"type": "reasoning.text", "text": "hm", "signature": "S1", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "RA==", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.text", "text": "foreign", "signature": "S", "format": "google-gemini-v1", "index": 2},
    {"type": "reasoning.text", "text": "unsigned", "index": 3},
]


@pytest.mark.parametrize("of", [BUDGET, ADAPTIVE, ALWAYS])
def test_signed_thinking_that_a_client_gives_back_is_replayed_first(of: Json) -> None:
    looped = [user("Hi"), assistant(None, tool_calls=[call("c1")], reasoning_details=SIGNED), result("c1")]
    fields: Json = {"messages": looped, "tools": [tool()], "reasoning_effort": "low"}
    assert sent(fields, of)["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S1"}}},
        {"reasoningContent": {"redactedContent": "RA=="}},
    ]
    assert dropped(fields, of) == ()
    assert "S1" not in json.dumps(sent({**fields, "reasoning_effort": "none"}, BUDGET))


# --- the cache --------------------------------------------------------------------------------------------------------


def test_marks_of_the_cache_are_points_behind_what_they_mark() -> None:
    marked = text("u", cache_control={**MARK, "ttl": "1h"})
    messages = [system([text("s", cache_control=MARK)]), user([marked, text("v")], cache_control=MARK)]
    body = sent({"messages": messages, "tools": [{**tool(), "cache_control": MARK}, tool("g")]}, CLAUDE)
    assert body["system"] == [{"text": "s"}, POINT]
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["messages"][0]["content"] == [{"text": "u"}, hour, {"text": "v"}, POINT]
    assert [next(iter(block)) for block in body["toolConfig"]["tools"]] == ["toolSpec", "cachePoint", "toolSpec"]


def test_mark_in_a_result_is_behind_the_result() -> None:
    got = turns(*LOOP[:2], result("c1", [text("x", prompt_cache_breakpoint={"mode": "explicit"})]), **CLAUDE)
    assert got[2]["content"] == [{"toolResult": {"toolUseId": "c1", "content": [{"text": "x"}]}}, POINT]


def test_mark_of_the_whole_request_is_at_its_end() -> None:
    assert sent({"cache_control": MARK}, CLAUDE)["messages"][0]["content"] == [{"text": "Hi"}, POINT]
    once = [user([text("a", cache_control=MARK)])]
    assert sent({"messages": once, "cache_control": MARK}, CLAUDE)["messages"][0]["content"] == [{"text": "a"}, POINT]


def test_of_too_many_marks_the_last_four_stay() -> None:
    fields: Json = {"messages": [user([text(str(n), cache_control=MARK) for n in range(6)])]}
    content = sent(fields, CLAUDE)["messages"][0]["content"]
    assert content == [{"text": "0"}, {"text": "1"}, *(b for n in range(2, 6) for b in ({"text": str(n)}, POINT))]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_marks_go_only_to_models_that_cache() -> None:
    fields: Json = {"messages": [user([text("u", cache_control=MARK)])], "tools": [{**tool(), "cache_control": MARK}]}
    body = sent(fields, NOVA)
    assert len(body["toolConfig"]["tools"]) == 1
    assert body["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert POINT not in sent(fields, LLAMA | {"vision": True})["messages"][0]["content"]
    assert dropped(fields, LLAMA) == dropped(fields, NOVA) == ("cache_control",)


def markdown(**more: Any) -> Json:
    held = f"data:text/markdown;base64,{TEXT}"
    return {"type": "file", "file": {"filename": "a.md", "file_data": held}, **more}


def kinds(fields: Json, of: Json = CLAUDE) -> list[str]:
    return [next(iter(block)) for block in sent(fields, of)["messages"][0]["content"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [user([text("see"), markdown(cache_control=MARK)])]},
        {"messages": [user([text("see"), markdown()], cache_control=MARK)]},
        {"messages": [user([text("see"), markdown()])], "cache_control": MARK},
    ],
)
def test_mark_behind_a_document_that_is_no_pdf_moves_before_it_and_is_told(fields: Json) -> None:
    assert kinds(fields) == ["text", "cachePoint", "document"]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_mark_behind_a_pdf_stays() -> None:
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    fields: Json = {"messages": [user([text("see"), {"type": "file", "file": file, "cache_control": MARK}])]}
    assert kinds(fields) == ["text", "document", "cachePoint"]
    assert dropped(fields, CLAUDE) == ()


def test_mark_with_nothing_before_it_to_cache_goes() -> None:
    fields: Json = {"messages": [user([markdown(cache_control=MARK), text("see")])]}
    assert kinds(fields) == ["document", "text"]
    assert dropped(fields, CLAUDE) == ("cache_control",)


def test_two_marks_in_one_place_are_one() -> None:
    fields: Json = {"messages": [user([text("see", cache_control=MARK), markdown(cache_control=MARK)])]}
    assert kinds(fields) == ["text", "cachePoint", "document"]


def test_model_whose_caches_do_not_last_an_hour_gets_the_mark_without_it() -> None:
    fields: Json = {"messages": [user([text("u", cache_control={**MARK, "ttl": "1h"})])]}
    assert sent(fields, NOVA)["messages"][0]["content"] == [{"text": "u"}, POINT]
    assert dropped(fields, NOVA) == ("cache_control.ttl=5m",)


@pytest.mark.parametrize("forced", [{"tool_choice": "required"}, {"tool_choice": NAMED}])
def test_model_that_is_not_forced_while_it_thinks_does_not_think(forced: Json) -> None:
    fields: Json = {"tools": [tool()], "reasoning_effort": "high", **forced}
    of = {**ADAPTIVE, "forced_tool_while_thinking": False}
    assert not {"outputConfig", "additionalModelRequestFields"} & sent(fields, of).keys()
    assert dropped(fields, of) == ("reasoning_effort",)
    assert "thinking" in sent(fields, ADAPTIVE)["additionalModelRequestFields"]
    assert "thinking" in sent({**fields, "tool_choice": "auto"}, of)["additionalModelRequestFields"]


# --- who and how ------------------------------------------------------------------------------------------------------


def test_user_is_in_the_metadata_hashed_where_it_cannot_be_spelt() -> None:
    assert sent({"user": "team a/u-1@x.io"})["requestMetadata"] == {"user": "team a/u-1@x.io"}
    for user_id in ("\u00e9", "a\x00", "x" * 300):
        assert re.fullmatch("[0-9a-f]{64}", sent({"user": user_id})["requestMetadata"]["user"])


@pytest.mark.parametrize("tier", ["default", "priority", "flex"])
def test_service_tier_has_the_same_name(tier: str) -> None:
    assert sent({"service_tier": tier})["serviceTier"] == {"type": tier}


def test_service_tier_that_bedrock_does_not_have_is_dropped_and_told() -> None:
    assert sent({"service_tier": "scale"}) == sent({"service_tier": "auto"}) == sent({})
    assert dropped({"service_tier": "scale"}) == ("service_tier",)
    assert dropped({"service_tier": "auto"}) == ()


KNOBS: Json = {
    "seed": 0, "presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"1": 2}, "metadata": {"a": "b"},
}  # fmt: skip


def test_knobs_that_bedrock_lacks_are_dropped_and_told() -> None:
    assert dropped(KNOBS) == tuple(KNOBS)
    assert sent(KNOBS) == sent({})
    assert refused({"seed": 0, "provider": {"require_parameters": True}}).param == "seed"


@pytest.mark.parametrize(
    ("name", "value"), [("n", 2), ("logprobs", True), ("audio", {"voice": "x"}), ("functions", [{"name": "f"}])]
)
def test_what_changes_the_answer_is_refused(name: str, value: Any) -> None:
    error = refused({name: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    request = ChatRequest.model_construct(model="m", messages=ASK, tools=[tool(parameters=schema, strict=True)])
    with pytest.raises(BadRequestError):
        bedrock.ChatCall(request, route())
