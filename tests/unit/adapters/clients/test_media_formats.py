"""Client formats of embeddings, images, audio, moderations and rerank: what clients send, and what they get."""

import json
from array import array
from collections.abc import Mapping
from typing import Any

import pytest

from tollgate.adapters.clients.cohere_rerank import CohereRerank
from tollgate.adapters.clients.openai_embeddings import PIECE_BYTES, OpenAIEmbeddings
from tollgate.adapters.clients.openai_images import OpenAIImageEdits, OpenAIImageGenerations
from tollgate.adapters.clients.openai_moderations import OpenAIModerations
from tollgate.adapters.clients.openai_speech import OpenAISpeech
from tollgate.adapters.clients.openai_transcriptions import OpenAITranscriptions, OpenAITranslations
from tollgate.adapters.form_data import encode_form
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.embeddings import Embeddings
from tollgate.gateway.errors import BadRequestError, UnsupportedMediaTypeError, UpstreamError
from tollgate.gateway.image_generation import Images
from tollgate.gateway.moderations import Moderations
from tollgate.gateway.rerank import Ranking
from tollgate.gateway.speech import AudioPiece
from tollgate.gateway.transcriptions import Transcript
from tollgate.gateway.types import Usage
from tollgate.gateway.uploads import File

INFO = ResponseInfo("req_1", 9, "m", "p", "openai")
FILE = File("a.wav", "audio/wav", memoryview(b"RIFF"))
IMAGE = File("a.png", "image/png", memoryview(b"\x89PNG\r\n\x1a\n"))
JSON_FORMATS: list[tuple[Any, dict[str, Any]]] = [
    (OpenAIEmbeddings(), {"model": "m", "input": "a"}),
    (OpenAIImageGenerations(), {"model": "m", "prompt": "a"}),
    (OpenAISpeech(), {"model": "m", "input": "a", "voice": "b"}),
    (OpenAIModerations(), {"model": "m", "input": "a"}),
    (CohereRerank(), {"model": "m", "query": "a", "documents": ["b"]}),
]
FORMS: list[tuple[Any, dict[str, Any]]] = [
    (OpenAIImageEdits(), {"model": "m", "prompt": "a", "image": IMAGE}),
    (OpenAITranscriptions(), {"model": "m", "file": FILE}),
    (OpenAITranslations(), {"model": "m", "file": FILE}),
]


def parse(client_format: Any, fields: Mapping[str, Any]) -> tuple[Any, Any]:
    """The request, and the encoder of its response."""
    if isinstance(client_format, OpenAIImageEdits | OpenAITranscriptions):
        body, headers = encode_form(fields)
    else:
        body, headers = json.dumps(fields).encode(), {"content-type": "application/json"}
    request, encoder = client_format.parse(headers, body)
    return request, encoder(INFO)


def whole(client_format: Any, fields: Mapping[str, Any], result: Any, usage: Usage | None = None) -> Any:
    """The response to a request, parsed."""
    written = parse(client_format, fields)[1].result(result, usage)
    return json.loads(written if isinstance(written, bytes) else b"".join(written))


@pytest.mark.parametrize(("client_format", "fields"), [*JSON_FORMATS, *FORMS])
def test_least_request_is_read(client_format: Any, fields: dict[str, Any]) -> None:
    request, _ = parse(client_format, fields)
    assert (request.model, request.extra) == ("m", {})
    assert client_format.error(BadRequestError("no", param="x"))["error"]["param"] == "x"


@pytest.mark.parametrize(("client_format", "fields"), [*JSON_FORMATS, *FORMS])
def test_missing_field_is_named(client_format: Any, fields: dict[str, Any]) -> None:
    for name in fields.keys() - ({"model"} if isinstance(client_format, OpenAIModerations) else set()):
        with pytest.raises(BadRequestError) as raised:
            parse(client_format, {key: value for key, value in fields.items() if key != name})
        assert (raised.value.param, raised.value.code) == (name, "missing_required_parameter")


