"""Writes template.yaml as CloudFormation gets it from SAM, for several sets of parameters; runs in .sam-venv."""

import json
import sys
from pathlib import Path

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555"
EVERYTHING = {
    "AlarmEmail": "someone@example.com",
    "CredentialsPath": "/aws/reference/secretsmanager/tollgate",
    "CatalogFile": "my-catalog.toml",
    "EnableRestStreaming": "on",
    "DomainName": "llm.example.com",
    "CertificateArn": f"arn:aws:acm:{REGION}:123456789012:certificate/1",
    "KmsKeyArn": KEY,
    "ReservedConcurrency": "50",
    "Rollout": "Canary10Percent5Minutes",
    "SnapStart": "PublishedVersions",
    "Traces": "xray",
}
NOTHING = {"Uploads": "off", "Dashboard": "off", "DeletionProtection": "false"}
INSTANCES = {"CapacityProviderArn": f"arn:aws:lambda:{REGION}:123456789012:capacity-provider:streams"}
PARAMETERS = {
    "defaults": {},
    "everything": EVERYTHING,
    "nothing": NOTHING,
    "instances": INSTANCES,
    "everything-on-instances": {**EVERYTHING, **INSTANCES},
}


def main() -> None:
    """Write NAME.json, and its parameters NAME.parameters.json, into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    source = Path("template.yaml").read_text("utf-8")
    for name, parameters in PARAMETERS.items():
        template = yaml_parse(source)
        _upload(template)
        translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
        translated = translator.translate(template, parameters)
        (folder / f"{name}.json").write_text(json.dumps(translated, indent=1), "utf-8")
        (folder / f"{name}.parameters.json").write_text(json.dumps(parameters), "utf-8")


def _upload(template: dict) -> None:
    """Name archives in a bucket in place of folders, as `sam package` does before SAM translates."""
    template["Globals"]["Function"]["CodeUri"] = "s3://archives/function.zip"
    template["Resources"]["StreamingLayer"]["Properties"]["ContentUri"] = "s3://archives/layer.zip"


if __name__ == "__main__":
    main()
