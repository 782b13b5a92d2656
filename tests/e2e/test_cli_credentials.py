"""`tollgate credentials` on Parameter Store and Secrets Manager, as moto has them, and what a function then reads."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.aws_account import aws_account
from support.command_line import cleared
from tollgate.gateway.errors import UpstreamAuthError
from tollgate.handler.cli.app import app
from tollgate.handler.credentials import ParameterStoreCredentials

SECRET = "sk-very-secret"


@pytest.fixture(scope="module")
def aws() -> Iterator[Mapping[str, str]]:
    with aws_account() as env:
        yield env


@pytest.fixture(params=["/tollgate/credentials", "/aws/reference/secretsmanager/tollgate"])
def env(request: pytest.FixtureRequest, aws: Mapping[str, str]) -> Mapping[str, str]:
    return {**aws, "TOLLGATE_CREDENTIALS_PATH": request.param}


def run(env: Mapping[str, str], *words: str, secret: str | None = None) -> Result:
    return CliRunner().invoke(app, ["credentials", *words], env={**cleared(), **env}, input=secret)


def listed(env: Mapping[str, str]) -> dict[str, str | None]:
    return {row["name"]: row["stored"] for row in json.loads(run(env, "list", "--json").stdout)}


async def test_credential_is_stored_listed_read_by_a_function_and_removed(
    env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for secret in ("sk-older", f"{SECRET}\n"):
        stored = run(env, "set", "OPENAI_API_KEY", secret=secret)
        assert stored.exit_code == 0, stored.output
        assert SECRET not in stored.output
    assert listed(env)["OPENAI_API_KEY"] is not None
    assert listed(env)["ANTHROPIC_API_KEY"] is None
    credentials = ParameterStoreCredentials(env["TOLLGATE_CREDENTIALS_PATH"])
    assert await credentials.get("OPENAI_API_KEY") == SECRET
    assert run(env, "remove", "OPENAI_API_KEY").exit_code == 0
    with pytest.raises(UpstreamAuthError):
        await ParameterStoreCredentials(env["TOLLGATE_CREDENTIALS_PATH"]).get("OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("name", "secret", "reason"),
    [
        ("NO_SUCH_KEY", SECRET, "No provider"),
        ("OPENAI_API_KEY", " \n", "empty"),
        ("OPENAI_API_KEY", "sk-\x00", "characters"),
    ],
)
def test_what_cannot_be_a_credential_is_not_stored(env: Mapping[str, str], name: str, secret: str, reason: str) -> None:
    refused = run(env, "set", name, secret=secret)
    assert (refused.exit_code, reason in refused.output) == (1, True)
    assert listed(env)["OPENAI_API_KEY"] is None


def test_account_that_refuses_is_one_line(env: Mapping[str, str]) -> None:
    refused = run({**env, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "set", "OPENAI_API_KEY", secret=SECRET)
    assert refused.exit_code == 1
    assert refused.output.startswith("AWS: ")
    assert len(refused.output.splitlines()) == 1


class Models(http.server.BaseHTTPRequestHandler):
    """A provider whose list of models takes one credential."""

    def do_GET(self) -> None:
        accepted = self.headers["authorization"] == f"Bearer {SECRET}" and self.path == "/v1/models"
        self.send_response(200 if accepted else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Path]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever).start()
    path = tmp_path / "overlay.toml"
    url = f"http://127.0.0.1:{server.server_port}/v1"
    path.write_text(f'[providers.strict]\nfamily = "openai"\nbase_url = "{url}"\ncredential = "STRICT_API_KEY"\n')
    yield path
    server.shutdown()
    server.server_close()


def test_credential_that_the_provider_refuses_is_not_stored(env: Mapping[str, str], catalog: Path) -> None:
    words = ("set", "STRICT_API_KEY", "--check", "--catalog", str(catalog))
    refused = run(env, *words, secret="sk-wrong")
    assert (refused.exit_code, "HTTP 401" in refused.output) == (1, True)
    assert "STRICT_API_KEY" not in listed(env)
    accepted = run(env, *words, secret=SECRET)
    assert (accepted.exit_code, "HTTP 200" in accepted.output) == (0, True)
    assert "STRICT_API_KEY" in listed(env)
    assert run(env, "remove", "STRICT_API_KEY").exit_code == 0


def test_credentials_of_this_machine_are_environment_variables() -> None:
    rows = json.loads(run({"OPENAI_API_KEY": SECRET}, "list", "--local", "--json").stdout)
    stored = {row["name"]: row["stored"] for row in rows}
    assert (stored["OPENAI_API_KEY"], stored["GROQ_API_KEY"]) == ("environment", None)
