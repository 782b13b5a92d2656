"""`POST /v1/images/generations` and `/edits` end to end: the official client, and bytes of providers of each family."""

import base64
import json
from typing import Any

import httpx
import pytest
from openai import BadRequestError, OpenAI

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

DRAWING = b"\x89PNG\r\n\x1a\n" + bytes(40)
PNG = base64.b64encode(DRAWING).decode()
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 4000,
    "total_tokens": 4050,
}
OPENAI = {"created": 1, "background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024",
          "data": [{"b64_json": PNG}, {"b64_json": PNG}], "usage": USAGE}  # fmt: skip
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [
        {"text": "a draft", "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": "ZA=="}, "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
    ]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 1290, "totalTokenCount": 1298},
}  # fmt: skip
REFUSED: Any = {
    "candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}],
    "usageMetadata": {"promptTokenCount": 8},
}
STABILITY = {"seeds": [7], "finish_reasons": [None], "images": [PNG]}
FILTERED = {"seeds": [7], "finish_reasons": ["Filter reason: prompt"], "images": [""]}
ANSWERS: dict[str, tuple[Any, int]] = {
    "openai-image": (OPENAI, 200),
    "openai-url": ({"created": 1, "data": [{"url": "https://images.example/1.png"}]}, 200),
    "openai-blocked": (
        {"error": {"message": "Your request was rejected by the safety system.", "code": "moderation_blocked"}},
        400,
    ),
    "openai-empty": ({"created": 1, "data": []}, 200),
    "gemini-image": (GEMINI, 200),
    "gemini-refused": (REFUSED, 200),
    "bedrock-image": (STABILITY, 200),
    "bedrock-filtered": (FILTERED, 200),
}

PARTIAL = {"type": "image_generation.partial_image", "b64_json": "AA==", "partial_image_index": 0, "created_at": 1,
           "size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}  # fmt: skip
DONE = {**PARTIAL, "type": "image_generation.completed", "b64_json": PNG, "usage": USAGE}


def scripts() -> dict[str, Script]:
    """The answer of each model, and a stream of a partial image and the whole one."""
    found = {name: Script([json.dumps(body).encode()], status) for name, (body, status) in ANSWERS.items()}
    events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (PARTIAL, DONE))
    return {**found, "openai-stream": Script([*events], 200, {"content-type": "text/event-stream"})}


def overlay(url: str) -> str:
    providers = (
        f'[providers.{name}]\nbase_url = "{url}/v1"\nauth = "none"\nfamily = "{name}"\nquirks = {{}}\n'
        for name in ("openai", "gemini", "bedrock")
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f"operations = {['image_generation'] if name.startswith('bedrock') else ['image_generation', 'image_edit']}\n"
        f"capabilities = {{ {'' if name.startswith('openai') else 'max_inputs = 1'} }}\n"
        f'routes = [{{ provider = "{name.partition("-")[0]}", model = "{name}" }}]\n'
        f'[models."{name}".prices]\ninput_usd_per_mtok = 5\noutput_usd_per_mtok = 30\ninput_image_usd_per_mtok = 8\n'
        f'{"usd_per_unit = { images = 0.04 }" if name.startswith("bedrock") else ""}\nsource = "t"\ndate = 2026-01-01\n'
        for name in scripts()
    )
    return "".join((*providers, *models))


provider, gateway = scripted_gateway(scripts(), overlay)


def test_request_is_passed_on_and_billed_by_tokens(
    client: OpenAI, provider: ScriptedUpstream, gateway: RunningGateway
) -> None:
    raw = client.images.with_raw_response.generate(
        model="openai-image", prompt="A gate", n=2, size="1024x1024", quality="low", output_format="png"
    )
    answer = raw.parse()
    assert provider.requests[-1].path == "/v1/images/generations"
    assert provider.requests[-1].body == {
        "model": "openai-image", "prompt": "A gate", "n": 2, "size": "1024x1024", "quality": "low",
        "output_format": "png",
    }  # fmt: skip
    assert [image.b64_json for image in answer.data or ()] == [PNG, PNG]
    assert answer.usage is not None
    assert (answer.quality, answer.usage.total_tokens) == ("low", 4050)
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["operation"], record["input_tokens"], record["output_tokens"]) == ("image_generation", 50, 4000)
    assert record["input_image_tokens"] == 40
    assert record["cost_micro_usd"] == 10 * 5 + 40 * 8 + 4000 * 30


