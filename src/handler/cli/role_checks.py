"""Examines what the functions' role may do, as IAM simulates it, for `tollgate doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.aws import aws_client, aws_errors
from tollgate.handler.cli.deployment_checks import Finding
from tollgate.handler.cli.secret_store import SECRETS_MANAGER

WHAT = "permissions of the functions"
ARN = "arn:{partition}:"
ROLE_ACTIONS = (
    (("dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:PutItem"), "{table}"),
    (("dynamodb:Query",), "{table}/index/listed"),
    (("ssm:GetParameter",), ARN + "ssm:{region}:{account}:parameter{path}/NAME"),
    (("logs:CreateLogStream", "logs:PutLogEvents"), ARN + "logs:{region}:{account}:log-group:{log_group}:*"),
)
"""What every function does, on what: the statements of FunctionRole in template.yaml."""
SECRETS = (("secretsmanager:GetSecretValue",), ARN + "secretsmanager:{region}:{account}:secret:{secrets}/NAME-AbCdEf")
UPLOADS = (("s3:PutObject", "s3:GetObject"), ARN + "s3:::{bucket}/upload")
MODELS = (
    ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"),
    ARN + "bedrock:{region}::foundation-model/m",
)
"""What only an owner needs who calls models of Bedrock."""


@dataclass(frozen=True, slots=True)
class Role:
    """The role of the functions, and the names of what it is for."""

    arn: str
    names: Mapping[str, str]

    def denied(self, iam: Any, actions: tuple[str, ...], resource: str) -> list[str]:
        """The actions that IAM would refuse. Raises ConfigurationError if IAM refuses to say."""
        resource = resource.format(**self.names)
        items = {  # usage, which the role may write, as it may not every item
            "ContextKeyName": "dynamodb:LeadingKeys",
            "ContextKeyValues": ["USE#doctor"],
            "ContextKeyType": "stringList",
        }
        with aws_errors():
            results: Any = iam.simulate_principal_policy(
                PolicySourceArn=self.arn, ActionNames=[*actions], ResourceArns=[resource], ContextEntries=[items]
            )["EvaluationResults"]
        return [f"{each['EvalActionName']} on {resource}" for each in results if each["EvalDecision"] != "allowed"]


def check_role(stack: str, outputs: Mapping[str, str], region: str | None) -> list[Finding]:
    """Whether the role of the functions may do what they do, with every policy that applies to it."""
    try:
        role = _role(stack, outputs, region)
        iam = aws_client("iam", region)
        denied = [each for actions, resource in _needed(role) for each in role.denied(iam, actions, resource)]
        bedrock = role.denied(iam, *MODELS)
    except KeyError as error:
        return [Finding(WHAT, "warning", f"the stack has no {error}", "Deploy the template again.")]
    except ConfigurationError as error:
        advice = "Your own role needs iam:SimulatePrincipalPolicy and cloudformation:DescribeStackResources for this."
        return [Finding(WHAT, "warning", f"not examined: {error}", advice)]
    if denied:
        advice = "Deploy the template again; look for a permissions boundary or a policy of the organization."
        return [Finding(WHAT, "broken", f"refused: {', '.join(denied)}", advice)]
    found = [Finding(WHAT, "ok", "the role may use the table, credentials and logs")]
    if bedrock:
        advice = "If you want its models: look for a permissions boundary or a policy of the organization."
        return [*found, Finding("permission for Bedrock", "warning", f"refused: {', '.join(bedrock)}", advice)]
    return [*found, Finding("permission for Bedrock", "ok", "the role may call models")]


def _role(stack: str, outputs: Mapping[str, str], region: str | None) -> Role:
    """The stack's role. Raises ConfigurationError, and KeyError if the stack lacks what the template has."""
    with aws_errors():
        listed: Any = aws_client("cloudformation", region).describe_stack_resources(StackName=stack)["StackResources"]
        table: Any = aws_client("dynamodb", region).describe_table(TableName=outputs["TableName"])["Table"]
    made: dict[str, str] = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}
    _, partition, _, its_region, account, _ = str(table["TableArn"]).split(":", 5)
    path = outputs["CredentialsPath"]
    names = {"table": table["TableArn"], "partition": partition, "region": its_region, "account": account}
    names |= {"path": path, "log_group": outputs["StreamLogGroup"], "bucket": made.get("UploadsBucket", "")}
    names["secrets"] = path.removeprefix(SECRETS_MANAGER) if path.startswith(SECRETS_MANAGER) else ""
    return Role(f"arn:{partition}:iam::{account}:role/{made['FunctionRole']}", names)


def _needed(role: Role) -> list[tuple[tuple[str, ...], str]]:
    """What the functions of this stack do beside Bedrock."""
    return [
        *ROLE_ACTIONS,
        *([SECRETS] if role.names["secrets"] else ()),
        *([UPLOADS] if role.names["bucket"] else ()),
    ]
