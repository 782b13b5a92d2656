"""How people read the requests of a gateway: `tollgate serve`, `--live`, and `tollgate logs`."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from support.aws_account import aws_account
from support.command_line import cleared, run_command
from support.running_gateway import TOLLGATE, RunningGateway, run_gateway

GROUP = "/aws/lambda/stream"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway("server", tmp_path_factory.mktemp("logs")) as running:
        yield running


def ask(base_url: str, api_key: str, prompt: str, model: str = "gpt-4o") -> None:
    env = {"TOLLGATE_BASE_URL": base_url, "TOLLGATE_API_KEY": api_key}
    run_command("chat", prompt, "-m", model, env=env)


@pytest.mark.parametrize("flag", [None, "--live"])
def test_local_requests_are_shown_to_a_person(tmp_path: Path, flag: str | None) -> None:
    command = [str(TOLLGATE), "serve", "--port", "0", "--db", str(tmp_path / "db"), *([flag] if flag else [])]
    env = {name: value for name, value in os.environ.items() if name not in cleared()} | {"COLUMNS": "160"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if "base URL" in line)
            ask(line.split()[2], (tmp_path / "db.key").read_text().strip(), "Hello")
        finally:
            process.send_signal(signal.SIGINT)
        shown = process.stdout.read()
    assert "gpt-4o" in shown
    assert "200" in shown
    assert "Hello" not in shown.replace("Hello, Tollgate!", "")
    if flag:
        assert "1 requests, 0 errors" in shown


def test_logs_are_the_records_of_the_store(gateway: RunningGateway) -> None:
    key, other = gateway.key(), gateway.key()
    ask(gateway.base_url, key, "one")
    ask(gateway.base_url, key, "two")
    ask(gateway.base_url, other, "three")
    key_id = key.split("-")[2]
    printed = run_command("logs", "--key", key_id, "--json", "--db", str(gateway.db))
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [(row["key_id"], row["model"], row["status"]) for row in rows] == [(key_id, "gpt-4o", 200)] * 2
    lines = run_command("logs", "--db", str(gateway.db)).stdout.splitlines()
    assert len([line for line in lines if "gpt-4o" in line]) >= 3


def test_logs_follow_the_store(gateway: RunningGateway) -> None:
    key = gateway.key()
    command = [str(TOLLGATE), "logs", "--follow", "--key", key.split("-")[2], "--json", "--db", str(gateway.db)]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    ask(gateway.base_url, key, "before")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            first = json.loads(process.stdout.readline())
            ask(gateway.base_url, key, "after")
            second = json.loads(process.stdout.readline())
        finally:
            process.terminate()
    assert first["request_id"] < second["request_id"]


@pytest.fixture
def cloudwatch() -> Iterator[Mapping[str, str]]:
    with aws_account() as env:
        yield env


def test_logs_are_the_lines_in_cloudwatch(cloudwatch: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloudwatch.items():
        monkeypatch.setenv(name, value)
    client = cast("Any", boto3).client("logs")
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName="s")
    request = {"message": "request", "status": 404, "path": "/v1/chat/completions", "error_code": "model_not_found"}
    lines = ["START RequestId: 1", json.dumps(request), json.dumps({"message": "gateway fault"})]
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName=GROUP, logStreamName="s", logEvents=[{"timestamp": now, "message": line} for line in lines]
    )
    printed = run_command("logs", "--log-group", GROUP, env=cloudwatch)
    assert printed.exit_code == 0, printed.output
    (line,) = printed.stdout.splitlines()
    assert "404" in line
    assert "model_not_found" in line
    refused = run_command("logs", "--log-group", "/none", env=cloudwatch)
    assert (refused.exit_code, refused.stderr.startswith("AWS: ")) == (1, True)