def test_partial_images_are_streamed(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.images.with_raw_response.generate(
        model="openai-stream", prompt="A gate", stream=True, partial_images=1
    )
    events: list[Any] = list(raw.parse())
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert events[-1].b64_json == PNG
    record = gateway.settled(raw.headers["x-request-id"])
    assert record["cost_micro_usd"] == 10 * 5 + 40 * 8 + 4000 * 30


def test_provider_without_streams_answers_a_stream_with_its_image(client: OpenAI) -> None:
    events: list[Any] = list(client.images.generate(model="gemini-image", prompt="A gate", stream=True))
    assert [(event.type, event.b64_json) for event in events] == [("image_generation.completed", PNG)]


def test_urls_are_passed_on(client: OpenAI) -> None:
    answer = client.images.generate(model="openai-url", prompt="A gate", response_format="url")
    assert [image.url for image in answer.data or ()] == ["https://images.example/1.png"]


@pytest.mark.parametrize("model", ["gemini-image", "bedrock-image"])
def test_several_images_are_several_requests_elsewhere(
    client: OpenAI, provider: ScriptedUpstream, gateway: RunningGateway, model: str
) -> None:
    before = len(provider.requests)
    raw = client.images.with_raw_response.generate(
        model=model, prompt="A gate", n=3, size="1536x1024", quality="high", extra_body={"seed": 7}
    )
    requests = provider.requests[before:]
    assert len(requests) == 3
    sent = json.dumps(requests[0].body)
    assert '"3:2"' in sent
    assert "A gate" in sent
    assert [image.b64_json for image in raw.parse().data or ()] == [PNG] * 3
    assert "quality" in raw.headers["x-tollgate-dropped-params"]
    record = gateway.settled(raw.headers["x-request-id"])
    expected = 3 * (8 * 5 + 1290 * 30) if model == "gemini-image" else 3 * 40_000
    assert record["cost_micro_usd"] == expected


@pytest.mark.parametrize("model", ["openai-blocked", "gemini-refused", "bedrock-filtered"])
def test_prompt_that_a_filter_refuses_is_a_400(client: OpenAI, model: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.images.generate(model=model, prompt="A gate")
    assert raised.value.code in ("content_filter", "content_policy_violation")


def test_response_without_an_image_is_a_502(gateway: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    body = {"model": "openai-empty", "prompt": "A gate"}
    response = httpx.post(f"{gateway.base_url}/images/generations", json=body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "unusable_response")


def test_images_are_edited_from_a_form(client: OpenAI, provider: ScriptedUpstream) -> None:
    files: Any = [("a.png", DRAWING), ("b.jpg", b"\xff\xd8\xffsecond", "image/png")]
    mask: Any = ("m.webp", b"RIFF0000WEBPmask", "application/octet-stream")
    answer = client.images.edit(model="openai-image", image=files, mask=mask, prompt="Add snow", n=1)
    assert answer.data is not None
    received = provider.requests[-1]
    assert received.path == "/v1/images/edits"
    assert received.body == {
        "model": "openai-image",
        "prompt": "Add snow",
        "n": "1",
        "image[]": [("a.png", "image/png", DRAWING), ("b.jpg", "image/jpeg", b"\xff\xd8\xffsecond")],
        "mask": ("m.webp", "image/webp", b"RIFF0000WEBPmask"),
    }


def test_sources_come_before_the_prompt_at_gemini(client: OpenAI, provider: ScriptedUpstream) -> None:
    image: Any = ("a.png", DRAWING)
    client.images.edit(model="gemini-image", image=image, prompt="Add snow")
    parts = provider.requests[-1].body["contents"][0]["parts"]
    assert parts == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"text": "Add snow"},
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"n": 0}, "n"),
    ({"n": 11}, "n"),
    ({"size": "large"}, "size"),
    ({"size": 1024}, "size"),
    ({"user": {"id": 1}}, "user"),
    ({"quality": "hd"}, "quality"),
    ({"output_compression": 101}, "output_compression"),
    ({"stream": True, "n": 2}, "n"),
    ({"partial_images": 4}, "partial_images"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
def test_bad_field_is_named(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.post("/images/generations", body={"model": "openai-image", "prompt": "x", **fields}, cast_to=object)
    assert raised.value.param == param


def test_form_without_an_image_is_refused(gateway: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    url = f"{gateway.base_url}/images/edits"
    parts: Any = {"model": (None, "openai-image"), "prompt": (None, "x")}
    missing = httpx.post(url, files=parts, headers=headers)
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "image")
    assert httpx.post(url, json={"model": "openai-image", "prompt": "x"}, headers=headers).status_code == 415


@pytest.mark.parametrize(
    ("files", "param"),
    [
        ([("image", ("a.png", b"text", "image/png"))], "image"),
        ([("image[]", ("a.png", DRAWING)), ("image[]", ("b.gif", b"GIF89a"))], "image[1]"),
        ([("image", ("a.png", DRAWING)), ("mask", ("m.png", b"%PDF-"))], "mask"),
    ],
)
def test_file_that_is_no_image_is_refused(http: httpx.Client, files: Any, param: str) -> None:
    response = http.post("/images/edits", data={"model": "openai-image", "prompt": "x"}, files=files)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_model_that_cannot_edit_is_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.images.edit(model="bedrock-image", image=DRAWING, prompt="x")
    assert raised.value.code == "unsupported_operation"
