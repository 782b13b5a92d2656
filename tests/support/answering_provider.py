"""A provider of OpenAI's and Cohere's plain endpoints that answers any request with as many results as it needs."""

import contextlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@contextlib.contextmanager
def answering_provider() -> Generator[str]:
    """The URL of the provider on a free port of loopback, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = _ANSWERS[self.path.rpartition("/")[2]](json.loads(body) if body.startswith(b"{") else {})
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "audio/mpeg" if isinstance(answer, bytes) else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def _embeddings(body: Json) -> Json:
    given: Any = body["input"]
    number = 1 if isinstance(given, str) or isinstance(given[0], int) else len(given)
    data = [{"object": "embedding", "index": index, "embedding": [0.5, 0.25]} for index in range(number)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def _moderations(body: Json) -> Json:
    given: Any = body["input"]
    number = 1 if isinstance(given, str) or not isinstance(given[0], str) else len(given)
    result = {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.1}}
    return {"id": "modr-1", "model": "m", "results": [result] * number}


def _rerank(body: Json) -> Json:
    number = min(body.get("top_n") or len(body["documents"]), len(body["documents"]))
    results = [{"index": index, "relevance_score": 1 - index / 10_000} for index in range(number)]
    return {"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}}


AUDIO = bytes(range(256)) * 4
"""What the provider speaks: bytes that are no text."""
_ANSWERS: Mapping[str, Callable[[Json], Json | bytes]] = {
    "embeddings": _embeddings,
    "generations": lambda body: {"created": 1, "data": [{"b64_json": "AA=="}] * (body.get("n") or 1)},
    "transcriptions": lambda body: {"text": "Four score", "usage": {"type": "duration", "seconds": 3}},
    "translations": lambda body: {"text": "Four score", "usage": {"type": "duration", "seconds": 3}},
    "speech": lambda body: AUDIO,
    "edits": lambda body: {"created": 1, "data": [{"b64_json": "AA=="}]},
    "moderations": _moderations,
    "rerank": _rerank,
}
