"""`tollgate doctor` on a deployment in moto, and on a gateway that runs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from support.command_line import cleared
from support.running_gateway import RunningGateway
from tollgate.handler.cli.app import app

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "keys",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        }
    },
    "Outputs": {"TableName": {"Value": "keys"}, "CredentialsPath": {"Value": "/tollgate/credentials"}},
}


@pytest.fixture(scope="module")
def aws() -> Iterator[Mapping[str, str]]:
    """The environment of an account with a stack, whose table lacks the index and the expiry."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    session = cast(Any, boto3).Session("k", "s", region_name="eu-west-1")
    cloudformation = session.client("cloudformation", endpoint_url=env["AWS_ENDPOINT_URL"])
    cloudformation.create_stack(StackName="tollgate", TemplateBody=json.dumps(TEMPLATE))
    yield env
    server.stop()


def doctor(env: Mapping[str, str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = CliRunner().invoke(app, ["doctor", *words, "--json"], env={**cleared(), **env})
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, {finding["what"]: finding for finding in json.loads(result.stdout)}


def test_each_fault_of_a_stack_is_found_with_what_to_do(aws: Mapping[str, str]) -> None:
    code, findings = doctor(aws, "--stack", "tollgate")

    assert code == 1
    assert findings["table"]["state"] == findings["permission to read keys"]["state"] == "ok"
    for broken in ("index of keys", "expiry of items", "credentials"):
        assert findings[broken]["state"] == "broken"
        assert findings[broken]["advice"]


def test_a_table_that_is_not_there_is_broken(aws: Mapping[str, str]) -> None:
    code, findings = doctor(aws, "--table", "nowhere")

    assert (code, findings["table"]["state"]) == (1, "broken")


def test_a_gateway_that_answers_and_streams_is_ok(served: RunningGateway) -> None:
    code, findings = doctor({}, "--url", served.base_url, "--api-key", served.api_key, "--model", "echo")

    assert code == 0
    assert findings["URL"]["state"] == "ok"
    assert findings["stream"]["state"] in ("ok", "warning")
    assert "first byte" in findings["stream"]["found"] or "all at once" in findings["stream"]["found"]


def test_a_wrong_key_and_a_url_without_a_gateway_are_broken(served: RunningGateway) -> None:
    code, findings = doctor({}, "--url", served.base_url, "--api-key", "sk-tg-wrong", "--model", "echo")
    assert (code, findings["stream"]["state"]) == (1, "broken")

    code, findings = doctor({}, "--url", "http://127.0.0.1:9/v1")
    assert (code, findings["URL"]["state"]) == (1, "broken")
