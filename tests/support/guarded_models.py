"""A catalog of guardrails over scripted providers of every operation, and over services that check texts."""

import json
from pathlib import Path
from typing import Any

from support.upstream import Script

FIXTURES = Path(__file__).parents[1] / "fixtures"
SSE = {"content-type": "text/event-stream"}
CARD = "4111 1111 1111 1111"
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}


def event(delta: Any, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def answer(content: str, stream: bool, pieces: int) -> Script:
    """An answer of chat, streamed in so many pieces."""
    if not stream:
        message = {"role": "assistant", "content": content, "reasoning_content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": [content]}}
        return Script([json.dumps({"choices": [choice], "usage": USAGE}).encode()])
    size = -(-len(content) // pieces)
    texts = [content[start : start + size] for start in range(0, len(content), size)]
    usage = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n"
    events = [event({"role": "assistant", "content": ""}), *(event({"content": text}) for text in texts)]
    return Script([*events, event({}, "stop"), usage, b"data: [DONE]\n\n"], 200, SSE)


def chat(content: str, pieces: int = 40) -> Any:
    def script(body: Any) -> Script:
        return answer(content, bool(body.get("stream")), pieces)

    return script


def moderation(body: Any) -> Script:
    results = [
        {"flagged": "bomb" in text, "categories": {"illicit": "bomb" in text}, "category_scores": {"illicit": 0.5}}
        for text in body["input"]
    ]
    return Script([json.dumps({"results": results}).encode()])


def bedrock(body: Any) -> Script:
    """A guardrail that blocks bombs and anonymizes names."""
    texts = [content["text"]["text"] for content in body["content"]]
    findings: list[Any] = []
    if any("bomb" in text for text in texts):
        findings.append({"topicPolicy": {"topics": [{"name": "bombs", "type": "DENY", "action": "BLOCKED"}]}})
    if any("Alice" in text for text in texts):
        entity = {"type": "NAME", "match": "Alice", "action": "ANONYMIZED"}
        findings.append({"sensitiveInformationPolicy": {"piiEntities": [entity]}})
    outputs = [{"text": text.replace("Alice", "{NAME}")} for text in texts] if findings else []
    action = "GUARDRAIL_INTERVENED" if findings else "NONE"
    return Script([json.dumps({"action": action, "assessments": findings, "outputs": outputs}).encode()])


LONG = "All is well. " * 100
SPLIT = f"{LONG}It is {CARD}, I think. {LONG}{CARD}"
PIECES = (1, 7, 40, 400)
SCRIPTS: dict[str, Any] = {
    "plain": chat("Nothing to see here."),
    "card": chat(f"{LONG}It is {CARD}, I think. {LONG}"),
    **{f"card-in-{pieces}": chat(SPLIT, pieces) for pieces in PIECES},
    "evil": chat("a" * 60 + "b"),
    "code": chat(f"{LONG}The code word is xyzzy. {LONG}"),
    "alice": chat(f"{LONG}Her name is Alice. {LONG}"),
    "bomb": chat(f"{LONG}A bomb. {LONG}"),
    "claude": Script([(FIXTURES / "anthropic" / "text.json").read_bytes()]),
    "davinci": Script([(FIXTURES / "openai_completions" / "response.json").read_bytes()]),
    "davinci-stream": Script([(FIXTURES / "openai_completions" / "response.sse").read_bytes()], 200, SSE),
    "embed": Script([b'{"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}}']),
    "tts": Script([b"audio"], 200, {"content-type": "audio/mpeg"}),
    "whisper": Script([json.dumps({"text": f"My card is {CARD}."}).encode()]),
    "image": Script([json.dumps({"created": 1, "data": [{"b64_json": "aGk="}]}).encode()]),
    "ranker": Script([json.dumps({"results": [{"index": 0, "relevance_score": 0.5}]}).encode()]),
    "moderator": moderation,
    "abc123": bedrock,
    "broken1": Script([b"{}"], 500),
    "silent1": Script([30.0]),
    "omni-moderation-latest": moderation,
}
OPERATIONS = {
    "davinci": "completions", "davinci-stream": "completions", "embed": "embeddings", "tts": "speech",
    "whisper": "transcriptions", "image": "image_generation", "ranker": "rerank", "moderator": "moderations",
    "omni-moderation-latest": "moderations",
}  # fmt: skip
RULES = r"""
[guardrails.cards]
kind = "pattern"
pattern = '\b\d(?:[ -]?\d){12,15}\b'
action = "mask"
[guardrails.secrets]
kind = "pattern"
pattern = '(?i)xyzzy|davinci-secret|four score'
[guardrails.slow]
kind = "pattern"
pattern = '^(a+)+$'
models = ["evil"]
[guardrails.moderated]
kind = "moderation"
model = "omni-moderation-latest"
models = []
[guardrails.names]
kind = "bedrock"
guardrail = "abc123"
version = "1"
action = "mask"
models = []
[guardrails.strict]
kind = "bedrock"
guardrail = "abc123"
version = "DRAFT"
models = []
[guardrails.broken]
kind = "bedrock"
guardrail = "broken1"
version = "1"
models = []
[guardrails.silent]
kind = "bedrock"
provider = "impatient"
guardrail = "silent1"
version = "1"
models = []
[guardrails.answers]
kind = "pattern"
pattern = 'Nothing'
stages = ["output"]
models = []
[guardrails.questions]
kind = "pattern"
pattern = 'Which'
stages = ["input"]
models = []
"""


def overlay(url: str) -> str:
    providers = "".join(
        f'[providers.{name}]\nfamily = "{family}"\nbase_url = "{url}/v1"\nauth = "none"\n'
        for name, family in {"up": "openai", "anthropic": "anthropic"}.items()
    )
    bedrock = f'[providers.bedrock]\nfamily = "bedrock"\nbase_url = "{url}"\nauth = "sigv4"\n'
    bedrock += f"{bedrock.replace('.bedrock', '.impatient')}timeouts = {{ first_byte = 0.5 }}\n"
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 10000\n'
        f'operations = ["{OPERATIONS.get(name, "chat")}"]\naliases = []\n'
        f'routes = [{{ provider = "{"anthropic" if name == "claude" else "up"}", model = "{name}" }}]\n'
        for name in SCRIPTS
    )
    return providers + bedrock + "".join(models) + RULES
