"""Agents as their registries have them: each completes a task with a tool call, whatever family is behind it.

The transcripts are left in `.build/agents`.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.agent_provider import AFTER, BEFORE, EDITED, PRINTED, AgentProvider
from support.artifact import CHECKOUT
from support.node import NODE, node_folder
from support.python_packages import python_packages
from support.running_gateway import RunningGateway

HERE = Path(__file__).parent
TASK = "Run the tool and say what it printed."
TRANSCRIPTS = CHECKOUT / ".build" / "agents"
LIMIT_SECONDS = 240
CODEX = """
model = "{model}"
model_provider = "tollgate"
[model_providers.tollgate]
name = "tollgate"
base_url = "{base_url}"
env_key = "TOLLGATE_API_KEY"
wire_api = "responses"
"""


def run_agent(name: str, command: Sequence[str], env: Mapping[str, str], folder: Path) -> str:
    """Run an agent in the folder `work`, with a home of its own, and return what it prints."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    ended = subprocess.run(
        command,
        cwd=work,
        env={**os.environ, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    (TRANSCRIPTS / f"{name}.txt").write_text(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


def check_requests(gateway: RunningGateway, provider: AgentProvider, before: int) -> None:
    """The model's call was run and its result came back; every request is settled, and none was made twice."""
    requests = provider.requests[before:]
    assert len(requests) == 2
    assert PRINTED not in str(requests[0])
    assert PRINTED in str(requests[1])
    assert gateway.open_holds() == 0


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder with the agents of npm."""
    if not NODE:
        pytest.skip("no Node.js with npm on this machine: the agents were not tried")
    return node_folder(HERE / "agents", "install", "--no-package-lock") / "node_modules" / ".bin"


@pytest.fixture(scope="session")
def agents_sdk() -> Path:
    """A Python with the OpenAI Agents SDK."""
    return python_packages(HERE / "openai_agents") / "python"


@pytest.fixture(scope="session")
def aider() -> Path:
    """Aider from PyPI: it edits files by what the model writes, without tools."""
    return python_packages(HERE / "aider") / "aider"


def test_claude_code(
    gateway: RunningGateway, provider: AgentProvider, programs: Path, family: str, tmp_path: Path
) -> None:
    env = {
        "ANTHROPIC_BASE_URL": gateway.base_url.removesuffix("/v1"),
        "ANTHROPIC_AUTH_TOKEN": gateway.api_key,
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "IS_SANDBOX": "1",
    }
    options = ("--output-format", "stream-json", "--verbose", "--allowedTools", "Bash", "--model", f"{family}-agent")
    before = len(provider.requests)
    command = [str(programs / "claude"), "-p", TASK, *options]
    output = run_agent(f"claude-code-{gateway.kind}-{family}", command, env, tmp_path)
    assert "The tool said: " in output
    assert '"is_error":true' not in output
    check_requests(gateway, provider, before)


def test_codex(gateway: RunningGateway, provider: AgentProvider, programs: Path, family: str, tmp_path: Path) -> None:
    home = tmp_path / "codex"
    home.mkdir()
    (home / "config.toml").write_text(CODEX.format(model=f"{family}-agent", base_url=gateway.base_url))
    env = {"CODEX_HOME": str(home), "TOLLGATE_API_KEY": gateway.api_key}
    options = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    before = len(provider.requests)
    command = [str(programs / "codex"), "exec", *options, TASK]
    output = run_agent(f"codex-{gateway.kind}-{family}", command, env, tmp_path)
    assert "The tool said: " in output
    check_requests(gateway, provider, before)


def test_openai_agents_sdk(
    gateway: RunningGateway, provider: AgentProvider, agents_sdk: Path, family: str, tmp_path: Path
) -> None:
    env = {"TOLLGATE_BASE_URL": gateway.base_url, "TOLLGATE_API_KEY": gateway.api_key}
    before = len(provider.requests)
    command = [str(agents_sdk), str(HERE / "openai_agents" / "task.py"), f"{family}-agent"]
    output = run_agent(f"openai-agents-{gateway.kind}-{family}", command, env, tmp_path)
    assert "The tool said: " in output
    check_requests(gateway, provider, before)


def test_aider(gateway: RunningGateway, provider: AgentProvider, aider: Path, family: str, tmp_path: Path) -> None:
    edited = tmp_path / "work" / EDITED
    edited.parent.mkdir()
    edited.write_text(BEFORE + "\n")
    env = {"OPENAI_API_BASE": gateway.base_url, "OPENAI_API_KEY": gateway.api_key, "LITELLM_LOCAL_MODEL_COST_MAP": "1"}
    options = ("--no-git", "--no-check-update", "--no-show-model-warnings", "--no-show-release-notes")
    edit = ("--edit-format", "diff", "--map-tokens", "0", "--analytics-disable", "--yes-always", "--message")
    before = len(provider.requests)
    command = [str(aider), "--model", f"openai/{family}-agent", *options, *edit, "Open the gate.", EDITED]
    run_agent(f"aider-{gateway.kind}-{family}", command, env, tmp_path)
    assert edited.read_text() == AFTER + "\n"
    assert len(provider.requests) == before + 1
    assert gateway.open_holds() == 0
