"""The commands that remove a deployment, as docs/operating.md has them, on a stack in moto with the state it holds."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from support.aws_account import REGION, aws_account
from support.running_gateway import CHECKOUT
from template.conftest import translated
from template.test_upgrade import state_of

SAMS_BUCKET = "archives-of-sam"
ARCHIVES = {"tollgate/function", "another/function"}
"""What SAM uploaded, under the name of the stack that it is of."""


@pytest.fixture
def aws() -> Iterator[Mapping[str, str]]:
    with aws_account(host="localhost") as env:
        s3 = client(env, "s3")
        s3.create_bucket(Bucket=SAMS_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for archive in ARCHIVES:
            s3.put_object(Bucket=SAMS_BUCKET, Key=archive)
        client(env, "cloudformation").create_stack(
            StackName="tollgate", TemplateBody=state_of(translated("defaults")), Capabilities=["CAPABILITY_IAM"]
        )
        yield {"PATH": os.environ["PATH"], "SAM_CLI_TELEMETRY": "0", **env}


def client(env: Mapping[str, str], service: str) -> Any:
    return cast(Any, boto3).client(
        service, region_name=REGION, endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id="k", aws_secret_access_key="s",
    )  # fmt: skip


def test_removal_keeps_the_table_and_other_applications_archives(aws: Mapping[str, str], tmp_path: Path) -> None:
    dynamodb = client(aws, "dynamodb")
    (table,) = dynamodb.list_tables()["TableNames"]
    key = {"pk": {"S": "KEY#a"}, "sk": {"S": "KEY"}}
    dynamodb.put_item(TableName=table, Item=key)

    command = ["delete", "--stack-name", "tollgate", "--s3-bucket", SAMS_BUCKET, "--s3-prefix", "tollgate"]
    done = subprocess.run(
        [CHECKOUT / ".sam-venv/bin/sam", *command, "--no-prompts"],
        cwd=tmp_path, env=aws, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    stacks = client(aws, "cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]
    assert stacks == []
    assert client(aws, "logs").describe_log_groups()["logGroups"] == []
    assert [bucket["Name"] for bucket in client(aws, "s3").list_buckets()["Buckets"]] == [SAMS_BUCKET]
    left = client(aws, "s3").list_objects_v2(Bucket=SAMS_BUCKET)["Contents"]
    assert {each["Key"] for each in left} == {"another/function"}
    assert dynamodb.get_item(TableName=table, Key=key)["Item"] == key

    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    assert dynamodb.list_tables()["TableNames"] == []
