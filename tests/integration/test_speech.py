"""Speech end to end, by the official client: bytes and events as they come, and what breaks."""

import json
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Cut, Script, ScriptedUpstream, Wait

TEXT = "Hello, w\u00f6rld"
AUDIO = (b" {\x00\xff\r\n", b"\n[more]")
DELTA = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
DONE = b'data: {"type":"speech.audio.done","usage":{"input_tokens":4,"output_tokens":30,"total_tokens":34}}\n\n'
RELEASE = Wait()


def audio(*steps: Any, media_type: str = "audio/mpeg") -> Script:
    return Script(steps, headers={"content-type": media_type})


SCRIPTS = {
    "whole": audio(*AUDIO),
    "tokens": audio(*AUDIO),
    "pcm": audio(*AUDIO, media_type="audio/pcm;rate=24000"),
    "unlabelled": audio(*AUDIO, media_type="application/octet-stream"),
    "slow": audio(AUDIO[0], RELEASE, AUDIO[1]),
    "cut": audio(*AUDIO, Cut()),
    "empty": audio(),
    "silent": audio(b""),
    "events": audio(DELTA, DELTA, DONE, media_type="text/event-stream"),
    "cut-events": audio(DELTA, media_type="text/event-stream"),
    "json": Script([b'{"error": {"message": "no such voice", "param": "voice", "code": 400}}']),
    "html": audio(b"<html></html>", media_type="text/html"),
    "mislabelled": audio(*AUDIO, media_type="application/json"),
    "error": Script([b'{"error": {"message": "Invalid voice.", "param": "voice"}}'], 400),
    "server-error": Script([b'{"error": {"message": "oh no"}}'], 500),
}


def overlay(url: str) -> str:
    provider = f'[providers.test]\nfamily = "openai"\nbase_url = "{url}/v1"\nauth = "none"\n'
    price = "usd_per_unit = { characters = 0.000015 }\n"
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["speech"]\nroutes = [{{ provider = "test", model = "{name}" }}]\n[models."{name}".prices]\n'
        + (
            "input_usd_per_mtok = 1\noutput_usd_per_mtok = 10\n"
            if name in ("tokens", "events", "cut-events")
            else f"input_usd_per_mtok = 0\noutput_usd_per_mtok = 0\n{price}"
        )
        + 'source = "tests"\ndate = 2026-01-01\n'
        for name in SCRIPTS
    )
    return provider + "".join(models)


provider, gateway = scripted_gateway(SCRIPTS, overlay)


@pytest.mark.parametrize(
    ("model", "media_type"),
    [("whole", "audio/mpeg"), ("pcm", "audio/pcm;rate=24000"), ("unlabelled", "audio/wav")],
)
def test_official_client_gets_the_bytes_and_their_type(
    client: OpenAI, gateway: RunningGateway, provider: ScriptedUpstream, model: str, media_type: str
) -> None:
    raw = client.audio.speech.with_raw_response.create(model=model, voice="alloy", input=TEXT, response_format="wav")
    assert raw.parse().content == b"".join(AUDIO)
    assert raw.headers["content-type"] == media_type
    sent = {"model": model, "voice": "alloy", "input": TEXT, "response_format": "wav"}
    assert (provider.requests[-1].path, provider.requests[-1].body) == ("/v1/audio/speech", sent)
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["operation"], record["characters"], record["cost_micro_usd"]) == ("speech", 12, 180)
    assert (record["estimated"], record["cost_source"]) == (0, "catalog")


def test_speech_billed_by_tokens_is_estimated(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.audio.speech.with_raw_response.create(model="tokens", voice="alloy", input=TEXT)
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (4, 16, 1)


def test_audio_is_passed_on_as_it_comes(client: OpenAI) -> None:
    RELEASE.hold()
    with client.audio.speech.with_streaming_response.create(model="slow", voice="alloy", input=TEXT) as response:
        pieces = response.iter_bytes()
        assert next(pieces) == AUDIO[0]
        RELEASE.release()
        assert b"".join(pieces) == AUDIO[1]


def test_broken_audio_is_cut(http: httpx.Client, gateway: RunningGateway) -> None:
    body = {"model": "cut", "voice": "alloy", "input": TEXT}
    with http.stream("POST", "/audio/speech", json=body) as response, pytest.raises(httpx.RemoteProtocolError):
        response.read()
    assert gateway.settled(response.headers["x-request-id"])["error_code"] == "upstream_disconnected"
    http.get("/models").raise_for_status()  # a later request is served by the same process
    assert not [line for line in gateway.lines if "ERROR" in line or "Traceback" in line]


def test_events_are_passed_on_with_their_usage(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.audio.speech.with_raw_response.create(
        model="events", voice="alloy", input=TEXT, extra_body={"stream_format": "sse"}
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.parse().content.strip() == (DELTA + DELTA + DONE).strip()
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (4, 30, 0)
    assert record["cost_micro_usd"] == 304


def test_broken_events_end_in_an_error(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.audio.speech.with_raw_response.create(
        model="cut-events", voice="alloy", input=TEXT, extra_body={"stream_format": "sse"}
    )
    *_, last = raw.parse().content.strip().split(b"data: ")
    assert json.loads(last)["error"]["code"] == "stream_truncated"
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["output_tokens"], record["estimated"]) == (16, 1)


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("error", 400, "Invalid voice."),
        ("server-error", 502, "oh no"),
        ("json", 400, "no such voice"),
        ("html", 502, "not audio"),
        ("mislabelled", 502, "not audio"),
        ("empty", 502, "provider"),
        ("gpt-5.4", 400, "does not support speech"),
    ],
)
def test_failure_before_the_first_byte_is_an_error(
    client: OpenAI, gateway: RunningGateway, model: str, status: int, message: str
) -> None:
    with pytest.raises(APIStatusError, match=message) as raised:
        client.audio.speech.create(model=model, voice="alloy", input=TEXT)
    assert raised.value.status_code == status
    assert gateway.open_holds() == 0


INVALID: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "input", "missing_required_parameter"),
    ({"voice": None}, "voice", "missing_required_parameter"),
    ({"input": ""}, "input", "invalid_value"),
    ({"voice": 7}, "voice", "invalid_value"),
    ({"voice": {}}, "voice.id", "missing_required_parameter"),
    ({"voice": {"id": 7}}, "voice.id", "invalid_value"),
    ({"speed": 5}, "speed", "invalid_value"),
    ({"response_format": "midi"}, "response_format", "invalid_value"),
    ({"stream_format": "x"}, "stream_format", "invalid_value"),
    ({"instructions": ["x"]}, "instructions", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), INVALID)
def test_invalid_request_is_400_and_names_the_field(
    http: httpx.Client, fields: dict[str, Any], param: str, code: str
) -> None:
    body = {"model": "whole", "voice": "alloy", "input": TEXT, **fields}
    response = http.post("/audio/speech", json=body)
    assert response.status_code == 400
    assert (response.json()["error"]["param"], response.json()["error"]["code"]) == (param, code)
