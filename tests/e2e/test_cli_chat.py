"""`tollgate chat` and `tollgate models`, against a gateway as a new user starts it."""

import json

import pytest

from support.command_line import run_command
from support.running_gateway import RunningGateway


def test_prompt_is_answered_as_it_comes(served: RunningGateway) -> None:
    env = {"TOLLGATE_BASE_URL": served.base_url, "TOLLGATE_API_KEY": served.api_key}
    printed = run_command("chat", "Hello, you", "-m", "echo", env=env)
    assert (printed.exit_code, printed.stdout) == (0, "Hello, you\n")
    assert "tokens" in printed.stderr
    assert "first token after" in printed.stderr


@pytest.mark.parametrize(
    ("model", "key", "reason"),
    [("echo", "sk-wrong", "HTTP 401"), ("no-such-model", None, "does not exist")],
)
def test_refusal_is_one_line(served: RunningGateway, model: str, key: str | None, reason: str) -> None:
    env = {"TOLLGATE_BASE_URL": served.base_url, "TOLLGATE_API_KEY": key or served.api_key}
    printed = run_command("chat", "Hello", "-m", model, env=env)
    assert (printed.exit_code, printed.stdout, len(printed.stderr.splitlines())) == (1, "", 1)
    assert reason in printed.stderr


def test_gateway_that_does_not_run_is_one_line() -> None:
    printed = run_command("chat", "Hello", "--base-url", "http://127.0.0.1:1/v1")
    assert (printed.exit_code, len(printed.stderr.splitlines())) == (1, 1)
    assert "does not answer" in printed.stderr


def test_models_are_listed_with_prices_and_missing_credentials() -> None:
    env = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": ""}
    rows = {row["model"]: row for row in json.loads(run_command("models", "--json", env=env).stdout)}
    assert rows["gpt-4o-mini"]["missing_credentials"] == []
    assert rows["claude-sonnet-4-6"]["missing_credentials"] == ["ANTHROPIC_API_KEY"]
    assert float(rows["gpt-4o-mini"]["input_usd_per_mtok"]) > 0
    table = run_command("models", "gpt-4o*", env=env).stdout
    assert "gpt-4o-mini" in table
    assert "claude" not in table
    assert len(run_command("models", "--all", env=env).stdout.splitlines()) > 300
