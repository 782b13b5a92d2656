"""Provider calls of images, audio and moderations: requests, which responses are valid, and what they report."""

import base64
import datetime
import json
from decimal import Decimal
from typing import Any

import pytest

from support.families import route
from tollgate.adapters import FAMILIES
from tollgate.gateway.errors import BadRequestError, GatewayError, UpstreamError
from tollgate.gateway.image_generation import ImageEditRequest, ImagesRequest
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.prices import Prices
from tollgate.gateway.quirks import Dialect, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.speech import SpeechRequest
from tollgate.gateway.transcriptions import TranscriptionRequest
from tollgate.gateway.types import Unit, Usage
from tollgate.gateway.uploads import File

PNG = base64.b64encode(b"png").decode()
FILE = File("a.wav", "audio/wav", memoryview(b"RIFF"))
REQUESTS: dict[str, Any] = {
    "image_generation": (ImagesRequest, {"prompt": "a"}),
    "image_edit": (ImageEditRequest, {"prompt": "a", "image": [FILE]}),
    "speech": (SpeechRequest, {"input": "abc", "voice": "b"}),
    "transcriptions": (TranscriptionRequest, {"file": FILE}),
    "translations": (TranscriptionRequest, {"file": FILE}),
    "moderations": (ModerationsRequest, {"input": "a"}),
}
TOKENS = {"input_tokens": 4, "output_tokens": 9, "input_token_details": {"audio_tokens": 3}}


def call(
    operation: str, family: str = "openai", unit: Unit | None = None, quirks: Quirks | None = None, **fields: Any
) -> Any:
    """The call for a request with these fields of a model that costs tokens, or a unit."""
    request_type, least = REQUESTS[operation]
    plain = route(family, quirks)
    prices = Prices(
        input_usd_per_mtok=Decimal(0),
        output_usd_per_mtok=Decimal(0),
        usd_per_unit={} if unit is None else {unit: Decimal(1)},
        source="s",
        date=datetime.date(2026, 1, 1),
    )
    request = request_type.of({"model": "m", **least, **fields}, from_text=operation not in ("speech", "moderations"))
    return FAMILIES[family].calls[operation](request, Route(plain.model, plain.provider, "native", prices))


def events(call: Any, *data: Any) -> list[Any]:
    """The chunks of a stream with these events."""
    parser = call.open_stream()
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in data)
    return [*parser.feed(body), *(() if parser.done else parser.close())]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("image_generation", "images/generations"),
        ("image_edit", "images/edits"),
        ("speech", "audio/speech"),
        ("transcriptions", "audio/transcriptions"),
        ("translations", "audio/translations"),
        ("moderations", "moderations"),
    ],
)
def test_request_goes_to_the_operations_path(operation: str, path: str) -> None:
    request = call(operation).request
    assert request.url == f"https://x/v1/{path}"
    assert b"native" in request.body


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error": {"message": "no", "code": 500}}'])
def test_response_without_a_result_is_an_error(operation: str, body: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        call(operation).parse_response(body)
    assert isinstance(raised.value, UpstreamError)


@pytest.mark.parametrize(
    ("unit", "usage", "expected"),
    [(None, TOKENS, Usage(4, 9)), (None, {}, None), ("images", TOKENS, Usage(images=2))],
)
def test_images_report_tokens_or_their_number(unit: Unit | None, usage: Any, expected: Usage | None) -> None:
    body = json.dumps({"data": [{"b64_json": PNG}, {"url": "u"}, {}], "usage": usage, "quality": "low"}).encode()
    images = call("image_generation", unit=unit, n="2").parse_response(body)
    assert (images.data, images.usage) == ([{"b64_json": PNG}, {"url": "u"}], expected)
    assert images.extra["quality"] == "low"


@pytest.mark.parametrize("operation", ["image_generation", "image_edit"])
def test_stream_of_images_ends_with_its_last_event(operation: str) -> None:
    partial, last = {"type": f"{operation}.partial_image"}, {"type": f"{operation}.completed", "usage": TOKENS}
    streamed = call(operation, stream="true", partial_images="1")
    chunks = events(streamed, partial, last)
    assert [(chunk.usage, chunk.finish_reason) for chunk in chunks] == [(None, None), (Usage(4, 9), "stop")]
    for cut in ([partial], [partial, {"type": "error", "error": {"message": "no"}}]):
        with pytest.raises(UpstreamError):
            events(streamed, *cut)
    assert call(operation).open_stream() is None


@pytest.mark.parametrize(("size", "ratio"), [(None, None), ("auto", None), ("1536x1024", "3:2"), ("1024x1024", "1:1")])
def test_size_is_an_aspect_ratio_elsewhere(size: str | None, ratio: str | None) -> None:
    fields: dict[str, Any] = {"size": size, "quality": "high", "response_format": "b64_json"}
    gemini, bedrock = (call("image_generation", family, **fields).request for family in ("gemini", "bedrock"))
    config = json.loads(gemini.body)["generationConfig"]
    assert config.get("imageConfig", {}).get("aspectRatio") == ratio == json.loads(bedrock.body).get("aspect_ratio")
    assert gemini.dropped == bedrock.dropped == ("quality",)


@pytest.mark.parametrize(("output_format", "dropped"), [("png", ()), ("webp", ("output_format",))])
def test_output_format_of_stability_is_png_or_jpeg(output_format: str, dropped: tuple[str, ...]) -> None:
    request = call("image_generation", "bedrock", output_format=output_format, negative_prompt="snow").request
    assert (json.loads(request.body)["negative_prompt"], request.dropped) == ("snow", dropped)


def candidate(reason: str, *parts: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [*parts]}, "finishReason": reason}]}


