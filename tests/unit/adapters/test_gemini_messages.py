"""Conversations as contents and parts of the Gemini API."""

import base64
from typing import Any

import pytest

from tollgate.adapters import tool_call_state
from tollgate.adapters.gemini.messages import UNSIGNED
from tollgate.gateway.types import Json
from unit.adapters.gemini_requests import (
    BUDGET,
    KEPT,
    LEVEL,
    PDF,
    SIGNATURE,
    SOUND,
    assistant,
    audio,
    call,
    config,
    contents,
    dropped,
    file,
    image,
    refused,
    result,
    sent,
    system,
    user,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
GIF = base64.b64encode(b"GIF89a" + bytes(24)).decode()


# --- roles ------------------------------------------------------------------------------------------------------------


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


def test_cache_breakpoints_are_dropped_and_reported() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert dropped({"messages": [user([part])]}) == ("cache_control",)


# --- content parts ----------------------------------------------------------------------------------------------------


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
def test_part_is_googles(part: Json, native: Json) -> None:
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
def test_unsupported_part_is_refused_with_its_param(part: Json, param: str) -> None:
    error = refused({"messages": [user([part])]})
    assert (error.status, error.param) == (400, f"messages[0].content[0]{param}")


def test_images_are_refused_without_vision_and_audio_is_not() -> None:
    assert refused({"messages": [user([image(KEPT)])]}, {"vision": False}).code == "unsupported_parameter"
    assert contents(user([audio(SOUND, "wav")]), vision=False)


@pytest.mark.parametrize(
    ("details", "resolution", "reported"),
    [
        ([None, "auto"], None, ()),
        (["low"], "MEDIA_RESOLUTION_LOW", ()),
        (["high", "original"], "MEDIA_RESOLUTION_HIGH", ()),
        (["low", "high"], None, ("image_url.detail",)),
        (["low", None], None, ("image_url.detail",)),
        (["brand-new"], None, ("image_url.detail",)),
    ],
)
def test_detail_is_the_resolution_of_all_images(details: list[Any], resolution: str | None, reported: Any) -> None:
    fields: Json = {"messages": [user([image(KEPT, detail=detail) for detail in details])]}
    assert config(fields).get("mediaResolution") == resolution
    assert dropped(fields) == reported


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


def test_ids_are_sent_to_models_that_support_them_and_are_unique() -> None:
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
def test_signature_is_kept_in_the_id(call_id: str, signature: str) -> None:
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
def test_other_or_truncated_id_has_no_signature(foreign: str) -> None:
    assert (tool_call_state.strip_state(foreign), tool_call_state.read_state(foreign, tool_call_state.GEMINI)) == (
        foreign,
        "",
    )


@pytest.mark.parametrize("capabilities", [BUDGET, LEVEL])
def test_signature_is_read_from_the_id(capabilities: Json) -> None:
    signed = tool_call_state.attach_state("p3xk9w1q", tool_call_state.GEMINI, SIGNATURE)
    got = contents(user("Hi"), assistant(None, tool_calls=[call(signed)]), result(signed), **capabilities)
    assert signatures(got) == [SIGNATURE]
    if capabilities is LEVEL:
        assert got[1]["parts"][0]["functionCall"]["id"] == got[2]["parts"][0]["functionResponse"]["id"] == "p3xk9w1q"


def test_signature_is_read_from_googles_field() -> None:
    own: Json = {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    got = contents(user("Hi"), assistant(None, tool_calls=[call("c", **own)]), result("c"), **LEVEL)
    assert signatures(got) == [SIGNATURE]


def test_first_call_of_each_step_without_a_signature_gets_the_placeholder() -> None:
    def step(*ids: str) -> list[Json]:
        return [assistant(None, tool_calls=[call(value) for value in ids]), *(result(value) for value in ids)]

    signed = tool_call_state.attach_state("d", tool_call_state.GEMINI, SIGNATURE)
    got = [*step("a"), assistant("Done."), user("And?"), *step("b", "c"), *step(signed), *step("e")]
    assert signatures(contents(user("Hi"), *got, **LEVEL)) == [None, UNSIGNED, None, SIGNATURE, UNSIGNED]
    assert signatures(contents(user("Hi"), *got, **BUDGET)) == [None, None, None, SIGNATURE, None]


def test_model_that_does_not_think_gets_no_signature() -> None:
    signed = tool_call_state.attach_state("d", tool_call_state.GEMINI, SIGNATURE)
    assert signatures(contents(user("Hi"), assistant(None, tool_calls=[call(signed)]), result(signed))) == [None]


def test_signature_of_a_text_is_on_its_last_part() -> None:
    def detail(kind: str, data: str) -> Json:
        return {"type": "reasoning.encrypted", "data": data, "format": kind, "index": 0}

    details = [detail("google-gemini-v1", SIGNATURE), detail("anthropic-claude-v1", "other")]
    text_content = assistant([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], reasoning_details=details)
    got = contents(user("Hi"), text_content, user("And?"), **LEVEL)
    assert got[1]["parts"] == [{"text": "a"}, {"text": "b", "thoughtSignature": SIGNATURE}]
    assert got[2]["parts"] == [{"text": "And?"}]
