"""The runbook of docs/operating.md, followed on a local gateway: the failure, its sign, the remedy, and the cure."""

import contextlib
import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.aws_account import aws_account
from support.command_line import run_command
from support.running_gateway import RunningGateway, run_gateway
from support.upstream import Cut, Script, ScriptedUpstream, Wait, scripted_upstream
from support.waiting import LIMIT_SECONDS, wait_until

RUNBOOK = Path(__file__).parents[2] / "docs" / "operating.md"
ONLY_IN_AWS = {"Lambda throttles", "A deployment is bad"}
"""Entries whose failure only AWS has."""
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
SSE = {"content-type": "text/event-stream"}
GATE = Wait()


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice], "usage": USAGE}).encode() + b"\n\n"


def answer(body: Any) -> Script:
    if body.get("stream"):
        return Script([chunk("Hi", "stop"), b"data: [DONE]\n\n"], 200, SSE)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    return Script([json.dumps({"choices": [choice], "usage": USAGE}).encode()])


SCRIPTS: dict[str, Script | Callable[[Any], Script]] = {
    "good": answer,
    "down": Script([b"{}"], 500),
    "slow": lambda body: Script([0.3, *answer(body).steps], 200, answer(body).headers),
    "cut": Script([chunk("Hi"), Cut()], 200, SSE),
    "held": Script([chunk("Hi"), GATE, chunk("", "stop"), b"data: [DONE]\n\n"], 200, SSE),
}


def overlay(url: str, **models: str) -> str:
    """A catalog with the providers `a` and `b` at this address; routes of a model are written as `a/good b/good`."""
    rows = [f'[providers.{name}]\nfamily = "openai"\nbase_url = "{url}/v1"\nauth = "none"\n' for name in "ab"]
    prices = 'input_usd_per_mtok = 1000, output_usd_per_mtok = 1000, source = "tests", date = 2026-01-01'
    for model, routes in models.items():
        pairs = [route.split("/") for route in routes.split()]
        written = ", ".join(f'{{ provider = "{provider}", model = "{name}" }}' for provider, name in pairs)
        columns = f'owned_by = "x"\ncontext_length = 9000\nprices = {{ {prices} }}\nroutes = [{written}]'
        rows.append(f"[models.{model}]\n{columns}\n")
    return "\n".join(rows)


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedUpstream]:
    with scripted_upstream(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    catalog = overlay(provider.url, good="a/good", down="a/down", two="a/slow b/good", cut="a/cut", held="a/held")
    with run_gateway("server", tmp_path_factory.mktemp("gateway"), catalog, {"TOLLGATE_ECHO": "off"}) as running:
        yield running


def ask(gateway: RunningGateway, model: str, key: str | None = None, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "?"}], **more}
    headers = {"authorization": f"Bearer {key or gateway.api_key}"}
    return httpx.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS)


def line_of(gateway: RunningGateway, response: httpx.Response) -> dict[str, Any]:
    return gateway.log_of(response.headers["x-request-id"])


def tollgate(gateway: RunningGateway, *words: str) -> str:
    result = run_command(*words, "--db", str(gateway.db))
    assert result.exit_code == 0, result.output
    return result.output


@contextlib.contextmanager
def locked(db: Path) -> Generator[None]:
    """The store accepts no write in the block, as a table that does not respond."""
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def test_every_entry_was_followed() -> None:
    section = RUNBOOK.read_text("utf-8").partition("\n## Runbook\n")[2].partition("\n## ")[0]
    entries = re.findall(r"^### (.+)$", section, re.MULTILINE)
    followed = [name for name in globals() if name.startswith("test_entry_")]
    assert len(entries) == 10
    for entry in entries:
        name = "test_entry_" + re.sub(r"\W+", "_", entry.lower())
        assert (name in followed) != (entry in ONLY_IN_AWS), entry


def test_entry_a_provider_is_down(gateway: RunningGateway, provider: ScriptedUpstream, tmp_path: Path) -> None:
    failed = ask(gateway, "down")
    line = line_of(gateway, failed)
    assert (failed.status_code, line["error_code"], line["provider"]) == (502, "upstream_error", "a")
    assert "upstream_error" in tollgate(gateway, "logs")
    mended_catalog = overlay(provider.url, down="a/down b/good")
    with run_gateway("server", tmp_path, mended_catalog, {"TOLLGATE_ECHO": "off"}) as mended:
        assert ask(mended, "down").headers["x-tollgate-provider"] == "b"


class Strict(http.server.BaseHTTPRequestHandler):
    """A provider that takes one credential."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        accepted = self.headers["authorization"] == "Bearer sk-new"
        content = answer(body).steps[0] if accepted else b'{"error": {"message": "Incorrect API key"}}'
        assert isinstance(content, bytes)
        self.send_response(200 if accepted else 401)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["authorization"] == "Bearer sk-new" else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def strict() -> Iterator[str]:
    """The catalog with a provider that takes one credential."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strict)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield overlay(url, m="a/good").replace('auth = "none"', 'credential = "STRICT_KEY"', 1)
    server.shutdown()
    server.server_close()
    thread.join()