@pytest.mark.parametrize(("client_format", "fields"), FORMS)
def test_files_are_read_from_forms_alone(client_format: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        client_format.parse({"content-type": "application/json"}, b"{}")


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("vector", ["AAAAPwAAgL4=", array("d", [0.5, -0.25])])
def test_embeddings_have_the_encoding_that_is_requested(encoding: str, vector: Any) -> None:
    fields = {"model": "m", "input": ["a", "b"], "encoding_format": encoding}
    answer = whole(OpenAIEmbeddings(), fields, Embeddings([vector] * 2, Usage(3), {"meta": 1}), Usage(3))
    expected = [0.5, -0.25] if encoding == "float" else "AAAAPwAAgL4="
    assert [(item["index"], item["embedding"]) for item in answer.pop("data")] == [(0, expected), (1, expected)]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    assert answer == {"object": "list", "model": "m", "meta": 1, "usage": usage, "provider": "p"}


@pytest.mark.parametrize(("vectors", "several"), [(0, False), (1, False), (200, True)])
def test_large_response_is_written_in_pieces(vectors: int, several: bool) -> None:
    _, encoder = parse(OpenAIEmbeddings(), {"model": "m", "input": "a"})
    pieces = [*encoder.result(Embeddings([array("d", [0.1] * 1000)] * vectors), None)]
    assert (len(pieces) > 1) is several
    assert max(map(len, pieces)) < PIECE_BYTES + 10_000
    assert len(json.loads(b"".join(pieces))["data"]) == vectors


def test_images_have_the_usage_and_what_the_provider_says() -> None:
    images = Images([{"b64_json": "AA=="}], Usage(5, 7), {"quality": "low"})
    fields = {"model": "m", "prompt": "a"}
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    envelope = {"created": 9, "quality": "low", "data": [{"b64_json": "AA=="}], "provider": "p"}
    assert whole(OpenAIImageGenerations(), fields, images, Usage(5, 7)) == {**envelope, "usage": usage}
    assert whole(OpenAIImageGenerations(), fields, images, Usage(images=1)) == envelope


@pytest.mark.parametrize(
    ("client_format", "fields", "name"),
    [(*JSON_FORMATS[1], "image_generation"), (*FORMS[0], "image_edit")],
)
def test_whole_image_ends_a_stream(client_format: Any, fields: dict[str, Any], name: str) -> None:
    _, encoder = parse(client_format, fields)
    event = encoder.chunk(Images([{"b64_json": "AA=="}])).decode()
    expected = {"type": f"{name}.completed", "created_at": 9, "b64_json": "AA=="}
    assert json.loads(event.removeprefix("data: ")) == expected
    assert encoder.chunk(AudioEvent('{"a":\n1}')) == b'data: {"a": 1}\n\n'
    assert encoder.end(None, {}) == b""
    assert b'"code":"upstream_error"' in encoder.error(UpstreamError("cut"))


@pytest.mark.parametrize(
    ("sent", "format", "expected"),
    [
        ("audio/pcm;rate=24000", "pcm", "audio/pcm;rate=24000"),
        ("application/octet-stream", "wav", "audio/wav"),
        ("", "pcm", "audio/pcm"),
    ],
)
def test_audio_has_the_content_type_of_the_provider(sent: str, format: str, expected: str) -> None:
    body = json.dumps({"model": "m", "input": "a", "voice": "b", "response_format": format}).encode()
    _, encoder = OpenAISpeech().parse({}, body)
    audio: Any = encoder(ResponseInfo("req_1", 9, "m", "p", "openai", sent))
    assert audio.stream_media_type == expected
    assert (audio.chunk(AudioPiece(b"x")), audio.end(None, {}), audio.error(UpstreamError("cut"))) == (b"x", b"", None)


def test_audio_is_streamed_as_events_if_requested() -> None:
    _, encoder = parse(OpenAISpeech(), {"model": "m", "input": "a", "voice": "b", "stream_format": "sse"})
    assert encoder.stream_media_type == "text/event-stream"
    assert encoder.chunk(AudioEvent('{"type":"x"}')) == b'data: {"type":"x"}\n\n'
    assert b"cut" in encoder.error(UpstreamError("cut"))


@pytest.mark.parametrize(
    ("format", "body", "media_type", "written"),
    [
        ("json", {"text": "a"}, "application/json", b'{"text":"a"}'),
        ("text", "a\n", "text/plain; charset=utf-8", b"a\n"),
        ("vtt", "WEBVTT", "text/vtt", b"WEBVTT"),
    ],
)
def test_transcript_is_written_in_its_format(format: str, body: Any, media_type: str, written: bytes) -> None:
    fields = {"model": "m", "file": FILE, "response_format": format, "timestamp_granularities": ["word"]}
    request, encoder = parse(OpenAITranscriptions(), fields)
    assert request.timestamp_granularities == ["word"]
    assert (encoder.media_type, encoder.result(Transcript(body), None)) == (media_type, written)


def test_whole_transcript_ends_a_stream() -> None:
    _, encoder = parse(OpenAITranscriptions(), {"model": "m", "file": FILE, "stream": "true"})
    expected = b'data: {"type":"transcript.text.done","text":"a"}\n\n'
    assert encoder.chunk(Transcript({"text": "a"})) == expected


def test_moderations_have_an_id_and_the_model() -> None:
    answer = whole(OpenAIModerations(), {"model": "m", "input": "a"}, Moderations([{"flagged": True}]))
    assert (answer["model"], answer["results"]) == ("m", [{"flagged": True}])
    assert answer["id"].startswith("modr-")


@pytest.mark.parametrize(
    ("usage", "units"),
    [(Usage(searches=2), {"search_units": 2}), (Usage(7), {"input_tokens": 7}), (None, None)],
)
def test_ranking_has_documents_and_units(usage: Usage | None, units: Any) -> None:
    fields = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "return_documents": True}
    answer = whole(CohereRerank(), fields, Ranking([(1, 0.5)], usage), usage)
    assert answer["results"] == [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]
    assert answer.get("meta", {}).get("billed_units") == units
