"""Transcriptions and translations end to end, by the official client: formats, events, what is billed."""

import json
import struct
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

WAV = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + bytes(4 + 40_000)
"""Two and a half seconds."""
TOKENS = {"type": "tokens", "input_tokens": 20, "input_token_details": {"audio_tokens": 20}, "output_tokens": 5}


def answer(body: Any, status: int = 200) -> Script:
    return Script([json.dumps(body).encode()], status)


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DELTA = event({"type": "transcript.text.delta", "delta": "Hi"})
DONE = event({"type": "transcript.text.done", "text": "Hi", "usage": TOKENS})
EVENTS = {"content-type": "text/event-stream"}
SCRIPTS = {
    "whisper": answer({"text": "Hi", "usage": {"type": "duration", "seconds": 3}}),
    "verbose": answer({"text": "Hi", "duration": "2.5", "language": "english", "segments": [], "task": "transcribe"}),
    "plain": Script([b"Hi\n"], headers={"content-type": "text/plain"}),
    "quoted": answer("Hi"),
    "silent": answer({"text": ""}),
    "tokens": answer({"text": "Hi", "usage": TOKENS}),
    "tokens-stream": Script([DELTA, DONE], headers=EVENTS),
    "tokens-cut": Script([DELTA], headers=EVENTS),
    "error": answer({"error": {"message": "Invalid file format.", "param": "file"}}, 400),
    "no-text": answer({"result": "Hi"}),
    "html": Script([b"<html></html>"]),
}


def overlay(url: str) -> str:
    provider = f'[providers.test]\nfamily = "openai"\nbase_url = "{url}/v1"\nauth = "none"\n'
    by_time = "input_usd_per_mtok = 0\noutput_usd_per_mtok = 0\nusd_per_unit = { seconds = 0.0001 }\n"
    by_token = "input_usd_per_mtok = 1\noutput_usd_per_mtok = 10\n"
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["transcriptions", "translations"]\nroutes = [{{ provider = "test", model = "{name}" }}]\n'
        f'[models."{name}".prices]\n'
        f"{by_token if name.startswith('tokens') else by_time}"
        'source = "tests"\ndate = 2026-01-01\n'
        for name in SCRIPTS
    )
    return provider + "".join(models)


provider, gateway = scripted_gateway(SCRIPTS, overlay)


def test_every_field_and_the_file_reach_the_provider(client: OpenAI, provider: ScriptedUpstream) -> None:
    result = client.audio.transcriptions.create(
        model="whisper", file=("sp\u00e4ch.wav", WAV, "audio/wav"), language="de", temperature=0.5, prompt="Tollgate",
        timestamp_granularities=["word"], include=["logprobs"], chunking_strategy={"type": "server_vad"},
    )  # fmt: skip
    assert result.text == "Hi"
    sent = provider.requests[-1]
    assert sent.path == "/v1/audio/transcriptions"
    assert sent.body == {
        "model": "whisper", "file": ("sp\u00e4ch.wav", "audio/wav", WAV), "language": "de", "temperature": "0.5",
        "prompt": "Tollgate", "timestamp_granularities[]": "word", "include[]": "logprobs",
        "chunking_strategy[type]": "server_vad",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # by the client, for its translations
@pytest.mark.parametrize(
    ("model", "response_format", "seconds", "estimated"),
    [("whisper", "json", 3, 0), ("verbose", "verbose_json", 3, 0), ("silent", "json", 3, 1), ("plain", "text", 3, 1)],
)
def test_seconds_are_reported_or_measured(
    client: OpenAI, gateway: RunningGateway, model: str, response_format: Any, seconds: int, estimated: int
) -> None:
    create: Any = client.audio.translations.with_raw_response.create
    raw = create(model=model, file=("a.wav", WAV), response_format=response_format)
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["operation"], record["seconds"], record["estimated"]) == ("translations", seconds, estimated)
    assert record["cost_micro_usd"] == seconds * 100


@pytest.mark.parametrize(("model", "text"), [("plain", b"Hi\n"), ("quoted", b"Hi"), ("tokens", b"Hi")])
def test_text_is_text(client: OpenAI, model: str, text: bytes) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(model=model, file=("a.wav", WAV), response_format="text")
    assert (raw.content, raw.headers["content-type"]) == (text, "text/plain; charset=utf-8")


@pytest.mark.parametrize("model", ["tokens", "tokens-stream"])
def test_events_end_with_the_usage(client: OpenAI, gateway: RunningGateway, model: str) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(model=model, file=("a.wav", WAV), stream=True)
    *_, last = list(raw.parse())
    assert last.type == "transcript.text.done"
    assert last.text == "Hi"
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (20, 5, 0)


def test_broken_events_end_in_an_error(http: httpx.Client, gateway: RunningGateway) -> None:
    files = {"file": ("a.wav", WAV)}
    response = http.post("/audio/transcriptions", data={"model": "tokens-cut", "stream": "true"}, files=files)
    *_, last = response.content.strip().split(b"data: ")
    assert json.loads(last)["error"]["code"] == "stream_truncated"
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (30, 1, 1)


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("error", 400, "Invalid file format."),
        ("no-text", 502, "no transcript"),
        ("html", 502, "JSON"),
        ("gpt-5.4", 400, "does not support transcriptions"),
    ],
)
def test_failure_of_a_provider_is_an_error(
    client: OpenAI, gateway: RunningGateway, model: str, status: int, message: str
) -> None:
    with pytest.raises(APIStatusError, match=message) as raised:
        client.audio.transcriptions.create(model=model, file=("a.wav", WAV))
    assert raised.value.status_code == status
    assert gateway.open_holds() == 0


INVALID: list[tuple[dict[str, Any], bytes | None, str]] = [
    ({}, None, "file"),
    ({"file": "text"}, None, "file"),
    ({}, b"", "file"),
    ({"model": ""}, WAV, "model"),
    ({"temperature": "hot"}, WAV, "temperature"),
    ({"temperature": "nan"}, WAV, "temperature"),
    ({"response_format": "xml"}, WAV, "response_format"),
    ({"stream": "maybe"}, WAV, "stream"),
    ({"stream": "true", "response_format": "srt"}, WAV, "stream"),
    ({"timestamp_granularities[]": "hour"}, WAV, "timestamp_granularities[0]"),
]


@pytest.mark.parametrize(("fields", "file", "param"), INVALID)
def test_invalid_request_is_400_and_names_the_field(
    http: httpx.Client, fields: dict[str, Any], file: bytes | None, param: str
) -> None:
    files: Any = {"other": ("x", b"x")} if file is None else {"file": ("a.wav", file)}
    response = http.post("/audio/transcriptions", data={"model": "whisper", **fields}, files=files)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_json_is_no_form(http: httpx.Client) -> None:
    response = http.post("/audio/transcriptions", json={"model": "whisper"})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")
