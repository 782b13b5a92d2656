"""SAM's own commands: questions and saved answers of a deployment to moto, and the folder that the wheel writes."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from support.aws_account import REGION, aws_account
from support.installed_wheel import install_wheel
from support.running_gateway import CHECKOUT

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..Serverless..Function")
"""moto makes no resources of SAM's types; it keeps the stack and its parameters."""

SAM = CHECKOUT / ".sam-venv/bin"
BUILT = CHECKOUT / ".build/sam"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Architecture: { Type: String, Default: arm64 }
  MemorySize: { Type: Number, Default: 256 }
  CatalogFile: { Type: String, Default: "" }
Resources:
  Function:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: makefile }
    Properties: { Handler: x.y, Runtime: python3.13, CodeUri: src/, Architectures: [!Ref Architecture] }
  Logs:
    Type: AWS::Logs::LogGroup
"""
MAKEFILE = "build-Function:\n\tpython3 ../scripts/build_artifact.py architecture > $(ARTIFACTS_DIR)/built_for\n"
MANAGED = {
    "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}},
}
"""SAM's own stack, in the form that SAM looks for; moto gives a stack from a change set no tags."""
DEPLOY = """
import sys
from pathlib import Path
from tollgate.handler.cli.sam import deploy_folder
sys.exit(deploy_folder(Path.cwd(), sys.argv[1] or None, sys.argv[2:]))
"""
STACK_AND_REGION, CONFIRM_IAM_ROLLBACK, SAVE_FILE_ENV, CHANGES = ["", ""], ["", "", ""], ["", "", ""], ["y"]
"""Answers to SAM's questions: an empty one takes what SAM proposes."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Mapping[str, str]]:
    with aws_account(host="localhost") as env:
        client(env, "cloudformation").create_stack(
            StackName="aws-sam-cli-managed-default",
            TemplateBody=json.dumps(MANAGED),
            Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
        )
        quick = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.1"}
        yield {"PATH": f"{SAM}:{os.environ['PATH']}", **env, **quick}


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A small deployment with the project's settings and build script; its stack is named as the test."""
    settings = (CHECKOUT / "samconfig.toml").read_text()
    assert 'stack_name = "tollgate"' in settings
    stack = request.node.name.replace("_", "-")
    (tmp_path / "samconfig.toml").write_text(settings.replace('"tollgate"', f'"{stack}"'))
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    for name in ("src", "scripts"):
        (tmp_path / name).mkdir()
    (tmp_path / "src/Makefile").write_text(MAKEFILE)
    shutil.copy(CHECKOUT / "scripts/build_artifact.py", tmp_path / "scripts")
    return tmp_path


def client(env: Mapping[str, str], service: str) -> Any:
    return cast(Any, boto3).client(
        service, region_name=REGION, endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id="k", aws_secret_access_key="s",
    )  # fmt: skip


def deploy(
    env: Mapping[str, str], folder: Path, *options: str, arch: str = "", answers: list[str] | None = None
) -> str:
    """Deploy as `tollgate deploy --run` does; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", DEPLOY, arch, *options],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
        input="".join(f"{answer}\n" for answer in answers or ()),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parameters(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The parameters of the stack that the folder was deployed to."""
    name = folder.joinpath("samconfig.toml").read_text().split('stack_name = "')[1].split('"')[0]
    (stack,) = client(env, "cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}


def built_for(folder: Path) -> str:
    return (folder / ".aws-sam/build/Function/built_for").read_text().strip()


def test_first_deployment_asks_and_later_ones_keep_the_answers(aws: Mapping[str, str], folder: Path) -> None:
    answers = [*STACK_AND_REGION, "", "512", "", *CONFIRM_IAM_ROLLBACK, *SAVE_FILE_ENV, *CHANGES]
    first = deploy(aws, folder, arch="x86_64", answers=answers)
    assert "Parameter MemorySize" in first
    assert "where Enter ends the deployment" in first
    expected = {"Architecture": "x86_64", "MemorySize": "512", "CatalogFile": ""}
    assert (parameters(aws, folder), built_for(folder)) == (expected, "x86_64")

    (folder / "template.yaml").write_text(TEMPLATE + "  Other:\n    Type: AWS::Logs::LogGroup\n")
    second = deploy(aws, folder, answers=CHANGES)
    assert "Parameter MemorySize" not in second
    assert "where Enter ends the deployment" not in second
    assert (parameters(aws, folder), built_for(folder)) == (expected, "x86_64")
    assert "No changes to deploy" in deploy(aws, folder)

    settings = folder / "samconfig.toml"
    settings.write_text(settings.read_text().replace('MemorySize=\\"512\\"', 'MemorySize=\\"1024\\"'))
    deploy(aws, folder, "--no-confirm-changeset")
    assert parameters(aws, folder) == {**expected, "MemorySize": "1024"}


def test_processor_that_is_chosen_in_the_dialogue_gets_a_build_of_its_own(aws: Mapping[str, str], folder: Path) -> None:
    answers = [*STACK_AND_REGION, "x86_64", "", "", *CONFIRM_IAM_ROLLBACK, *SAVE_FILE_ENV]

    printed = deploy(aws, folder, "--no-confirm-changeset", answers=answers)

    assert "building and deploying again" in printed
    assert parameters(aws, folder)["Architecture"] == built_for(folder) == "x86_64"


def test_folder_of_the_wheel_builds_the_same_functions(aws: Mapping[str, str], tmp_path: Path) -> None:
    wheel = install_wheel(tmp_path)
    subprocess.run([wheel.tollgate, "deploy", "--out", "folder"], env=wheel.env, cwd=tmp_path, check=True)

    for words in (["validate", "--lint"], ["build"]):
        done = subprocess.run(["sam", *words], cwd=tmp_path / "folder", env=aws, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    built = tmp_path / "folder/.aws-sam/build"
    files = [path.relative_to(BUILT) for path in BUILT.rglob("*") if path.is_file()]
    assert files
    assert set(files) == {path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    assert [name for name in files if not filecmp.cmp(BUILT / name, built / name, shallow=False)] == []
