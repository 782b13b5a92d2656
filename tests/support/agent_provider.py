"""A scripted provider for agents: its model calls a shell tool once, then answers with what the tool printed. An agent
that asks for edits in its prompt, without tools, gets one edit of a file.

It speaks OpenAI's Chat Completions, Anthropic's Messages and Gemini's GenerateContent, streamed, and records every
request. Which one is requested is decided by the path.
"""

import contextlib
import json
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMAND = "echo printed-by-the-tool"
PRINTED = "printed-by-the-tool"
TOOLS = {
    "Bash": {"command": COMMAND, "description": "Print a line"},
    "bash": {"command": COMMAND, "description": "Print a line"},
    "exec_command": {"cmd": COMMAND},
    "shell": {"command": ["bash", "-lc", COMMAND]},
    "run": {"command": COMMAND},
}
"""The shell tools of the agents by name, and the arguments with which the model calls them."""

EDITED, BEFORE, AFTER = "notes.txt", "The gate is closed.", "The gate is open."
EDIT = f"{EDITED}\n```\n<<<<<<< SEARCH\n{BEFORE}\n=======\n{AFTER}\n>>>>>>> REPLACE\n```\n"
"""An edit in the form that aider describes to the model as its edit format `diff`."""

Json = dict[str, Any]


@dataclass
class AgentProvider:
    """The running provider: its address, and the requests that it received."""

    url: str = ""
    requests: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])


@contextlib.contextmanager
def agent_provider() -> Generator[AgentProvider]:
    """The provider on a free port of loopback, until the block ends."""
    provider = AgentProvider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.requests.append((self.path, body))
            data = b"".join(_answer(self.path, body))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def _answer(path: str, body: Json) -> Iterator[bytes]:
    if path.endswith("/chat/completions"):
        return _openai(body)
    return _anthropic(body) if path.endswith("/messages") else _gemini(body)


def _openai(body: Json) -> Iterator[bytes]:
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    name = _tool(names)
    if name is None or results:
        delta: Json = {"content": _final(body, results)}
        reason = "stop"
    else:
        function = {"name": name, "arguments": json.dumps(TOOLS[name])}
        delta = {"reasoning_content": "A tool helps.", "tool_calls": [_openai_call(function)]}
        reason = "tool_calls"
    first: Json = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
    last: Json = {"index": 0, "delta": {}, "finish_reason": reason}
    for choice in (first, last):
        yield _data({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
    usage = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}
    yield _data({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _openai_call(function: Json) -> Json:
    return {"index": 0, "id": "call_1", "type": "function", "function": function}


def _anthropic(body: Json) -> Iterator[bytes]:
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    results = [block.get("content") for block in blocks if block["type"] == "tool_result"]
    name = _tool([tool["name"] for tool in body.get("tools", ())])
    usage = {"input_tokens": 900, "output_tokens": 1}
    message: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    yield _event("message_start", message=message)
    if name is None or results:
        yield from _block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": _final(body, results)})
        reason = "end_turn"
    else:
        signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
        thinking = {"type": "thinking_delta", "thinking": "A tool helps."}
        yield from _block(0, {"type": "thinking", "thinking": "", "signature": ""}, thinking, signature)
        call: Json = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        yield from _block(1, call, {"type": "input_json_delta", "partial_json": json.dumps(TOOLS[name])})
        reason = "tool_use"
    yield _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 20})
    yield _event("message_stop")


def _block(index: int, start: Json, *deltas: Json) -> Iterator[bytes]:
    yield _event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _gemini(body: Json) -> Iterator[bytes]:
    parts = [part for content in body["contents"] for part in content["parts"]]
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    tools = [tool for group in body.get("tools", ()) for tool in group.get("functionDeclarations", ())]
    name = _tool([tool["name"] for tool in tools])
    if name is None or results:
        part: Json = {"text": _final(body, results)}
    else:
        part = {"functionCall": {"name": name, "args": TOOLS[name]}, "thoughtSignature": "c2lnbmVk"}
    usage = {"promptTokenCount": 900, "candidatesTokenCount": 20, "totalTokenCount": 920}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    yield _data({"candidates": [candidate], "usageMetadata": usage})


def _tool(names: list[str]) -> str | None:
    """The shell tool among those that the agent declares; some requests of agents declare none."""
    return next((name for name in names if name in TOOLS), None)


def _final(body: Json, results: list[Any]) -> str:
    if "SEARCH/REPLACE" in str(body):
        return EDIT
    return f"The tool said: {json.dumps(results)}" if results else "A short title"


def _data(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\n".encode() + _data({"type": name, **fields})
