"""The Gemini family's requests: what generateContent is told, what is dropped and told, and what is refused."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.families import route
from tollgate.adapters import gemini, tool_call_state
from tollgate.adapters.clients.openai import error_body
from tollgate.adapters.gemini.messages import UNSIGNED
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json, UpstreamRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
GIF = base64.b64encode(b"GIF89a" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()
SOUND = base64.b64encode(b"RIFF....WAVEfmt ").decode()
KEPT = "https://generativelanguage.googleapis.com/v1beta/files/abc-123"
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
SIGNATURE = base64.b64encode(bytes(range(239, 256)) * 3).decode()

BUDGET: Json = {"thinking": "budget", "max_output_tokens": 65536}
LEVEL: Json = {"thinking": "always", "efforts": ("minimal", "low", "medium", "high"), "max_output_tokens": 65536}
LOW_HIGH: Json = {"thinking": "always", "efforts": ("low", "high")}


def user(content: Any, **more: Any) -> Json:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def system(content: Any, role: str = "system") -> Json:
    return {"role": role, "content": content}


def call(call_id: str, name: str = "f", arguments: Any = "{}", **more: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def result(call_id: str, content: Any = "42") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "f", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


ASK = [user("Hi")]


def build(fields: Json, capabilities: Json | None = None) -> UpstreamRequest:
    request = ChatRequest.model_validate({"model": "m", "messages": ASK, **fields})
    return gemini.ChatCall(request, route("gemini", **(capabilities or {}))).request


def sent(fields: Json, capabilities: Json | None = None) -> Json:
    return json.loads(build(fields, capabilities).body)


def config(fields: Json, capabilities: Json | None = None) -> Json:
    return sent(fields, capabilities).get("generationConfig", {})


def dropped(fields: Json, capabilities: Json | None = None) -> tuple[str, ...]:
    return build(fields, capabilities).dropped


def refused(fields: Json, capabilities: Json | None = None) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        build(fields, capabilities)
    return caught.value


def contents(*messages: Json, **capabilities: Any) -> list[Json]:
    return sent({"messages": list(messages)}, capabilities)["contents"]


# --- the call ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "method"), [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")])
def test_request_names_model_and_method_in_its_url(stream: bool, method: str) -> None:
    built = build({"stream": stream, "stream_options": {"include_usage": True} if stream else None})
    assert (built.method, built.url) == ("POST", f"https://x/v1/models/native:{method}")
    assert built.headers == {"content-type": "application/json"}


def test_model_is_one_part_of_the_path() -> None:
    other = route("gemini")
    object.__setattr__(other, "upstream_model", "tuned/a b:c")
    built = gemini.ChatCall(ChatRequest.model_validate({"model": "m", "messages": ASK}), other).request
    assert built.url == "https://x/v1/models/tuned%2Fa%20b%3Ac:generateContent"


def test_body_has_what_must_be_there_and_nothing_else() -> None:
    assert sent({"stream": True}) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_what_both_sides_can_say_gets_through() -> None:
    fields = {
        "max_tokens": 100, "temperature": 1.5, "top_p": 0.9, "top_k": 40, "stop": ["a", "b"], "seed": 7, "n": 3,
        "logprobs": True, "top_logprobs": 5, "service_tier": "flex", "modalities": ["text", "image"],
    }  # fmt: skip
    built = build(fields)
    body = json.loads(built.body)
    assert body["generationConfig"] == {
        "maxOutputTokens": 100, "temperature": 1.5, "topP": 0.9, "topK": 40, "stopSequences": ["a", "b"], "seed": 7,
        "candidateCount": 3, "responseLogprobs": True, "logprobs": 5, "responseModalities": ["TEXT", "IMAGE"],
    }  # fmt: skip
    assert body["serviceTier"] == "flex"
    assert built.dropped == ()


# --- turns ------------------------------------------------------------------------------------------------------------


def test_leading_system_and_developer_messages_are_the_instruction() -> None:
    body = sent({"messages": [system("a"), system([{"type": "text", "text": "b"}], role="developer"), user("Hi")]})
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_system_alone_is_followed_by_a_user() -> None:
    body = sent({"messages": [system("a")]})
    assert body["systemInstruction"] == {"parts": [{"text": "a"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Begin."}]}]


def test_roles_alternate_and_blank_texts_are_left_out() -> None:
    assert contents(user("a"), user([{"type": "text", "text": " "}]), system("b"), assistant("c"), user("d")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


def test_marks_of_a_cache_that_works_by_itself_are_dropped_and_told() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert dropped({"messages": [user([part])]}) == ("cache_control",)


# --- parts ------------------------------------------------------------------------------------------------------------


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def audio(data: str, kind: str) -> Json:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


TEXT_URL = f"data:text/markdown;base64,{base64.b64encode(b'# a').decode()}"


@pytest.mark.parametrize(
    ("part", "native"),
    [
        (image(f"data:image/jpeg;base64,{PNG}"), {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (image(KEPT), {"fileData": {"fileUri": KEPT}}),
        (audio(SOUND, "wav"), {"inlineData": {"mimeType": "audio/wav", "data": SOUND}}),
        (audio("SUQz", "mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}}),
        (
            file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
        ),
        (file(file_data=PDF), {"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
        (file(file_data=TEXT_URL), {"inlineData": {"mimeType": "text/plain", "data": "IyBh"}}),
        (file(file_data=KEPT), {"fileData": {"fileUri": KEPT}}),
    ],
)
def test_part_in_googles_words(part: Json, native: Json) -> None:
    assert contents(user([part])) == [{"role": "user", "parts": [native]}]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (image("https://example.com/a.png"), ".image_url.url"),
        (image("https://generativelanguage.googleapis.com.example.com/a.png"), ".image_url.url"),
        (image("http://example.com/a.png"), ".image_url.url"),
        (image(f"data:image/gif;base64,{GIF}"), ".image_url.url"),
        (image(f"data:application/pdf;base64,{PDF}"), ".image_url.url"),
        (audio(SOUND, "opus"), ".input_audio.format"),
        (audio("https://example.com/a.wav", "wav"), ".input_audio.data"),
        (file(file_id="file-1"), ".file.file_id"),
        (file(file_data="https://example.com/a.pdf"), ".file.file_data"),
        (file(file_data="data:application/zip;base64,UEsDBAo="), ".file.file_data"),
        ({"type": "video_url", "video_url": {"url": "https://x"}}, ".type"),
    ],
)
def test_part_that_gemini_cannot_take_is_refused_by_its_name(part: Json, param: str) -> None:
    error = refused({"messages": [user([part])]})
    assert (error.status, error.param) == (400, f"messages[0].content[0]{param}")


def test_model_without_eyes_is_shown_nothing_but_may_listen() -> None:
    assert refused({"messages": [user([image(KEPT)])]}, {"vision": False}).code == "unsupported_parameter"
    assert contents(user([audio(SOUND, "wav")]), vision=False)


@pytest.mark.parametrize(
    ("details", "resolution", "told"),
    [
        ([None, "auto"], None, ()),
        (["low"], "MEDIA_RESOLUTION_LOW", ()),
        (["high", "original"], "MEDIA_RESOLUTION_HIGH", ()),
        (["low", "high"], None, ("image_url.detail",)),
        (["low", None], None, ("image_url.detail",)),
        (["brand-new"], None, ("image_url.detail",)),
    ],
)
def test_detail_is_the_resolution_of_all_images(details: list[Any], resolution: str | None, told: Any) -> None:
    fields: Json = {"messages": [user([image(KEPT, detail=detail) for detail in details])]}
    assert config(fields).get("mediaResolution") == resolution
    assert dropped(fields) == told


# --- tools ------------------------------------------------------------------------------------------------------------


def test_tool_has_its_name_description_and_schema() -> None:
    (native,) = sent({"tools": [tool("f", description="d", parameters=SCHEMA)]})["tools"]
    assert native == {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]}


@pytest.mark.parametrize(
    "function", [{}, {"parameters": {}}, {"parameters": {"type": "object", "properties": {}, "required": []}}]
)
def test_tool_without_parameters_has_no_schema(function: Json) -> None:
    assert sent({"tools": [tool("f", **function)]})["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


@pytest.mark.parametrize("parameters", [{"type": "object"}, {"properties": {}, "additionalProperties": True}])
def test_tool_of_any_parameters_keeps_its_schema(parameters: Json) -> None:
    (native,) = sent({"tools": [tool("f", parameters=parameters)]})["tools"][0]["functionDeclarations"]
    assert native["parametersJsonSchema"] == {"type": "object", **parameters}


def test_reference_in_a_schema_stands_alone() -> None:
    node = {"$ref": "#/$defs/n", "description": "d"}
    schema: Json = {"type": "object", "properties": {"n": node, "m": {"$ref": "#/$defs/n"}}, "$defs": {"n": SCHEMA}}
    (native,) = sent({"tools": [tool("f", parameters=schema)]})["tools"][0]["functionDeclarations"]
    assert native["parametersJsonSchema"]["properties"] == {
        "n": {"anyOf": [{"$ref": "#/$defs/n"}], "description": "d"},
        "m": {"$ref": "#/$defs/n"},
    }


@pytest.mark.parametrize("name", ["a/b", "\u00e9", "1st", "-f", "x" * 200])
def test_name_outside_the_alphabet_is_spelt_anew_everywhere_alike(name: str) -> None:
    body = sent(
        {
            "messages": [user("a"), assistant(None, tool_calls=[call("c", name)]), result("c")],
            "tools": [tool(name), tool("f")],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    native = body["tools"][0]["functionDeclarations"][0]["name"]
    assert native != name
    assert native[0].isalpha() or native[0] == "_"
    assert native.isascii()
    assert len(native) <= 128
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == native
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == native
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": [native]}


@pytest.mark.parametrize("name", ["files.read", "ns:f", "f-1", "_f"])
def test_name_in_the_alphabet_stays(name: str) -> None:
    assert sent({"tools": [tool(name)]})["tools"][0]["functionDeclarations"] == [{"name": name}]


@pytest.mark.parametrize(
    ("openais", "native"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "g"}}, {"mode": "ANY", "allowedFunctionNames": ["g"]}),
    ],
)
def test_tool_choice_in_googles_words(openais: Any, native: Json | None) -> None:
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": openais})
    assert body.get("toolConfig") == (native and {"functionCallingConfig": native})


def test_allowed_tools_are_the_ones_that_are_sent() -> None:
    choice: Json = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}}
    body = sent({"tools": [tool("f"), tool("g")], "tool_choice": choice})
    assert body["tools"] == [{"functionDeclarations": [{"name": "g"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


@pytest.mark.parametrize(("choice", "mode"), [(None, "VALIDATED"), ("required", "ANY"), ("none", "NONE")])
def test_strict_tools_are_kept_to_their_schemas(choice: str | None, mode: str) -> None:
    body = sent({"tools": [tool("f", parameters=SCHEMA, strict=True)], "tool_choice": choice})
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_parallel_calls_cannot_be_forbidden() -> None:
    assert dropped({"tools": [tool()], "parallel_tool_calls": False}) == ("parallel_tool_calls",)


def test_tool_that_is_no_function_is_refused() -> None:
    assert refused({"tools": [{"type": "custom", "custom": {"name": "f"}}]}).param == "tools[0].type"


# --- calls and results ------------------------------------------------------------------------------------------------


def test_calls_and_their_results_in_order() -> None:
    calls = [call("c1", "f", '{"a": 1}'), call("c2", "g", "")]
    got = contents(user("Hi"), assistant(None, tool_calls=calls), result("c2", '{"b": [1]}'), result("c1"), user("?"))
    assert got[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"a": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "42"}}},
                {"functionResponse": {"name": "g", "response": {"b": [1]}}},
                {"text": "?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("[1]", {"result": "[1]"}),
        ("", {"result": ""}),
        ("{oops", {"result": "{oops"}),
        ('{"$ref": "#/a"}', {"result": '{"$ref": "#/a"}'}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"result": "a\nb"}),
    ],
)
def test_result_is_an_object(content: Any, response: Json) -> None:
    got = contents(user("Hi"), assistant(None, tool_calls=[call("c")]), result("c", content))
    assert got[2]["parts"] == [{"functionResponse": {"name": "f", "response": response}}]


def test_image_in_a_result_is_part_of_it_from_gemini_3_on() -> None:
    messages = [user("Hi"), assistant(None, tool_calls=[call("c")]), result("c", [image(KEPT)])]
    kept = {"fileData": {"fileUri": KEPT}}
    answered: Json = {"name": "f", "response": {"result": ""}}
    assert contents(*messages)[2]["parts"] == [{"functionResponse": answered}, kept]
    assert contents(*messages, **LEVEL)[2]["parts"] == [{"functionResponse": {"id": "c", **answered, "parts": [kept]}}]


def test_ids_are_told_where_models_know_them_and_stay_apart() -> None:
    step = [assistant(None, tool_calls=[call("c")]), result("c")]
    got = contents(user("Hi"), *step, *step, **LEVEL)
    ids = [part.get("functionCall", part.get("functionResponse"))["id"] for turn in got[1:] for part in turn["parts"]]
    assert ids[0] == ids[1] == "c"
    assert ids[2] == ids[3] != "c"


def test_call_without_its_result_is_refused() -> None:
    assert refused({"messages": [user("a"), assistant(None, tool_calls=[call("c")]), user("b")]}).status == 400
    assert refused({"messages": [user("a"), result("c")]}).param == "messages[1].tool_call_id"


# --- signatures -------------------------------------------------------------------------------------------------------


def signatures(turns: list[Json]) -> list[Any]:
    return [part.get("thoughtSignature") for turn in turns for part in turn["parts"] if "functionCall" in part]


@pytest.mark.parametrize("signature", [SIGNATURE, "YQ==", "YWI=", "YWJj", "+/+/" * 1000])
@pytest.mark.parametrize("call_id", ["p3xk9w1q", "call_a.sig.b", "", "\ud800"])
def test_signature_survives_in_the_id(call_id: str, signature: str) -> None:
    signed = tool_call_state.attach_state(call_id, tool_call_state.GEMINI, signature)
    assert (tool_call_state.strip_state(signed), tool_call_state.read_state(signed, tool_call_state.GEMINI)) == (
        call_id,
        signature,
    )
    assert tool_call_state.read_state(signed, tool_call_state.CLAUDE) == ""
    assert not {"+", "/", "="} & set(signed)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "call_abc",
        "toolu_01",
        "a.sig.b.c",
        "a.sig.YWJj.00000000",
        tool_call_state.attach_state("a", tool_call_state.GEMINI, SIGNATURE)[:-1],
        tool_call_state.attach_state("a", tool_call_state.GEMINI, "")[1:],
    ],
)
def test_foreign_or_cut_id_carries_no_signature(foreign: str) -> None:
    assert (tool_call_state.strip_state(foreign), tool_call_state.read_state(foreign, tool_call_state.GEMINI)) == (
        foreign,
        "",
    )


@pytest.mark.parametrize("capabilities", [BUDGET, LEVEL])
def test_signature_comes_back_from_the_id_alone(capabilities: Json) -> None:
    signed = tool_call_state.attach_state("p3xk9w1q", tool_call_state.GEMINI, SIGNATURE)
    got = contents(user("Hi"), assistant(None, tool_calls=[call(signed)]), result(signed), **capabilities)
    assert signatures(got) == [SIGNATURE]
    if capabilities is LEVEL:
        assert got[1]["parts"][0]["functionCall"]["id"] == got[2]["parts"][0]["functionResponse"]["id"] == "p3xk9w1q"


def test_signature_comes_back_from_googles_own_field() -> None:
    own: Json = {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    got = contents(user("Hi"), assistant(None, tool_calls=[call("c", **own)]), result("c"), **LEVEL)
    assert signatures(got) == [SIGNATURE]


def test_first_call_of_each_step_of_the_turn_is_signed_where_no_gemini_made_it() -> None:
    def step(*ids: str) -> list[Json]:
        return [assistant(None, tool_calls=[call(given) for given in ids]), *(result(given) for given in ids)]

    signed = tool_call_state.attach_state("d", tool_call_state.GEMINI, SIGNATURE)
    got = [*step("a"), assistant("Done."), user("And?"), *step("b", "c"), *step(signed), *step("e")]
    assert signatures(contents(user("Hi"), *got, **LEVEL)) == [None, UNSIGNED, None, SIGNATURE, UNSIGNED]
    assert signatures(contents(user("Hi"), *got, **BUDGET)) == [None, None, None, SIGNATURE, None]


def test_model_that_does_not_think_is_given_no_signature() -> None:
    signed = tool_call_state.attach_state("d", tool_call_state.GEMINI, SIGNATURE)
    assert signatures(contents(user("Hi"), assistant(None, tool_calls=[call(signed)]), result(signed))) == [None]


def test_signature_of_a_text_is_on_its_last_part() -> None:
    def detail(kind: str, data: str) -> Json:
        return {"type": "reasoning.encrypted", "data": data, "format": kind, "index": 0}

    details = [detail("google-gemini-v1", SIGNATURE), detail("anthropic-claude-v1", "other")]
    said = assistant([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], reasoning_details=details)
    got = contents(user("Hi"), said, user("And?"), **LEVEL)
    assert got[1]["parts"] == [{"text": "a"}, {"text": "b", "thoughtSignature": SIGNATURE}]
    assert got[2]["parts"] == [{"text": "And?"}]


# --- format -----------------------------------------------------------------------------------------------------------

IN_JSON: Json = {"type": "json_object"}
IN_SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("wanted", "native"),
    [
        ({"type": "text"}, {}),
        (IN_JSON, {"responseMimeType": "application/json"}),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, {"responseMimeType": "application/json"}),
        (
            IN_SCHEMA,
            {"responseMimeType": "application/json", "responseJsonSchema": {"description": "d", **SCHEMA}},
        ),
    ],
)
def test_format_in_googles_words(wanted: Json, native: Json) -> None:
    assert config({"response_format": wanted}) == native


def test_json_beside_tools_is_native_from_gemini_3_on_and_in_words_before() -> None:
    fields: Json = {"response_format": IN_JSON, "tools": [tool()]}
    assert config(fields, LEVEL) == {"responseMimeType": "application/json"}
    body = sent(fields, BUDGET)
    assert "generationConfig" not in body
    assert "JSON" in body["systemInstruction"]["parts"][0]["text"]


@pytest.mark.parametrize(
    ("fields", "capabilities"),
    [
        ({"response_format": IN_SCHEMA, "tools": [tool()]}, BUDGET),
        ({"response_format": IN_SCHEMA}, {"json_schema": False}),
        ({"response_format": {"type": "grammar"}}, LEVEL),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": []}}}, LEVEL),
    ],
)
def test_format_that_cannot_be_kept_is_refused(fields: Json, capabilities: Json) -> None:
    error = refused(fields, capabilities)
    assert (error.code, error.param) == ("unsupported_parameter", "response_format")


# --- thinking ---------------------------------------------------------------------------------------------------------

THINKING: list[tuple[Json, Json, Any, tuple[str, ...]]] = [
    (BUDGET, {}, None, ()),
    (BUDGET, {"reasoning_effort": "none"}, {"thinkingBudget": 0}, ()),
    (BUDGET, {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingBudget": 2048}, ()),
    (BUDGET, {"reasoning_effort": "max"}, {"includeThoughts": True, "thinkingBudget": 24576}, ()),
    (BUDGET, {"reasoning_effort": "high", "max_tokens": 4000}, {"includeThoughts": True, "thinkingBudget": 2000}, ()),
    (BUDGET, {"reasoning_effort": "high", "max_tokens": 100}, {"includeThoughts": True, "thinkingBudget": 512}, ()),
    (BUDGET, {"reasoning": {"enabled": True}}, {"includeThoughts": True, "thinkingBudget": -1}, ()),
    (BUDGET, {"reasoning": {"max_tokens": 5000}}, {"includeThoughts": True, "thinkingBudget": 5000}, ()),
    (
        BUDGET,
        {"reasoning": {"max_tokens": 99}},
        {"includeThoughts": True, "thinkingBudget": 512},
        ("reasoning.max_tokens=512",),
    ),
    (
        BUDGET,
        {"reasoning": {"effort": "low", "exclude": True}},
        {"includeThoughts": False, "thinkingBudget": 2048},
        (),
    ),
    (
        BUDGET,
        {"thinking": {"type": "enabled", "budget_tokens": 3000}},
        {"includeThoughts": True, "thinkingBudget": 3000},
        (),
    ),
    (LEVEL, {}, None, ()),
    (LEVEL, {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}, ("reasoning_effort=minimal",)),
    (LEVEL, {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "MINIMAL"}, ()),
    (LEVEL, {"reasoning": {"enabled": True}}, {"includeThoughts": True}, ()),
    (LEVEL, {"reasoning": {"max_tokens": 5000}}, {"includeThoughts": True}, ("reasoning.max_tokens",)),
    (
        LOW_HIGH,
        {"reasoning_effort": "medium"},
        {"includeThoughts": True, "thinkingLevel": "LOW"},
        ("reasoning_effort=low",),
    ),
    ({}, {"reasoning_effort": "low"}, None, ("reasoning_effort",)),
    ({}, {"reasoning_effort": "none"}, None, ()),
]


@pytest.mark.parametrize(("capabilities", "fields", "native", "told"), THINKING)
def test_thinking_by_budget_or_level(capabilities: Json, fields: Json, native: Any, told: tuple[str, ...]) -> None:
    built = build(fields, capabilities)
    assert json.loads(built.body).get("generationConfig", {}).get("thinkingConfig") == native
    assert built.dropped == told


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"presence_penalty": 0.5, "frequency_penalty": 0.5}, ("presence_penalty", "frequency_penalty")),
        ({"presence_penalty": 0, "n": 1, "logprobs": False, "modalities": ["text"]}, ()),
        ({"logit_bias": {"1": 1}, "user": "u", "store": True}, ("logit_bias", "user", "store")),
        ({"seed": 2**31}, ("seed",)),
        ({"stop": list("abcdefg")}, ("stop",)),
        ({"top_k": 0.5}, ("top_k",)),
        ({"service_tier": "scale"}, ("service_tier",)),
        ({"service_tier": "auto"}, ()),
        ({"messages": [user("a", name="Ada")]}, ("name",)),
    ],
)
def test_what_tunes_and_cannot_be_said_is_dropped_and_told(fields: Json, told: tuple[str, ...]) -> None:
    assert sorted(dropped(fields)) == sorted(told)
    if told:
        error = refused({**fields, "provider": {"require_parameters": True}})
        assert (error.code, error.param) == ("unsupported_parameter", dropped(fields)[0])


@pytest.mark.parametrize(
    "fields",
    [{"n": 9}, {"modalities": ["text", "audio"]}, {"audio": {"voice": "a"}}, {"web_search_options": {"a": 1}}],
)
def test_what_changes_the_answer_and_cannot_be_said_is_refused(fields: Json) -> None:
    error = refused(fields)
    assert (error.code, error.param) == ("unsupported_parameter", next(iter(fields)))


def test_top_logprobs_need_logprobs() -> None:
    assert refused({"top_logprobs": 3}).param == "top_logprobs"
    assert config({"logprobs": True}) == {"responseLogprobs": True}


def test_stops_are_five_at_most_and_not_blank() -> None:
    assert config({"stop": list("abcdefg")})["stopSequences"] == list("abcde")
    assert config({"stop": [" ", "a"]})["stopSequences"] == ["a"]


def test_output_is_limited_to_what_the_model_can() -> None:
    assert config({"max_completion_tokens": 100_000}, BUDGET) == {"maxOutputTokens": 65536}
    assert dropped({"max_completion_tokens": 100_000}, BUDGET) == ("max_completion_tokens=65536",)


def test_sampling_a_model_refuses_is_dropped_and_told() -> None:
    fields = {"temperature": 0.5, "top_p": 0.5}
    assert config(fields, {"sampling": False}) == {}
    assert dropped(fields, {"sampling": False}) == ("temperature", "top_p")


# --- anything ---------------------------------------------------------------------------------------------------------

IDS = st.sampled_from(["a", "b", tool_call_state.attach_state("a", tool_call_state.GEMINI, SIGNATURE), ""])
PARTS = st.sampled_from(
    [image(KEPT), audio(SOUND, "wav"), file(file_data=PDF), {"type": "text", "text": "x"}, {"type": "?"}]
)
CONTENT = st.none() | st.text(max_size=3) | st.lists(PARTS, max_size=3)
MESSAGES = st.one_of(
    st.builds(user, CONTENT),
    st.builds(system, CONTENT),
    st.builds(result, IDS, CONTENT),
    st.builds(assistant, CONTENT, tool_calls=st.lists(st.builds(call, IDS, st.text(max_size=3)), max_size=2)),
)


@given(st.lists(MESSAGES, min_size=1, max_size=6), st.sampled_from([{}, BUDGET, LEVEL]))
@settings(max_examples=300, deadline=None)
def test_any_conversation_is_one_of_googles_or_a_bad_request(messages: list[Json], capabilities: Json) -> None:
    try:
        turns = contents(*messages, **capabilities)
    except BadRequestError as error:
        json.dumps(error_body(error), allow_nan=False)
        return
    roles = [turn["role"] for turn in turns]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    assert all(turn["parts"] for turn in turns)


def test_request_nested_too_deeply_is_refused() -> None:
    schema: Json = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    deep = ChatRequest.model_construct(model="m", messages=ASK, tools=[tool("f", parameters=schema)])
    with pytest.raises(BadRequestError):
        gemini.ChatCall(deep, route("gemini"))
