"""Guardrails end to end: what clients get, what providers and services are asked, and what is billed and logged."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIStatusError, BadRequestError, OpenAI

from support.command_line import run_command
from support.guarded_models import CARD, LONG, PIECES, SCRIPTS, SPLIT, overlay
from support.http import openai_client
from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import ScriptedUpstream

USER: Any = [{"role": "user", "content": "Which card?"}]

provider, gateway = scripted_gateway(
    SCRIPTS,
    overlay,
    {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_REGION": "eu-west-3"},
)


def key_with(gateway: RunningGateway, *rules: str) -> str:
    catalog = gateway.db.parent / "overlay.toml"
    flags = [flag for rule in rules for flag in ("--guardrail", rule)]
    return gateway.key("--catalog", str(catalog), *flags)


def post(
    gateway: RunningGateway, path: str, body: Any, key: str | None = None, more_headers: dict[str, str] | None = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or gateway.api_key}", **(more_headers or {})}
    with httpx.Client(verify=False, base_url=gateway.base_url.removesuffix("/v1"), headers=headers) as client:
        return client.post(path, json=body, timeout=30)


def ask(gateway: RunningGateway, key: str, text: str, model: str = "plain", **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return post(gateway, "/v1/chat/completions", body, key)


def streamed(response: httpx.Response) -> tuple[str, str | None, str]:
    """The content, the finish_reason and the refusal of a stream."""
    assert response.text.endswith("data: [DONE]\n\n"), response.text[-300:]
    events = [json.loads(line[6:]) for line in response.text.split("\n\n")[:-2]]
    choices = [choice for event in events for choice in event["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    refusal = "".join(choice["delta"].get("refusal") or "" for choice in choices)
    return text, choices[-1]["finish_reason"], refusal


def actions(gateway: RunningGateway, response: httpx.Response) -> list[tuple[str, str, str]]:
    """What the guardrails did, in the log line, which equals the record."""
    request_id = response.headers["x-request-id"]
    logged = gateway.log_of(request_id).get("guardrails", [])
    assert json.loads(gateway.settled(request_id)["guardrails"] or "[]") == logged
    return [(each["stage"], each["action"], each["name"]) for each in logged]


BLOCKED: list[tuple[str, Any]] = [
    ("/v1/chat/completions", {"model": "plain", "messages": [{"role": "user", "content": "say xyzzy"}]}),
    ("/v1/chat/completions", {"model": "plain", "messages": [{"role": "system", "content": "say XYZZY"}, *USER]}),
    ("/v1/chat/completions", {"model": "plain", "stream": True, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "xyzzy"}]}]}),
    ("/v1/chat/completions", {"model": "plain", "messages": [*USER, {"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": "xyzzy"}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": "ok"}]}),
    ("/v1/chat/completions", {"model": "plain", "messages": USER, "tools": [
        {"type": "function", "function": {"name": "f", "description": "xyzzy"}}]}),
    ("/v1/chat/completions", {"model": "plain", "messages": USER, "prediction": {"content": "xyzzy"}}),
    ("/v1/chat/completions", {"model": "plain", "messages": USER, "stop": ["xyzzy"]}),
    ("/v1/chat/completions", {"model": "up/plain", "messages": [{"role": "user", "content": "say xyzzy"}]}),
    ("/v1/responses", {"model": "plain", "input": "say xyzzy"}),
    ("/v1/responses", {"model": "plain", "instructions": "xyzzy", "input": "?"}),
    ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "say xyzzy"}]}),
    ("/v1/messages", {"model": "claude", "max_tokens": 9, "system": "xyzzy", "messages": USER}),
    ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "1", "content": "xyzzy"}]}]}),
    ("/v1/completions", {"model": "davinci", "prompt": "davinci-secret"}),
    ("/v1/completions", {"model": "davinci", "prompt": ["?", "davinci-secret"]}),
    ("/v1/completions", {"model": "davinci", "prompt": "?", "suffix": "xyzzy"}),
    ("/v1/completions", {"model": "plain", "prompt": "xyzzy"}),
    ("/v1/embeddings", {"model": "embed", "input": ["?", "xyzzy"]}),
    ("/v1/moderations", {"model": "moderator", "input": "xyzzy"}),
    ("/v1/audio/speech", {"model": "tts", "input": "xyzzy", "voice": "alloy"}),
    ("/v1/images/generations", {"model": "image", "prompt": "xyzzy"}),
    ("/v1/rerank", {"model": "ranker", "query": "?", "documents": ["xyzzy"]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), BLOCKED)
def test_blocked_request_is_refused_in_the_clients_own_envelope_before_a_provider_is_asked(
    gateway: RunningGateway, provider: ScriptedUpstream, path: str, body: Any
) -> None:
    asked = len(provider.requests)
    response = post(gateway, path, body)
    assert response.status_code == 400
    envelope = response.json()
    assert "'secrets'" in envelope["error"]["message"]
    assert "xyzzy" not in response.text.lower()
    if path != "/v1/messages":
        assert envelope["error"]["code"] == "content_filter"
    assert len(provider.requests) == asked
    assert actions(gateway, response) == [("input", "block", "secrets")]
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["input_tokens"]) == (400, "content_filter", None)
    assert record["cost_micro_usd"] == 0


def test_masked_request_reaches_the_provider_without_the_text(
    gateway: RunningGateway, provider: ScriptedUpstream
) -> None:
    asked: Any = [
        {"type": "text", "text": f"Pay with {CARD} now"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    response = ask(gateway, gateway.api_key, asked, user=f"u{1234567890123456}")
    assert response.status_code == 200
    (sent,) = provider.requests[-1].body["messages"]
    assert sent["content"][0] == {"type": "text", "text": "Pay with [cards] now"}
    assert actions(gateway, response) == [("input", "mask", "cards")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": CARD}]}),
        ("/v1/responses", {"model": "plain", "input": CARD}),
        ("/v1/completions", {"model": "davinci", "prompt": CARD}),
        ("/v1/completions", {"model": "plain", "prompt": CARD}),
        ("/v1/embeddings", {"model": "embed", "input": [CARD, "?"]}),
        ("/v1/rerank", {"model": "ranker", "query": CARD, "documents": [{"text": CARD}]}),
    ],
)
def test_text_is_masked_whichever_api_the_client_speaks(
    gateway: RunningGateway, provider: ScriptedUpstream, path: str, body: Any
) -> None:
    post(gateway, path, body)
    sent = json.dumps(provider.requests[-1].body)
    assert "[cards]" in sent
    assert "4111" not in sent


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"model": "embed", "input": [1, 2]}, "input"),
        ("/v1/completions", {"model": "davinci", "prompt": [[1, 2]]}, "prompt"),
        ("/v1/chat/completions", {"model": "plain", "messages": USER, "modalities": ["audio"]}, "modalities"),
    ],
)
def test_what_cannot_be_read_is_refused(gateway: RunningGateway, path: str, body: Any, param: str) -> None:
    response = post(gateway, path, body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_text_is_found_or_refused_however_deep_it_is(gateway: RunningGateway) -> None:
    nested = json.loads("[" * 800 + '"xyzzy"' + "]" * 800)
    response = ask(gateway, gateway.api_key, "?", deep=nested)
    assert response.status_code == 400


def test_blocked_answer_is_billed_and_has_no_text(gateway: RunningGateway) -> None:
    response = ask(gateway, gateway.api_key, "?", "code")
    assert response.status_code == 200
    (choice,) = response.json()["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    assert "'secrets'" in choice["message"]["refusal"]
    assert "xyzzy" not in response.text
    assert response.json()["usage"]["completion_tokens"] == 9
    assert gateway.settled(response.headers["x-request-id"])["output_tokens"] == 9
    assert actions(gateway, response) == [("output", "block", "secrets")]


def test_masked_answer(gateway: RunningGateway) -> None:
    response = ask(gateway, gateway.api_key, "?", "card", logprobs=True)
    (choice,) = response.json()["choices"]
    assert choice["message"]["content"] == f"{LONG}It is [cards], I think. {LONG}"
    assert "4111" not in response.text


@pytest.mark.parametrize("pieces", PIECES)
def test_masked_stream(gateway: RunningGateway, pieces: int) -> None:
    response = ask(gateway, gateway.api_key, "?", f"card-in-{pieces}", stream=True)
    assert streamed(response) == (SPLIT.replace(CARD, "[cards]"), "stop", "")
    assert actions(gateway, response) == [("output", "mask", "cards")]
    assert gateway.settled(response.headers["x-request-id"])["output_tokens"] == 9


def test_blocked_stream_ends_before_the_text(gateway: RunningGateway) -> None:
    response = ask(gateway, gateway.api_key, "?", "code", stream=True)
    text, reason, refusal = streamed(response)
    assert text
    assert f"{LONG}The code word is ".startswith(text)
    assert reason == "content_filter"
    assert "'secrets'" in refusal
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == (200, "content_filter")
    assert record["output_tokens"] > 0
    assert actions(gateway, response) == [("output", "block", "secrets")]


@pytest.mark.parametrize("stream", [False, True])
def test_blocked_legacy_completion(gateway: RunningGateway, stream: bool) -> None:
    model = "davinci-stream" if stream else "davinci"
    response = post(gateway, "/v1/completions", {"model": model, "prompt": "?", "stream": stream})
    assert '"finish_reason":"content_filter"' in response.text
    assert "score" not in response.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "field"), [("/v1/responses", "input"), ("/v1/messages", "messages")])
def test_blocked_answer_in_other_apis(gateway: RunningGateway, path: str, field: str, stream: bool) -> None:
    body = {"model": "code", field: USER, "stream": stream, **({"max_tokens": 9} if field == "messages" else {})}
    response = post(gateway, path, body)
    assert response.status_code == 200
    assert "'secrets'" in response.text
    assert "xyzzy" not in response.text
    assert ('"stop_reason":"refusal"' if field == "messages" else '"content_filter"') in response.text


def test_transcript_is_masked(gateway: RunningGateway) -> None:
    with openai_client(gateway) as client:
        raw = client.audio.transcriptions.with_raw_response.create(model="whisper", file=("a.mp3", b"sound"))
        assert raw.parse().text == "My card is [cards]."
        with pytest.raises(BadRequestError) as raised:
            client.audio.transcriptions.create(model="whisper", file=("a.mp3", b"sound"), stream=True)
    assert raised.value.param == "stream"


def test_pattern_that_takes_too_long_fails_closed(gateway: RunningGateway) -> None:
    evil = "a" * 60 + "b"
    for text, stream in ((evil, False), (evil, True), ("?", False)):
        response = ask(gateway, gateway.api_key, text, "evil", stream=stream)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "guardrail_unavailable")
        assert "'slow'" in response.json()["error"]["message"]
    assert gateway.settled(response.headers["x-request-id"])["output_tokens"] == 9
    response = ask(gateway, gateway.api_key, "?", "evil", stream=True)
    assert '"code":"guardrail_unavailable"' in response.text
    assert "aaaa" not in response.text


def test_moderation_checks_every_text_at_once(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    key = key_with(gateway, "moderated")
    before = len(provider.requests)
    assert ask(gateway, key, "hello").status_code == 200
    paths = [request.path for request in provider.requests[before:]]
    assert paths == ["/v1/moderations", "/v1/chat/completions", "/v1/moderations"]
    assert provider.requests[before].body == {"model": "omni-moderation-latest", "input": ["hello"]}
    assert ask(gateway, gateway.api_key, "bomb").status_code == 200
    response = ask(gateway, key, "bomb")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "content_filter")
    assert actions(gateway, response) == [("input", "block", "moderated")]
    text, reason, _ = streamed(ask(gateway, key, "hello", "bomb", stream=True))
    assert (reason, "bomb" in text) == ("content_filter", False)


def test_bedrock_guardrail_masks_and_blocks(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    key, strict = key_with(gateway, "names"), key_with(gateway, "strict")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "I am Alice."}]
    before = len(provider.requests)
    response = post(gateway, "/v1/chat/completions", {"model": "plain", "messages": messages}, key)
    assert response.status_code == 200
    first = provider.requests[before]
    assert first.path == "/guardrail/abc123/version/1/apply"
    assert first.body == {
        "source": "INPUT",
        "content": [{"text": {"text": "Be kind."}}, {"text": {"text": "I am Alice."}}],
    }
    assert "/eu-west-3/bedrock/aws4_request" in first.headers["authorization"]
    (sent,) = [each.body for each in provider.requests[before:] if each.path == "/v1/chat/completions"]
    assert [message["content"] for message in sent["messages"]] == ["Be kind.", "I am {NAME}."]
    assert provider.requests[-1].body["source"] == "OUTPUT"
    assert actions(gateway, response) == [("input", "mask", "names")]
    for text, by, status in (("a bomb", key, 400), ("I am Alice.", strict, 400), ("I am Bob.", strict, 200)):
        assert ask(gateway, by, text).status_code == status


@pytest.mark.parametrize("stream", [False, True])
def test_answer_masked_by_bedrock(gateway: RunningGateway, stream: bool) -> None:
    response = ask(gateway, key_with(gateway, "names"), "?", "alice", stream=stream)
    text = streamed(response)[0] if stream else response.json()["choices"][0]["message"]["content"]
    assert text == f"{LONG}Her name is {{NAME}}. {LONG}"


@pytest.mark.parametrize("rule", ["broken", "silent"])
def test_guardrail_that_fails_lets_nothing_through(
    gateway: RunningGateway, provider: ScriptedUpstream, rule: str
) -> None:
    response = ask(gateway, key_with(gateway, rule), "hello")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert f"'{rule}'" in response.json()["error"]["message"]
    assert provider.requests[-1].path.startswith("/guardrail/")


def test_stages(gateway: RunningGateway) -> None:
    only_answers, only_questions = key_with(gateway, "answers"), key_with(gateway, "questions")
    assert ask(gateway, only_answers, "Nothing").json()["choices"][0]["finish_reason"] == "content_filter"
    assert ask(gateway, only_questions, "Which").status_code == 400
    assert ask(gateway, only_questions, "?").json()["choices"][0]["message"]["content"] == "Nothing to see here."


def test_cached_answer_is_not_served_past_a_new_guardrail(gateway: RunningGateway) -> None:
    key, body, cache = gateway.key(), {"model": "plain", "messages": USER}, {"x-tollgate-cache": "ttl=60"}
    cached = [post(gateway, "/v1/chat/completions", body, key, cache) for _ in range(2)]
    assert [response.headers["x-tollgate-cache"] for response in cached] == ["miss", "hit"]
    files = ("--db", str(gateway.db), "--catalog", str(gateway.db.parent / "overlay.toml"))
    updated = run_command("keys", "update", key.split("-")[2], "--guardrail", "questions", *files)
    assert updated.exit_code == 0, updated.output
    assert post(gateway, "/v1/chat/completions", body, key, cache).status_code == 400


def test_stranger_causes_no_check(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    before = len(provider.requests)
    response = ask(gateway, f"sk-tg-{'0' * 12}-{'0' * 64}", "xyzzy")
    assert response.status_code == 401
    assert len(provider.requests) == before


def test_key_whose_guardrail_is_gone_is_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    catalog = tmp_path / "other.toml"
    catalog.write_text('[guardrails.gone]\nkind = "pattern"\npattern = "x"\n')
    key = gateway.key("--catalog", str(catalog), "--guardrail", "gone")
    response = ask(gateway, key, "?")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert "'gone'" in response.json()["error"]["message"]


def test_official_client_reads_a_blocked_request_and_a_blocked_stream(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "xyzzy"}])
    assert raised.value.code == "content_filter"
    assert isinstance(raised.value, APIStatusError)
    chunks = [*client.chat.completions.create(model="code", messages=USER, stream=True)]
    assert chunks[-1].choices[0].finish_reason == "content_filter"