def test_entry_a_credential_is_refused(strict: str, tmp_path: Path) -> None:
    with aws_account() as account:
        env = {**account, "TOLLGATE_CREDENTIALS_PATH": "/tollgate/credentials", "TOLLGATE_ECHO": "off"}
        words = ("credentials", "set", "STRICT_KEY", "--catalog", str(tmp_path / "overlay.toml"))
        (tmp_path / "overlay.toml").write_text(strict)
        assert run_command(*words, env=env, stdin="sk-old").exit_code == 0
        with run_gateway("server", tmp_path, strict, env) as gateway:
            failed = ask(gateway, "m")
            assert (failed.status_code, line_of(gateway, failed)["error_code"]) == (502, "upstream_auth")
            checked = run_command(*words, "--check", env=env, stdin="sk-wrong")
            assert (checked.exit_code, "nothing is stored" in checked.output) == (1, True)
            assert run_command(*words, "--check", env=env, stdin="sk-new").exit_code == 0
            wait_until(lambda: ask(gateway, "m").status_code == 200, "the cure without a deployment")


def test_entry_a_budget_is_exhausted(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "0.03/day")
    key_id = key.split("-")[2]
    assert ask(gateway, "good", key, max_tokens=10).status_code == 200
    refused = ask(gateway, "good", key, max_tokens=10)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_quota")
    assert key_id in tollgate(gateway, "usage", "--by", "key,model")
    tollgate(gateway, "keys", "update", key_id, "--budget", "1/day")
    assert ask(gateway, "good", key, max_tokens=10).status_code == 200
    tollgate(gateway, "keys", "update", key_id, "--budget", "0.03/day")
    tollgate(gateway, "keys", "reset", key_id)
    assert ask(gateway, "good", key, max_tokens=10).status_code == 200
    tollgate(gateway, "keys", "revoke", key_id)
    assert ask(gateway, "good", key).status_code == 401


def test_entry_the_table_does_not_respond(gateway: RunningGateway) -> None:
    with locked(gateway.db):
        failed = ask(gateway, "good")
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "store_unavailable")
        assert "not available" in run_command("keys", "create", "--name", "x", "--db", str(gateway.db)).output
    assert ask(gateway, "good").status_code == 200


def test_entry_the_first_token_is_slow(gateway: RunningGateway) -> None:
    slow, quick = (line_of(gateway, ask(gateway, "two", stream=True, provider={"order": [name]})) for name in "ab")
    assert min(slow["time_to_first_token_ms"], slow["upstream_ms"]) >= 300
    assert slow["upstream_ms"] > slow["latency_ms"] / 2
    assert quick["provider"] == "b"
    preferred = ask(gateway, "two", stream=True, provider={"sort": "latency"})
    assert preferred.headers["x-tollgate-provider"] == "b"


def test_entry_streams_are_cut(gateway: RunningGateway) -> None:
    cut = ask(gateway, "cut", stream=True)
    assert cut.status_code == 200
    assert "[DONE]" not in cut.text
    assert line_of(gateway, cut)["error_code"] == "upstream_disconnected"
    assert ask(gateway, "good", stream=True).text.endswith("data: [DONE]\n\n")


def test_entry_strangers_call_the_url(gateway: RunningGateway) -> None:
    refused = ask(gateway, "good", f"sk-tg-{'0' * 12}-{'0' * 64}")
    line = line_of(gateway, refused)
    assert (refused.status_code, line["error_code"], "key_id" in line) == (401, "invalid_api_key", False)
    leaked = gateway.key()
    assert ask(gateway, "good", leaked).status_code == 200
    tollgate(gateway, "keys", "revoke", leaked.split("-")[2])
    assert ask(gateway, "good", leaked).status_code == 401


def test_entry_requests_are_not_on_the_bill(gateway: RunningGateway) -> None:
    GATE.hold()
    body = {"model": "held", "stream": True, "messages": [{"role": "user", "content": "?"}]}
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    url = f"{gateway.base_url}/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=LIMIT_SECONDS) as stream:
        request_id, pieces = stream.headers["x-request-id"], stream.iter_text()
        next(pieces)
        with locked(gateway.db):
            GATE.release()
            assert "".join(pieces).endswith("data: [DONE]\n\n")
    line = gateway.log_of(request_id)
    assert (line["level"], line["message"]) == ("ERROR", "request not settled")
    assert (line["output_tokens"], line["settle_error"]) == (10, "store_unavailable")
    assert request_id not in tollgate(gateway, "logs", "--json")
