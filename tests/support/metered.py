"""A provider that bills by the token: it answers with as many tokens as it is asked for, and counts them exactly.

Without a limit it answers `unasked` tokens. A token is the word "word"; the prompt is counted as ten tokens.
"""

import contextlib
import json
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.instances import SharedStore

PROMPT = 10
USD_PER_MTOK = 100

CATALOG = """
[providers.metered]
family = "openai"
base_url = "{url}/v1"
auth = "none"
[models."test/metered"]
created = 2026-01-01
owned_by = "tests"
context_length = 200_000
routes = [{{ provider = "metered", model = "metered" }}]
prices = {{ input_usd_per_mtok = 100, output_usd_per_mtok = 100, source = "tests", date = 2026-01-01 }}
"""


@dataclass
class Metered:
    """The provider: where it is, the bodies it was sent, and how many tokens it has answered and would bill."""

    url: str
    unasked: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    answered: list[int] = field(default_factory=list[int])

    @property
    def billed_usd(self) -> float:
        """What it would charge for all that it has answered."""
        return sum(PROMPT + tokens for tokens in self.answered) * USD_PER_MTOK / 1e6


@dataclass
class MeteredGateway:
    """A gateway before the provider, and the store it keeps its keys in."""

    base_url: str
    store: SharedStore
    provider: Metered


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Metered

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.provider.bodies.append(body)
        asked = body.get("max_completion_tokens") or body.get("max_tokens")
        tokens = asked or self.provider.unasked
        finish = "length" if asked else "stop"
        if body.get("stream"):
            with contextlib.suppress(OSError):
                self._stream(tokens, finish)
        else:
            self.provider.answered.append(tokens)
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
                some = min(200, tokens - sent)
                self.wfile.write(_event([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]) * some)
                sent += some
        finally:
            self.provider.answered.append(sent)
        self.wfile.write(_event([{"index": 0, "delta": {}, "finish_reason": finish}], usage=_usage(tokens)))
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": PROMPT, "completion_tokens": tokens, "total_tokens": PROMPT + tokens}


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    return f"data: {json.dumps({'choices': choices, **more})}\n\n".encode()


@contextlib.contextmanager
def metered_provider() -> Generator[Metered]:
    """The provider on a free port of loopback, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    provider = Metered(f"http://127.0.0.1:{server.server_address[1]}")
    _Handler.provider = provider
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
