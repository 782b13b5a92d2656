"""Bring your own key: requests of a key go out with its own credential, which is in Parameter Store, as moto has it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.aws_account import aws_account
from support.command_line import run_command
from support.running_gateway import RunningGateway, run_gateway
from support.upstream import Script, ScriptedUpstream, scripted_upstream

PATH = "/tollgate/credentials"
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
REFUSED = Script([b'{"error": {"message": "Incorrect API key"}}'], 401)
SCRIPTS = {"plain": Script([json.dumps(ANSWER).encode()]), "refused": REFUSED, "spare": REFUSED}


def overlay(url: str) -> str:
    providers = f"""
[providers.one]
family = "openai"
base_url = "{url}/v1"
credential = "ONE_KEY"

[providers.several]
family = "openai"
base_url = "{url}/v1"
credentials = [{{ name = "FIRST_KEY" }}, {{ name = "SECOND_KEY" }}]
"""
    models = {
        "plain": '[{ provider = "one", model = "plain" }]',
        "refused": '[{ provider = "one", model = "refused" }]',
        "several": '[{ provider = "several", model = "refused" }]',
        "spare": '[{ provider = "one", model = "spare" }, { provider = "several", model = "plain", weight = 0 }]',
    }
    rows = (
        f'[models.{name}]\nowned_by = "x"\ncontext_length = 1000\nroutes = {routes}\n'
        for name, routes in models.items()
    )
    return providers + "\n".join(rows)


@pytest.fixture(scope="module")
def account() -> Iterator[dict[str, str]]:
    """The environment of an account with credentials of the gateway's own."""
    with aws_account() as env:
        yield {**env, "TOLLGATE_CREDENTIALS_PATH": PATH}


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedUpstream]:
    with scripted_upstream(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest,
    account: dict[str, str],
    provider: ScriptedUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    env = {**account, "TOLLGATE_ECHO": "off"}
    with run_gateway(request.param, folder, overlay(provider.url), env) as running:
        for name in ("ONE_KEY", "FIRST_KEY", "SECOND_KEY"):
            store(running, account, name)
        yield running


def catalog_of(gateway: RunningGateway) -> tuple[str, str]:
    return ("--catalog", str(gateway.db.parent / "overlay.toml"))


def store(gateway: RunningGateway, account: dict[str, str], name: str, *flags: str) -> str:
    """What `tollgate credentials set` prints."""
    command = ("credentials", "set", name, *flags, *catalog_of(gateway))
    result = run_command(*command, env=account, stdin=f"own {name}" if flags else f"the gateway's {name}")
    assert result.exit_code == 0, result.output
    return result.output


def key_with_own(gateway: RunningGateway, account: dict[str, str], *names: str) -> str:
    """A new key with own credentials of these names, set up by the commands that the command itself names."""
    key = gateway.key(*catalog_of(gateway))
    key_id = key.split("-")[2]
    for name in names:
        output = store(gateway, account, name, "--key", key_id)
        assert re.search(rf"tollgate keys update {key_id} --credential {name}$", output, re.MULTILINE), output
    flags = [flag for name in names for flag in ("--credential", name)]
    update(gateway, key, *flags)
    return key


def update(gateway: RunningGateway, key: str, *flags: str) -> None:
    words = ("keys", "update", key.split("-")[2], "--db", str(gateway.db), *catalog_of(gateway), *flags)
    result = run_command(*words)
    assert result.exit_code == 0, result.output


def ask(gateway: RunningGateway, key: str, model: str) -> httpx.Response:
    body: Any = {"model": model, "messages": [{"role": "user", "content": "?"}]}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=30, verify=False)


def sent(provider: ScriptedUpstream) -> list[str]:
    """The credentials of the requests since the last call."""
    found = [request.headers["authorization"].removeprefix("Bearer ") for request in provider.requests]
    provider.requests.clear()
    return found


def test_request_goes_out_with_the_keys_own_credential(
    gateway: RunningGateway, account: dict[str, str], provider: ScriptedUpstream
) -> None:
    own, other = key_with_own(gateway, account, "ONE_KEY"), gateway.key(*catalog_of(gateway))
    sent(provider)
    assert ask(gateway, own, "plain").status_code == 200
    assert ask(gateway, other, "plain").status_code == 200
    assert sent(provider) == ["own ONE_KEY", "the gateway's ONE_KEY"]


def test_refused_own_credential_is_the_holders_error_and_never_replaced_by_the_gateways(
    gateway: RunningGateway, account: dict[str, str], provider: ScriptedUpstream
) -> None:
    key = key_with_own(gateway, account, "ONE_KEY", "FIRST_KEY")
    sent(provider)
    for model, name in (("refused", "ONE_KEY"), ("several", "FIRST_KEY")):
        response = ask(gateway, key, model)
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (
            403,
            "permission_error",
            "own_credential_refused",
        )
        assert name in error["message"]
        assert set(sent(provider)) == {f"own {name}"}
        line = gateway.log_of(response.headers["x-request-id"])
        assert line["error_code"] == "own_credential_refused"
        assert "own " not in json.dumps(line)


def test_another_provider_answers_for_a_refused_own_credential(
    gateway: RunningGateway, account: dict[str, str], provider: ScriptedUpstream
) -> None:
    key = key_with_own(gateway, account, "ONE_KEY")
    sent(provider)
    assert ask(gateway, key, "spare").status_code == 200
    first, *_, last = sent(provider)
    assert first == "own ONE_KEY"
    assert last.startswith("the gateway's ")


def test_missing_own_credential_is_named(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    key = gateway.key(*catalog_of(gateway), "--credential", "ONE_KEY")
    sent(provider)
    response = ask(gateway, key, "plain")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "own_credential_refused")
    assert sent(provider) == []


def test_key_without_own_credentials_any_more_uses_the_gateways(
    gateway: RunningGateway, account: dict[str, str], provider: ScriptedUpstream
) -> None:
    key = key_with_own(gateway, account, "ONE_KEY")
    update(gateway, key, "--credential", "none")
    sent(provider)
    assert ask(gateway, key, "plain").status_code == 200
    assert sent(provider) == ["the gateway's ONE_KEY"]
