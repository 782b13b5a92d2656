"""The API Gateway function behind a local server, which turns requests into events and results into responses as API
Gateway does (developer guide, "Working with AWS Lambda proxy integrations for HTTP APIs", payload format 2.0)."""

import base64
import contextlib
import json
import subprocess
import threading
from collections.abc import Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.artifact import ARTIFACT, artifact_python

LOOP = """
import json, sys
class Context:
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    def get_remaining_time_in_millis(self):
        return 30000
from tollgate.handler.api_gateway import lambda_handler
for line in sys.stdin:
    print("RESULT " + json.dumps(lambda_handler(json.loads(line), Context())), flush=True)
"""
TEXT_TYPES = ("application/json", "text/")


@contextlib.contextmanager
def api_gateway(env: Mapping[str, str]) -> Generator[str]:
    """The URL of the server, until the block ends. One event is handled at a time, as in one environment."""
    command = [artifact_python(), "-c", LOOP]
    environment = {**env, "PYTHONPATH": str(ARTIFACT)}
    lock = threading.Lock()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as function:

        def invoke(event: Any) -> Any:
            assert function.stdin is not None
            assert function.stdout is not None
            with lock:
                function.stdin.write(json.dumps(event) + "\n")
                function.stdin.flush()
                for line in function.stdout:
                    if line.startswith("RESULT "):
                        return json.loads(line.removeprefix("RESULT "))
            raise AssertionError("the function ended")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                result = invoke(_event(self))
                body = result.get("body") or ""
                data = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
                self.send_response(result["statusCode"])
                for name, value in result["headers"].items():
                    if name.lower() != "content-length":
                        self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            function.kill()


def _event(request: BaseHTTPRequestHandler) -> Any:
    """The event of a request; a body that is not text is base64."""
    content = request.rfile.read(int(request.headers.get("content-length", "0")))
    path, _, query = request.path.partition("?")
    is_text = request.headers.get("content-type", "").startswith(TEXT_TYPES)
    body = content.decode() if is_text else base64.b64encode(content).decode()
    http = {"method": request.command, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "requestContext": {"http": http, "stage": "$default", "requestId": "r", "domainName": "localhost"},
        "isBase64Encoded": bool(content) and not is_text,
        **({"body": body} if content else {}),
    }
