"""What SAM makes of the template: permissions, URLs, outputs, tags, and references between resources."""

import json
from collections.abc import Iterator
from typing import Any

from template.conftest import listed, translated

UNTAGGED = {
    "AWS::ApiGateway::BasePathMapping",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGatewayV2::Api",  # SAM writes its tags into the body
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",  # SAM's own; the stack's tags reach it (samconfig.toml)
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::IAM::RolePolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::Logs::QueryDefinition",
}
"""Types that take no tags in a template, or none from SAM."""
SAMS_OWN = {"CodeDeployServiceRole"}
BY_CHOICE = {
    "KeyPolicy": ("HasKey", {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"}, "KmsKeyArn"),
    "SecretsPolicy": ("HasSecrets", {"secretsmanager:GetSecretValue"}, "secret:${Path}/*"),
    "TracesPolicy": ("SendsToXRay", {"xray:PutTraceSegments"}, "*"),
    "AdminPolicy": ("HasAdminApi", {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"}, "Table"),
    "UploadsPolicy": ("HasUploads", {"s3:PutObject", "s3:GetObject"}, "${UploadsBucket.Arn}/*"),
}
"""What the role may do beside its own statements, under which condition, and a part of the resource's name."""
OUTPUTS = {
    "StreamBaseUrl": None,
    "ApiBaseUrl": None,
    "TableName": None,
    "CredentialsPath": None,
    "StreamLogGroup": None,
    "RestBaseUrl": "HasRestApi",
    "RestDomainTarget": "HasDomain",
}
"""The outputs that the documents name, each with its condition."""


def _statements(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", ()):
                yield from policy["PolicyDocument"]["Statement"]
        if resource["Type"] == "AWS::IAM::RolePolicy":
            yield from properties["PolicyDocument"]["Statement"]


def test_no_statement_allows_every_action_or_every_resource(template: dict[str, Any]) -> None:
    statements = list(_statements(template))

    assert statements
    for statement in statements:
        assert not any("*" in action for action in listed(statement["Action"]))
        # X-Ray's action knows no resources (Service Authorization Reference, "AWS X-Ray").
        assert "*" not in listed(statement["Resource"]) or statement["Action"] == "xray:PutTraceSegments"


def test_what_the_role_may_do_by_choice_of_the_owner(template: dict[str, Any]) -> None:
    policies = {
        name: resource for name, resource in template["Resources"].items() if resource["Type"] == "AWS::IAM::RolePolicy"
    }

    assert policies.keys() == BY_CHOICE.keys()
    for name, (condition, actions, resource) in BY_CHOICE.items():
        properties = policies[name]["Properties"]
        statements = properties["PolicyDocument"]["Statement"]
        assert (policies[name]["Condition"], properties["RoleName"]) == (condition, {"Ref": "FunctionRole"})
        assert {action for statement in statements for action in listed(statement["Action"])} == actions
        assert all(resource in json.dumps(statement["Resource"]) for statement in statements)


def test_every_resource_that_takes_tags_has_them(template: dict[str, Any]) -> None:
    untagged = {
        name: resource["Type"]
        for name, resource in template["Resources"].items()
        if name not in SAMS_OWN and resource["Type"] not in UNTAGGED
        if not {"application", "stage"} <= _tag_names(resource["Properties"].get("Tags", []))
    }

    assert untagged == {}


def _tag_names(tags: list[dict[str, str]] | dict[str, str]) -> set[str]:
    return {str(tag) for tag in tags} if isinstance(tags, dict) else {tag["Key"] for tag in tags}


def test_the_body_of_the_http_api_has_its_tags() -> None:
    body = translated("defaults")["Resources"]["HttpApi"]["Properties"]["Body"]

    assert {"application", "stage"} <= {tag["name"] for tag in body["tags"]}


def test_strangers_may_call_only_the_function_url_of_the_alias(template: dict[str, Any]) -> None:
    open_to_all = [
        resource
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Permission" and resource["Properties"]["Principal"] == "*"
    ]

    assert len(open_to_all) == 4  # two actions for each of the two streaming functions, one of which exists
    for permission in open_to_all:
        properties = permission["Properties"]
        by_url = properties.get("FunctionUrlAuthType") == "NONE" or properties.get("InvokedViaFunctionUrl") is True
        assert by_url
        assert properties["FunctionName"]["Ref"].endswith("Aliaslive")


def test_function_urls_stream_from_the_alias_and_the_gateway_checks_the_key(template: dict[str, Any]) -> None:
    urls = {
        resource["Condition"]: resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Url"
    }

    assert urls.keys() == {"OnDemand", "OnInstances"}
    for properties in urls.values():
        assert (properties["AuthType"], properties["InvokeMode"]) == ("NONE", "RESPONSE_STREAM")
        assert properties["TargetFunctionArn"]["Ref"].endswith("StreamFunctionAliaslive")


def test_each_api_may_call_its_own_function_and_nobody_else_may(template: dict[str, Any]) -> None:
    permissions = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Permission" and resource["Properties"]["Principal"] != "*"
    }

    assert {each["Principal"] for each in permissions.values()} == {"apigateway.amazonaws.com"}
    called = {
        api: permission["FunctionName"]
        for permission in permissions.values()
        for api in ("HttpApi", "RestApi")
        if api in json.dumps(permission["SourceArn"])
    }
    aliases = [{"Ref": "StreamFunctionAliaslive"}, {"Ref": "ManagedStreamFunctionAliaslive"}]
    assert called == {"HttpApi": {"Ref": "ApiFunction"}, "RestApi": {"Fn::If": ["OnDemand", *aliases]}}
    assert len(permissions) == len(called)
    assert all(":execute-api:" in json.dumps(each["SourceArn"]) for each in permissions.values())


def test_the_outputs_are_those_of_the_documents(template: dict[str, Any]) -> None:
    assert {name: output.get("Condition") for name, output in template["Outputs"].items()} == OUTPUTS
    url = template["Outputs"]["StreamBaseUrl"]["Value"]["Fn::If"]
    assert url == [
        "OnDemand",
        *({"Fn::Sub": f"${{{name}StreamFunctionUrl.FunctionUrl}}v1"} for name in ("", "Managed")),
    ]
    assert template["Outputs"]["TableName"]["Value"] == {"Ref": "Table"}


def test_a_rollout_exists_only_with_the_function_that_it_rolls_out(template: dict[str, Any]) -> None:
    group = template["Resources"]["StreamFunctionDeploymentGroup"]
    alias = template["Resources"]["StreamFunctionAliaslive"]

    assert group["Condition"] == alias["Condition"] == "OnDemand"
    assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]
    with_alarm, without = group["Properties"]["AlarmConfiguration"]["Fn::If"][1:]
    assert with_alarm == {"Enabled": True, "Alarms": [{"Name": {"Ref": "FaultsAlarm"}}]}
    assert without == {}


def test_the_rollout_that_the_owner_chose_is_used() -> None:
    for name, expected in (("defaults", "AllAtOnce"), ("everything", "Canary10Percent5Minutes")):
        group = translated(name)["Resources"]["StreamFunctionDeploymentGroup"]["Properties"]

        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": expected}


def test_the_dashboard_is_json_and_searches_the_metrics_of_its_own_stack() -> None:
    dashboard = translated("defaults")["Resources"]["OperationsDashboard"]["Properties"]
    text = dashboard["DashboardBody"]["Fn::Sub"][0]

    searches = [
        metric[0]["expression"]
        for widget in json.loads(text)["widgets"]
        for metric in widget["properties"].get("metrics", ())
        if isinstance(metric[0], dict)
    ]
    assert searches
    for search in searches:
        assert search.startswith('SEARCH(\'{"${AWS::StackName}",operation,model,provider,service} MetricName="')
        assert "\\" not in search
