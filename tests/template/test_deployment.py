"""The translated template deployed to moto, for the resource types that moto's CloudFormation makes."""

import ast
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from template.conftest import FOLDER, listed, translated
from tollgate.handler.cli.role_checks import MODELS, ROLE_ACTIONS

REGION = "us-east-1"
STACK = "tollgate"
UNKNOWN_TO_MOTO = {
    "AWS::ApiGateway::BasePathMapping",
    "AWS::ApiGateway::DomainName",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::IAM::RolePolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Url",
    "AWS::Logs::QueryDefinition",
}
"""Types that moto's CloudFormation does not make; those that refer to them are left out too."""


def _part_that_moto_knows(template: dict[str, Any]) -> dict[str, Any]:
    """The template without what moto does not know, and without what refers to it."""
    resources: dict[str, Any] = template["Resources"]
    gone = {name for name, resource in resources.items() if resource["Type"] in UNKNOWN_TO_MOTO}
    while more := {name for name in resources if name not in gone and _refers(resources[name], gone)}:
        gone |= more
    outputs = {name: value for name, value in template["Outputs"].items() if not _refers(value, gone)}
    left = {name: resource for name, resource in resources.items() if name not in gone}
    return {**template, "Resources": left, "Outputs": outputs}


def client(service: str) -> Any:
    """boto3's client of a service."""
    return cast(Any, boto3).client(service, region_name=REGION)


def _refers(value: object, names: set[str]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}" in text for name in names)


@pytest.fixture
def stack(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The outputs of the stack."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    parameters = json.loads((FOLDER / f"{name}.parameters.json").read_text("utf-8"))
    with mock_aws():
        s3 = client("s3")
        s3.create_bucket(Bucket="archives")
        for archive in ("function.zip", "layer.zip"):
            s3.put_object(Bucket="archives", Key=archive, Body=b"PK\x05\x06" + bytes(18))
        cloudformation = client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(_part_that_moto_knows(translated(name))),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        described = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE"
        yield {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def test_the_table_has_its_keys_its_index_and_its_protections(stack: dict[str, str], name: str) -> None:
    dynamodb = client("dynamodb")
    table = dynamodb.describe_table(TableName=stack["TableName"])["Table"]

    assert {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]} == {"pk": "HASH", "sk": "RANGE"}
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["listed"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert str(table["DeletionProtectionEnabled"]).lower() == str(name != "nothing").lower()  # moto keeps the text
    # moto's CloudFormation does not hand these on to its DynamoDB.
    properties = translated(name)["Resources"]["Table"]["Properties"]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def _allowed(role: str) -> dict[str, list[str]]:
    """The resources of each action that a role may do by the statements of the template."""
    policy = client("iam").get_role_policy(RoleName=role, PolicyName="tollgate")
    document = ast.literal_eval(policy["PolicyDocument"])  # moto keeps the repr of what its CloudFormation resolved
    return {
        action: listed(statement["Resource"])
        for statement in document["Statement"]
        for action in listed(statement["Action"])
    }


def test_the_role_may_do_what_the_functions_do_on_this_stack_alone(stack: dict[str, str]) -> None:
    (role,) = [role["RoleName"] for role in client("iam").list_roles()["Roles"] if "FunctionRole" in role["RoleName"]]
    allowed = _allowed(role)
    table = client("dynamodb").describe_table(TableName=stack["TableName"])["Table"]["TableArn"]
    parameters = f"arn:aws:ssm:{REGION}:123456789012:parameter{stack['CredentialsPath']}/*"
    groups = [group["arn"].removesuffix(":*") for group in client("logs").describe_log_groups()["logGroups"]]

    assert allowed.keys() == {
        *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem", "ssm:GetParameter"),
        *("bedrock:ApplyGuardrail", "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
    }
    assert allowed["dynamodb:GetItem"] == allowed["dynamodb:Query"] == [table, f"{table}/index/listed"]
    assert allowed["dynamodb:PutItem"] == allowed["dynamodb:UpdateItem"] == [table]
    assert allowed["ssm:GetParameter"] == [parameters]
    assert sorted(each.removesuffix(":*") for each in allowed["logs:PutLogEvents"]) == sorted(groups)
    assert all(":guardrail/" in each for each in allowed["bedrock:ApplyGuardrail"])
    assert all(":bedrock:*:" in each for each in allowed["bedrock:InvokeModel"])


def test_the_doctor_examines_every_action_of_the_role(stack: dict[str, str]) -> None:
    (role,) = [role["RoleName"] for role in client("iam").list_roles()["Roles"] if "FunctionRole" in role["RoleName"]]
    patterns = _allowed(role)
    names = {
        "table": client("dynamodb").describe_table(TableName=stack["TableName"])["Table"]["TableArn"],
        "partition": "aws",
        "region": REGION,
        "account": "123456789012",
        "path": stack["CredentialsPath"],
        "log_group": stack["StreamLogGroup"],
    }
    examined = [(action, arn.format(**names)) for actions, arn in (*ROLE_ACTIONS, MODELS) for action in actions]

    assert {action for action, _ in examined} == patterns.keys() - {"bedrock:ApplyGuardrail"}
    for action, arn in examined:
        without_streams = arn.removesuffix(":*")  # CloudFormation's ARN of a log group ends so, moto's does not
        assert any(fnmatchcase(without_streams, pattern.removesuffix(":*")) for pattern in patterns[action]), arn


def test_the_outputs_are_those_that_the_commands_take(stack: dict[str, str]) -> None:
    assert {"TableName", "CredentialsPath", "StreamLogGroup"} <= set(stack)
