"""A provider that bills by the token: it generates as many tokens as the request allows, and counts them exactly.

Without a limit it generates `default_tokens`. A token is the word "word"; the prompt counts ten tokens.
"""

import contextlib
import json
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.instances import SharedStore

PROMPT_TOKENS = 10
USD_PER_MTOK = 100


@dataclass
class MeteredProvider:
    """The provider: its URL, the request bodies, and the output tokens of each response."""

    url: str
    default_tokens: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    output_tokens: list[int] = field(default_factory=list[int])

    @property
    def billed_usd(self) -> float:
        """The price of all responses."""
        return sum(PROMPT_TOKENS + tokens for tokens in self.output_tokens) * USD_PER_MTOK / 1e6


@dataclass
class MeteredGateway:
    """A gateway for the provider, and the store of its keys."""

    base_url: str
    store: SharedStore
    provider: MeteredProvider


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: MeteredProvider

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.provider.bodies.append(body)
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        tokens = limit or self.provider.default_tokens
        finish = "length" if limit else "stop"
        if body.get("stream"):
            with contextlib.suppress(OSError):
                self._stream(tokens, finish)
        else:
            self.provider.output_tokens.append(tokens)
            message = {"role": "assistant", "content": "word " * min(tokens, 100)}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            self._send(json.dumps({"choices": [choice], "usage": _usage(tokens)}).encode(), "application/json")

    def _send(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, tokens: int, finish: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        sent = 0
        try:
            while sent < tokens:
                count = min(200, tokens - sent)
                self.wfile.write(_event([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]) * count)
                sent += count
        finally:
            self.provider.output_tokens.append(sent)
        self.wfile.write(_event([{"index": 0, "delta": {}, "finish_reason": finish}], usage=_usage(tokens)))
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    return f"data: {json.dumps({'choices': choices, **more})}\n\n".encode()


@contextlib.contextmanager
def metered_provider() -> Generator[MeteredProvider]:
    """The provider on a free port of loopback, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    provider = MeteredProvider(f"http://127.0.0.1:{server.server_address[1]}")
    _Handler.provider = provider
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
