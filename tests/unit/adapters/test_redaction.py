"""Redaction of secrets and program details in a provider's messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters.redaction import MAX_MESSAGE, redact

SECRETS = [
    "sk-proj-abcdefghijkl",
    "sk-ant-api03-AbC_d-9",
    "sk-ab**********yz",
    "gsk_abcdefghijkl",
    "xai-abcdefghijkl",
    "pk_live_abcdef",
    "rk_live_abcdef",
    "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
    "org-abcdef123456",
    "proj_Abc123Def456",
    "key-0a1b2c3d4e",
    "https://user:pass@internal.example/v1?key=1",
    "http://10.0.0.1:8080/",
    "arn:aws:bedrock:us-east-1:123456789012:model/x",
    "arn:aws-cn:iam::123456789012:role/y",
    "123456789012",
    "Bearer abc.def-0",
    "bearer   abc123",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "myres.openai.azure.com/openai/deployments/x",
    "vllm.internal:8000",
    "10.0.0.5:8080",
    "8.8.8.8:443/v1",
    "192.168.1.20",
    "localhost:11434/api/chat",
    "fw_3ZabcDEFghiJKLmnoPQRstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnLW5hdHVyZQ",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
    "org-abcdefghijkl",
    "proj_AbcDefGhiJkl",
    "projects/1234567890",
    "projects/my-own-project/locations/europe-west1",
    "s3://bucket/some/key.json",
    "gs://bucket/o",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("message", ["{}", "No ({}) here", 'No "{}", none.', "a\n{}\nb"])
def test_secret_is_redacted(secret: str, message: str) -> None:
    redacted = redact(message.format(secret))
    assert "[redacted]" in redacted
    for part in secret.replace("Bearer", "").replace("bearer", "").split():
        assert part.rstrip(",.)") not in redacted


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "Invalid 'messages[3].content': expected key-value pairs",
        "expected key-values in the object",
        "unknown field key_features; did you mean organisation-wide or org-level?",
        "task-oriented desk-lamp risk-averse ask-me-anything",
        "Bearer authentication is not supported for this model.",
        "You sent 12345678901 tokens, 1234567890123 at most.",
        "the proj_name field and the project_name field",
        "temperature must be <= 2, got 3 (see the docs)",
        "Rate limit reached for gpt-4o in 2 min: 30000, used 29500, requested 1200.",
        "Ünïcödé \u2028 stays",
        "Use openai/gpt-4.1 or meta-llama/Llama-3.1-8B-Instruct and/or claude-3.5, e.g. at 12:30.",
        "version 1.2.3 of vllm, line:12 column:10, max_tokens:4096, 10.5 seconds, 10.0.0 tokens, ratio 16:9",
        "see platform.openai.com for input.messages.content/0; the fw_option and fw_version fields of projects/tasks",
        "eyJust a word, asia_pacific_southeast and AKIA, org-level and proj_name",
    ],
)
def test_ordinary_words_are_kept(message: str) -> None:
    assert redact(message) == message


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_at_the_truncation_is_redacted(secret: str) -> None:
    for room in range(1, len(secret)):
        redacted = redact("x" * (MAX_MESSAGE - room - 1) + " " + secret)
        assert secret[:4] not in redacted or secret.lower().startswith(("bear", "http")), redacted[-50:]


@given(st.text(max_size=50), st.integers(0, 5000))
def test_message_is_never_longer_than_its_limit(message: str, padding: int) -> None:
    assert len(redact(message + "y " * padding)) <= MAX_MESSAGE


INSIDES = {
    "python": 'Failed: Traceback (most recent call last):\n  File "/srv/secret/x.py", line 3, in secret\n    secret()\n'
    "ValueError: bad seed",
    "python-dumped": 'Failed: {"detail": "Traceback (most recent call last):\\n  File \\"/srv/secret.py\\", line 3\\n'
    '    secret()\\nValueError: bad seed"}',
    "node": "TypeError: bad seed\n    at secret (/srv/secret/index.js:10:5)\n    at node:internal/secret:1:2",
    "java": "java.lang.Error: bad seed\n\tat com.secret.Main.run(Main.java:12)\n\t... 12 more",
    "go": "panic: bad seed\n\ngoroutine 1 [running]:\nmain.secret(0xc000)\n\t/home/secret/main.go:10 +0x1d",
    "path": "bad seed in /opt/secret/engine/llm.py:123",
    "home": "bad seed: cannot read ~/.cache/secret/weights.safetensors",
    "windows": "bad seed in C:\\secret\\server\\x",
    "relative": "secret/engine/async_llm.py:33: bad seed",
    "object": "bad seed: <secret.params.Secret object at 0x7f0a2c3d>",
    "function": "bad seed in <function secret at 0x7f0a2c3d>",
    "call": "bad seed: ChatCompletionRequest(model='m', messages=[{'content': 'secret (x)'}])",
    "dict": "bad seed: {'model': 'm', 'messages': [{'content': 'secret'}]}",
    "json": 'bad seed: {"input": {"content": "secret"}}',
}


@pytest.mark.parametrize("name", INSIDES)
def test_program_details_are_redacted_and_the_reason_is_kept(name: str) -> None:
    redacted = redact(INSIDES[name])
    assert "secret" not in redacted.lower()
    assert "bad seed" in redacted


@pytest.mark.parametrize(
    "message",
    [
        "Invalid URL (POST /v1/chat/completions)",
        "use text/plain or application/json and/or meta-llama/Llama-3.1-8B",
        "Expected (temperature=1) or f(x=1)",
        "line one\n  line two, indented",
        "messages[0].content: {} is not allowed; send {type: text}",
        "at most 4 images; look at the docs (Vision)",
    ],
)
def test_words_about_requests_are_kept(message: str) -> None:
    assert redact(message) == message
