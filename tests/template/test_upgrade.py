"""What an upgrade and a removal keep: the table, which holds keys and usage.

moto updates no functions with layers and no tables, so that a stack of log groups, role, bucket and table is updated to
a template with one log group more, and deleted.
"""

import json
from typing import Any

import pytest
from moto import mock_aws

from template.conftest import translated
from template.test_deployment import STACK, client

KEPT = {"TableName", "CredentialsPath", "StreamLogGroup"}
STATE = {"Table", "FunctionRole", "ApiFunctionLogs", "StreamFunctionLogs", "UploadsBucket"}


def state_of(template: dict[str, Any], **more: Any) -> str:
    """The part of the template that holds state, and more resources, as text."""
    resources = {name: resource for name, resource in template["Resources"].items() if name in STATE}
    assert resources.keys() == STATE
    outputs = {name: output for name, output in template["Outputs"].items() if name in KEPT}
    return json.dumps({**template, "Resources": {**resources, **more}, "Outputs": outputs})


def test_nothing_that_would_replace_the_table_has_changed() -> None:
    """CloudFormation replaces a table whose logical id, name, keys or local indexes change, and keys are then lost to
    the functions (CloudFormation reference, AWS::DynamoDB::Table, "Update requires: Replacement")."""
    table = translated("defaults")["Resources"]["Table"]

    assert table["Type"] == "AWS::DynamoDB::Table"
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert table["Properties"]["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    (index,) = table["Properties"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "listed"
    assert not {"TableName", "LocalSecondaryIndexes", "ImportSourceSpecification"} & table["Properties"].keys()


def test_what_a_removal_deletes_and_what_it_keeps() -> None:
    policies = {
        name: resource.get("DeletionPolicy", "Delete")
        for name, resource in translated("everything")["Resources"].items()
        if resource["Type"] != "AWS::Lambda::Version"  # SAM retains these for their aliases; they go with the function
    }

    assert {name for name, policy in policies.items() if policy == "Retain"} == {"Table"}
    assert {policies["UploadsBucket"], policies["ApiFunctionLogs"], policies["StreamFunctionLogs"]} == {"Delete"}


def test_a_stack_keeps_its_table_and_items_when_it_is_updated_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    defaults, capabilities = translated("defaults"), ["CAPABILITY_IAM"]
    newer = state_of(defaults, MoreLogs={"Type": "AWS::Logs::LogGroup"})
    with mock_aws():
        cloudformation, dynamodb = client("cloudformation"), client("dynamodb")
        s3, logs = client("s3"), client("logs")
        cloudformation.create_stack(StackName=STACK, TemplateBody=state_of(defaults), Capabilities=capabilities)
        table = outputs(cloudformation)["TableName"]
        key = {"pk": {"S": "KEY#a"}, "sk": {"S": "KEY"}}
        dynamodb.put_item(TableName=table, Item=key)
        before = len(logs.describe_log_groups()["logGroups"])

        cloudformation.update_stack(StackName=STACK, TemplateBody=newer, Capabilities=capabilities)
        assert len(logs.describe_log_groups()["logGroups"]) == before + 1
        assert outputs(cloudformation)["TableName"] == table
        assert dynamodb.get_item(TableName=table, Key=key)["Item"] == key

        assert len(s3.list_buckets()["Buckets"]) == 1
        cloudformation.delete_stack(StackName=STACK)
        assert s3.list_buckets()["Buckets"] == []
        assert dynamodb.get_item(TableName=table, Key=key)["Item"] == key
        with pytest.raises(dynamodb.exceptions.ClientError, match="DeletionProtection"):
            dynamodb.delete_table(TableName=table)


def outputs(cloudformation: Any) -> dict[str, str]:
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
