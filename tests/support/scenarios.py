"""The scripts of the scripted provider, and a catalog for them: model `test/NAME` plays script NAME."""

import base64
import gzip
import json
import struct
from collections.abc import Sequence
from typing import Any

from support.upstream import Cut, Script, Wait

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
SSE = {"content-type": "text/event-stream"}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def event(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event(
        {"id": "up-1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": choices, **more}
    )


def response(**more: Any) -> bytes:
    message = {"role": "assistant", "content": "Four score."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "up-1", "object": "chat.completion", "created": 5, "model": "m", "choices": [choice], "usage": USAGE}
    return json.dumps({**whole, **more}).encode()


def error(status: int, **fields: Any) -> Script:
    return Script([json.dumps({"error": fields}).encode()], status)


TOKENS = [chunk({"role": "assistant", "content": "Four"}), chunk({"content": " score"})]
END = [chunk({"content": "."}), chunk({}, "stop"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
INCOMPLETE_CALL = [
    chunk({"role": "assistant", "content": None}),
    chunk(
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": ""}}]}
    ),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"query": "gett'}}]}),
]
HELD = Wait()

VECTORS = [[0.5, -0.25, 3.0], [1.0, 2.0, -4.5]]
"""Floats that float32 represents exactly."""


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embeddings(vectors: Sequence[Any], **more: Any) -> Script:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    return Script([json.dumps({"object": "list", "data": data, "model": "m", "usage": usage, **more}).encode()])


SCRIPTS: dict[str, Script] = {
    "embed-one": embeddings(VECTORS[:1]),
    "embed-floats": embeddings(VECTORS),
    "embed-base64": embeddings([packed(vector) for vector in VECTORS]),
    "embed-uncounted": embeddings(VECTORS, usage=None),
    "embed-largest": embeddings([packed([0.5] * 3072)] * 2048),
    "embed-error": error(400, message="This model does not support specifying dimensions.", param="dimensions"),
    "embed-failure": error(500, message="oh no"),
    "embed-html": Script([b"<html></html>"]),
    "whole": Script([response(system_fingerprint="fp_1")]),
    "expensive": Script(
        [0.05, response(usage={"prompt_tokens": 9, "completion_tokens": 12500, "total_tokens": 12509})]
    ),
    "pause": Script([0.05, response()]),
    "tools": Script(
        [
            response(
                choices=[
                    {
                        "index": 0,
                        "message": {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
                            ],
                        },
                        "finish_reason": "stop",
                    }
                ]
            )
        ]
    ),
    "stream": Script([*TOKENS, *END], headers=SSE),
    "held": Script([TOKENS[0], HELD, *END], headers=SSE),
    "irregular": Script(
        [
            b": queued\n\nretry: 1000\n\n",
            event({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []}),
            chunk({"content": "Four"}),
            chunk({"role": "assistant", "content": " score\u2028."}, "eos"),
            chunk({"content": ", late"}, "stop", x_groq={"usage": USAGE}),
            b"data: [DONE]\n\n",
        ],
        headers=SSE,
    ),
    "stream-as-json": Script([*TOKENS, *END]),
    "stream-as-text": Script([*TOKENS, *END], headers={"content-type": "text/plain"}),
    "whole-as-stream": Script([response()], headers=SSE),
    "stays-open": Script([*TOKENS, *END[:-1], *[b": ping\n\n", 0.2] * 1000], headers=SSE),
    "aborted": Script([*TOKENS, chunk({}, "abort", usage=USAGE)], headers=SSE),
    "aborted-whole": Script(
        [response(choices=[{"index": 0, "message": {"content": "Four"}, "finish_reason": "network_error"}])]
    ),
    "reasoning": Script([chunk({"reasoning_content": "Hm."}), *TOKENS, *END], headers=SSE),
    "reasoning-whole": Script(
        [response(choices=[{"message": {"reasoning": "Hm.", "content": "Four"}, "finish_reason": "stop"}])]
    ),
    "zero-usage": Script(
        [*TOKENS, chunk({}, "stop"), chunk(usage=dict.fromkeys(("prompt_tokens", "completion_tokens"), 0))], headers=SSE
    ),
    "usage-with-sources": Script([*TOKENS, chunk({}, "stop"), chunk(usage=USAGE, sources=["one"])], headers=SSE),
    "gzip": Script(
        [gzip.compress(response())],
        headers={
            "content-type": "application/json",
            "content-encoding": "gzip",
            "set-cookie": "session=secret",
            "openai-organization": "org-secret",
        },
    ),
    "html": Script([HTML], headers={"content-type": "text/html"}),
    "html-502": Script([HTML], 502, {"content-type": "text/html"}),
    "other-json": Script([b'{"hello": "world"}']),
    "no-message": Script([response(choices=[{"index": 0}])]),
    "error-in-200": error(200, message="backend exploded", code=500),
    "error-first": Script([event({"error": {"message": "slow down", "code": 429}})], headers=SSE),
    "error-later": Script([*TOKENS, event({"error": {"message": "backend exploded"}})], headers=SSE),
    "cut": Script([*TOKENS, Cut()], headers=SSE),
    "cut-first": Script([Cut()], headers=SSE),
    "ends-early": Script(TOKENS, headers=SSE),
    "empty-stream": Script([b": nothing\n\n"], headers=SSE),
    "only-done": Script([b"data: [DONE]\n\n"], headers=SSE),
    "broken-json": Script([TOKENS[0], b"data: {oops\n\n"], headers=SSE),
    "disconnects": Script([]),
    "400": error(
        400, message="Unsupported value", type="invalid_request_error", param="seed", code="unsupported_value"
    ),
    "surrogate-code": error(400, message="x", code="\ud800bad"),
    "long-code": error(400, message="x", code="c" * 500_000, param="p" * 500_000),
    "context": error(400, message="This model's maximum context length is 8192 tokens."),
    "401": error(401, message="Incorrect API key provided: sk-live-abcdefghijkl. See https://provider.example/keys."),
    "403": error(403, message="no"),
    "404": error(404, message="No such model at org-abcdef123456"),
    "429": Script(
        [b'{"error":{"message":"Slow down"}}'], 429, {"content-type": "application/json", "retry-after": "7"}
    ),
    "429-delay-in-message": error(429, message="Rate limit reached in 2 min. Please try again in 1m5.5s."),
    "wrong-base-url": Script([b'{"detail":"Not Found"}'], 404),
    "quota": error(429, message="You exceeded your quota", code="insufficient_quota"),
    "500": error(500, message="oh no"),
    "503": error(503, message="overloaded"),
    "422": Script([b'{"detail":[{"loc":["body"],"msg":"Extra inputs are not permitted"}]}'], 422),
    "redirect": Script([b""], 302, {"location": "http://127.0.0.1:1/"}),
    "cut-in-tool-call": Script([*INCOMPLETE_CALL, Cut()], headers=SSE),
    "ends-in-tool-call": Script(INCOMPLETE_CALL, headers=SSE),
    "stall": Script([TOKENS[0], Wait()], headers=SSE),
    "slow": Script([Wait()]),
}

PRICES = "input_usd_per_mtok = 2.0\ncached_usd_per_mtok = 0.5\noutput_usd_per_mtok = 8.0\n"


def overlay(url: str) -> str:
    rows = [
        f'[providers.scripted]\nfamily = "openai"\nbase_url = "{url}/v1"\ncredential = "SCRIPTED_API_KEY"\n'
        f'[providers.down]\nfamily = "openai"\nbase_url = "http://127.0.0.1:1/v1"\nauth = "none"\n'
        f'[providers.keyless]\nfamily = "openai"\nbase_url = "{url}/v1"\ncredential = "NOWHERE_API_KEY"\n'
    ]
    routes = {name: ("scripted", name) for name in SCRIPTS} | {"down": ("down", "m"), "keyless": ("keyless", "m")}
    for name, (provider, upstream_model) in routes.items():
        rows.append(
            f'[models."test/{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
            f'operations = ["{"embeddings" if name.startswith("embed-") else "chat"}"]\n'
            f'routes = [{{ provider = "{provider}", model = "{upstream_model}" }}]\n'
            f'[models."test/{name}".prices]\n{PRICES}source = "tests"\ndate = 2026-01-01\n'
        )
    return "\n".join(rows)