IMAGE_PART = {"inlineData": {"mimeType": "image/png", "data": PNG}}


@pytest.mark.parametrize(
    ("family", "body"),
    [
        ("gemini", candidate("STOP", {"text": "x"}, {**IMAGE_PART, "thought": True}, IMAGE_PART)),
        ("bedrock", {"images": [PNG], "finish_reasons": [None]}),
    ],
)
def test_image_of_other_families_is_read(family: str, body: Any) -> None:
    made = call("image_generation", family)
    assert made.parse_response(json.dumps(body).encode()).data == [{"b64_json": PNG}]
    assert made.open_stream() is None


@pytest.mark.parametrize(
    ("family", "body", "error"),
    [
        ("gemini", candidate("IMAGE_SAFETY"), BadRequestError),
        ("gemini", candidate("STOP", {"text": "x"}), UpstreamError),
        ("bedrock", {"images": [""], "finish_reasons": ["Filter reason: prompt"]}, BadRequestError),
        ("bedrock", {"images": [], "finish_reasons": []}, UpstreamError),
        ("bedrock", {"images": "x"}, UpstreamError),
    ],
)
def test_refused_or_missing_image_is_an_error(family: str, body: Any, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        call("image_generation", family).parse_response(json.dumps(body).encode())


def test_sources_are_sent_before_the_prompt_to_gemini() -> None:
    (content,) = json.loads(call("image_edit", "gemini").request.body)["contents"]
    assert [part.keys() for part in content["parts"]] == [{"inlineData"}, {"text"}]


@pytest.mark.parametrize(("unit", "usages"), [("characters", [Usage(characters=3), None]), (None, [None, None])])
def test_audio_is_passed_on_and_measured_once(unit: Unit | None, usages: list[Usage | None]) -> None:
    parser = call("speech", unit=unit).open_stream()
    pieces = [piece for data in (b"", b"a", b"b") for piece in parser.feed(data)]
    assert [(piece.data, piece.usage) for piece in pieces] == [(b"a", usages[0]), (b"b", usages[1])]
    assert [piece.text_bytes > 0 for piece in pieces] == [unit is None, False]
    assert [*parser.close()] == []


@pytest.mark.parametrize(("unit", "usage"), [("characters", Usage(characters=3)), (None, Usage(4, 9))])
def test_events_of_audio_report_at_the_end(unit: Unit | None, usage: Usage) -> None:
    streamed = call("speech", unit=unit, stream_format="sse")
    chunks = events(streamed, {"type": "speech.audio.delta"}, {"type": "speech.audio.done", "usage": TOKENS})
    assert [chunk.usage for chunk in chunks] == [None, usage]


@pytest.mark.parametrize(
    ("unit", "body", "usage"),
    [
        (None, {"usage": TOKENS}, Usage(4, 9, input_audio_tokens=3)),
        (None, {}, None),
        ("seconds", {"usage": {"type": "duration", "seconds": 7}}, Usage(seconds=7)),
        ("seconds", {"usage": {"prompt_audio_seconds": 6.2}}, Usage(seconds=7)),
        ("seconds", {"duration": "8.47"}, Usage(seconds=9)),
        ("seconds", {"duration": -1}, None),
        ("seconds", {"duration": 1e400}, None),
        ("seconds", {"duration": {}}, None),
        ("seconds", {"usage": TOKENS}, None),
    ],
)
def test_transcript_reports_tokens_or_seconds(unit: Unit | None, body: Any, usage: Usage | None) -> None:
    answer = call("transcriptions", unit=unit).parse_response(json.dumps({"text": "abc", **body}).encode())
    assert (answer.usage, answer.text_bytes) == (usage, 0 if unit else 3)


@pytest.mark.parametrize(
    ("body", "text"), [(b"Four score\n", "Four score\n"), (b'{"text": "a"}', "a"), (b'"a"', "a"), (b"7", "7")]
)
def test_plain_transcript_is_read_from_text_or_json(body: bytes, text: str) -> None:
    assert call("transcriptions", response_format="text").parse_response(body).body == text


def test_page_is_no_transcript() -> None:
    with pytest.raises(UpstreamError, match="page"):
        call("transcriptions", response_format="text").parse_response(b"<html>")


def test_stream_of_a_transcript_is_measured() -> None:
    streamed = call("transcriptions", stream="true")
    assert b'name="stream"' in streamed.request.body
    delta, done = {"type": "transcript.text.delta", "delta": "abc"}, {"type": "transcript.text.done", "usage": TOKENS}
    chunks = events(streamed, delta, done)
    assert [(chunk.text_bytes, chunk.usage) for chunk in chunks] == [(3, None), (0, Usage(4, 9, input_audio_tokens=3))]


def test_default_format_is_not_sent_to_a_provider_that_has_no_formats() -> None:
    quirks = Quirks(transcriptions=Dialect(unsupported=("response_format", "stream", "prompt")))
    made = call("transcriptions", quirks=quirks, response_format="json", stream="true", prompt="p")
    assert b"response_format" not in made.request.body
    assert (b"stream" in made.request.body, made.request.dropped) == (False, ("prompt",))
    with pytest.raises(BadRequestError) as raised:
        call("transcriptions", quirks=quirks, response_format="srt")
    assert raised.value.param == "response_format"


RESULT = {"categories": {"pii": True, "law": False}, "category_scores": {"pii": 0.9, "law": 0.1}}


@pytest.mark.parametrize(
    ("result", "flagged"),
    [({**RESULT, "flagged": False}, False), (RESULT, True), ({**RESULT, "categories": {"pii": False}}, False)],
)
def test_moderation_without_a_flag_is_flagged_by_its_categories(result: Any, flagged: bool) -> None:
    answer = call("moderations").parse_response(json.dumps({"results": [result]}).encode())
    assert answer.results[0]["flagged"] is flagged


@pytest.mark.parametrize("results", [[], [RESULT, RESULT], [{"flagged": True}], [{**RESULT, "flagged": "no"}]])
def test_moderation_has_one_result_for_each_input(results: Any) -> None:
    with pytest.raises(UpstreamError) as raised:
        call("moderations").parse_response(json.dumps({"results": results}).encode())
    assert raised.value.code == "unusable_response"


@pytest.mark.parametrize(
    ("operation", "param"),
    [("image_generation", "prompt"), ("speech", "input"), ("transcriptions", "file"), ("moderations", "input")],
)
def test_what_is_too_long_is_named(operation: str, param: str) -> None:
    body = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    assert call(operation).parse_error(400, {}, body).param == param
