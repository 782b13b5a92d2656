"""Conversations as messages and content blocks of Converse."""

import base64

import pytest

from tollgate.adapters import bedrock
from tollgate.gateway.types import Json
from unit.adapters.bedrock_requests import (
    LLAMA,
    PDF,
    PNG,
    TEXT,
    assistant,
    file,
    image,
    refused,
    sent,
    sent_messages,
    system,
    text,
    user,
)

JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(24)).decode()


# --- roles ------------------------------------------------------------------------------------------------------------


def test_system_is_separate_and_roles_alternate_from_a_user_message() -> None:
    body = sent({"messages": [system("a"), system([text("b")], "developer"), assistant("c"), user("d"), user("e")]})
    assert body["system"] == [{"text": "a"}, {"text": "b"}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Begin."}]},
        {"role": "assistant", "content": [{"text": "c"}]},
        {"role": "user", "content": [{"text": "d"}, {"text": "e"}]},
    ]


def test_prefill_is_refused_if_the_model_does_not_support_it() -> None:
    assert refused({"messages": [user("a"), assistant("b")]}, LLAMA).param == "messages"


def test_later_system_message_becomes_a_user_message_and_blank_texts_are_left_out() -> None:
    assert sent_messages(user("a"), assistant([text(" ")]), system("b")) == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]}
    ]


# --- images and documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "kind"), [(PNG, "png"), (JPEG, "jpeg")])
def test_image_has_the_format_of_its_bytes(data: str, kind: str) -> None:
    (turn,) = sent_messages(user([text("?"), image(f"data:image/webp;base64,{data}")]))
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
def test_unsupported_image_is_refused_with_its_param(url: str, code: str) -> None:
    error = refused({"messages": [user([image(url)])]})
    assert (error.status, error.code, error.param) == (400, code, "messages[0].content[0].image_url.url")


def test_bedrock_fetches_nothing() -> None:
    assert not bedrock.FAMILY.fetches_url("https://x/i.png")


@pytest.mark.parametrize(("maximum", "part"), [(20, image(f"data:;base64,{PNG}")), (5, file(PDF))])
def test_number_of_images_and_documents_in_a_message_is_limited(maximum: int, part: Json) -> None:
    assert len(sent_messages(user([text("?"), *[part] * maximum]))[0]["content"]) == maximum + 1
    assert refused({"messages": [user([part] * (maximum + 1))]}).param == "messages"


def test_images_are_refused_without_vision() -> None:
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
    (turn,) = sent_messages(user([text("?"), file(data, name)]))
    assert turn["content"][1]["document"]["format"] == kind


def test_document_of_an_unknown_format_is_refused() -> None:
    error = refused({"messages": [user([file("data:application/zip;base64,UEsDBAo=", "a.zip")])]})
    assert (error.code, error.param) == ("unsupported_parameter", "messages[0].content[0].file.file_data")
    assert refused({"messages": [user([{"type": "file", "file": {"file_id": "f-1"}}])]}).status == 400


def test_documents_have_names_of_their_own_and_a_text_beside_them() -> None:
    names = ["Q3_report (final).pdf", "Q3 report (final).pdf", "\u00e9", None]
    (turn,) = sent_messages(user([file(PDF, name) for name in names]))
    *documents, last = turn["content"]
    assert [block["document"]["name"] for block in documents] == [
        "Q3 report (final) pdf",
        "Q3 report (final) pdf (2)",
        "Document",
        "Document (2)",
    ]
    assert last == {"text": "The document is attached."}


@pytest.mark.parametrize("kind", ["input_audio", "video_url"])
def test_part_without_a_converse_block_is_refused(kind: str) -> None:
    assert refused({"messages": [user([{"type": kind}])]}).param == "messages[0].content[0].type"
