"""Conversations as messages and content blocks of the Messages API."""

import base64
from typing import Any

import pytest

from tollgate.gateway.types import Json
from unit.adapters.anthropic_requests import (
    OPUS,
    PNG,
    SONNET,
    assistant,
    dropped,
    image,
    only_block,
    refused,
    sent,
    sent_messages,
    system,
    text,
    user,
)

PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(24)).decode()


# --- system -----------------------------------------------------------------------------------------------------------


def test_leading_system_and_developer_messages_are_the_system() -> None:
    body = sent({"messages": [system("a"), system([text("b")], role="developer"), user("Hi")]})
    assert body["system"] == [text("a"), text("b")]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_blank_system_text_is_left_out() -> None:
    assert "system" not in sent({"messages": [system(" \n"), user("Hi")]})


def test_later_system_message_becomes_a_user_message_in_place() -> None:
    assert sent_messages(user("a"), system("b"), assistant("c"), user("d")) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
        {"role": "user", "content": [text("d")]},
    ]


def test_later_system_message_is_kept_if_the_model_supports_it() -> None:
    got = sent_messages(user("a"), system("b"), system("c", role="developer"), assistant("d"), user("e"), **OPUS)
    assert [turn["role"] for turn in got] == ["user", "system", "assistant", "user"]
    assert got[1]["content"] == [text("b"), text("c")]


def test_system_message_at_the_end_is_kept() -> None:
    assert [turn["role"] for turn in sent_messages(user("a"), system("b"), **OPUS)] == ["user", "system"]


@pytest.mark.parametrize(
    "messages",
    [[user("a"), system("b"), user("c")], [user("a"), assistant("x"), system("b"), user("c")]],
)
def test_system_message_in_an_unsupported_place_becomes_a_user_message(messages: list[Json]) -> None:
    assert "system" not in [turn["role"] for turn in sent_messages(*messages, **OPUS)]


def test_system_alone_is_followed_by_a_user() -> None:
    body = sent({"messages": [system("a")]})
    assert body["system"] == [text("a")]
    assert body["messages"] == [{"role": "user", "content": [text("Begin.")]}]


# --- roles ------------------------------------------------------------------------------------------------------------


def test_messages_of_one_role_are_merged() -> None:
    got = sent_messages(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [(turn["role"], len(turn["content"])) for turn in got] == [("user", 2), ("assistant", 2), ("user", 1)]


def test_conversation_begins_with_a_user() -> None:
    got = sent_messages(assistant("Welcome."), user("Hi"))
    assert [turn["role"] for turn in got] == ["user", "assistant", "user"]


def test_blank_texts_are_left_out() -> None:
    assert sent_messages(user([text(" "), text("a")]), assistant(""), user("b")) == [
        {"role": "user", "content": [text("a"), text("b")]}
    ]


def test_refusal_in_the_history_is_the_assistants_text() -> None:
    got = sent_messages(
        user("a"), assistant(None, refusal="No."), user("b"), assistant([{"type": "refusal", "refusal": "N"}])
    )
    assert got[1]["content"] == [text("No.")]
    assert got[3]["content"] == [text("N")]


def test_prefill_has_no_white_space_at_its_end() -> None:
    assert sent_messages(user("a"), assistant("The answer is \n"))[-1]["content"] == [text("The answer is")]


def test_prefill_is_refused_if_unsupported() -> None:
    error = refused({"messages": [user("a"), assistant("b")]}, SONNET)
    assert (error.code, error.param) == ("unsupported_parameter", "messages")


def test_message_names_are_dropped_and_reported() -> None:
    assert dropped({"messages": [user("a", name="Ada")]}) == ("name",)


def test_deprecated_functions_are_refused() -> None:
    messages = [user("a"), {"role": "function", "name": "f", "content": "1"}]
    assert refused({"messages": messages}).code == "unsupported_parameter"
    assert refused({"functions": [{"name": "f"}]}).param == "functions"


# --- content parts ----------------------------------------------------------------------------------------------------


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def test_image_by_https_url_is_fetched_by_the_provider() -> None:
    source = {"type": "url", "url": "https://example.com/a.png"}
    assert only_block(image("https://example.com/a.png")) == {"type": "image", "source": source}


@pytest.mark.parametrize("label", ["image/png", "image/jpg", "application/octet-stream", ""])
def test_image_in_a_data_url_has_the_type_of_its_bytes(label: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    assert only_block(image(f"data:{label};base64,{PNG}"))["source"] == source


def test_image_of_unknown_bytes_has_its_declared_type() -> None:
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
def test_image_url_other_than_https_or_data_is_refused(url: str) -> None:
    assert refused({"messages": [user([image(url)])]}).param == "messages[0].content[0].image_url.url"


def test_data_other_than_an_image_is_refused() -> None:
    assert refused({"messages": [user([image(f"data:application/pdf;base64,{PDF}")])]}).status == 400
    assert refused({"messages": [user([image("data:image/png;base64,\u00e9\u00e9\u00e9\u00e9")])]}).status == 400


def test_images_are_refused_without_vision() -> None:
    error = refused({"messages": [user([image("https://x/a.png")])]}, {"vision": False})
    assert error.code == "unsupported_parameter"


def test_image_detail_is_dropped_and_reported() -> None:
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
def test_part_without_an_anthropic_block_is_refused(part: Json) -> None:
    error = refused({"messages": [user([part])]})
    assert error.code == "unsupported_parameter"
    assert str(error.param).startswith("messages[0].content[0]")
