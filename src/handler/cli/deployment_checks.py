"""Examines the stack, the table and the clock of a deployment, for `tollgate doctor`."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.aws import aws_client, aws_errors

INDEX = "listed"
CLOCK_SKEW = 60.0
"""Seconds. AWS refuses signatures that are five minutes off, and what is dated before."""
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
OUTPUTS = ("TableName", "CredentialsPath", "StreamBaseUrl", "StreamLogGroup")
"""What the doctor examines further."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined. `state` is `ok`, `warning` or `broken`; `advice` says what to do about it."""

    what: str
    state: str
    found: str
    advice: str = ""

    def row(self) -> tuple[str, str, str, str]:
        """The finding as a row of a table."""
        return self.what, self.state, self.found, self.advice

    def to_json(self) -> dict[str, str]:
        """The finding as JSON."""
        return asdict(self)


def check_table(name: str, region: str | None) -> list[Finding]:
    """Whether the table is there, with its index, its expiry of items, and the permission to read keys."""
    client = aws_client("dynamodb", region)
    try:
        with aws_errors():
            table: Any = client.describe_table(TableName=name)["Table"]
            expiry: Any = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    except ConfigurationError as error:
        advice = "Is it the right account, region and name? The stack's output TableName has the name."
        return [Finding("table", "broken", str(error), advice)]
    active = table["TableStatus"] == "ACTIVE"
    indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", ())}
    expires = expiry["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    deploy = "Deploy the template again."
    return [
        Finding("table", "ok" if active else "broken", f"{name} is {table['TableStatus']}", "" if active else "Wait."),
        _either("index of keys", INDEX in indexes, f"{INDEX} exists", f"there is no {INDEX}", deploy),
        _either("expiry of items", expires, "time to live is on", "old items stay and cost", deploy),
        _readable(client, name),
    ]


def check_stack(name: str, region: str | None) -> tuple[list[Finding], Mapping[str, str]]:
    """Whether the stack is deployed, and its outputs."""
    client = aws_client("cloudformation", region)
    try:
        with aws_errors():
            stack: Any = client.describe_stacks(StackName=name)["Stacks"][0]
    except ConfigurationError as error:
        advice = "Is it the right account, region (--region) and name? Else: make deploy, or tollgate deploy --run."
        return [Finding("stack", "broken", str(error), advice)], {}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    status = stack["StackStatus"]
    if status not in SETTLED:
        advice = f"The reason: aws cloudformation describe-stack-events --stack-name {name}. Then deploy again."
        found = Finding("stack", "warning", status, advice)
    elif lacking := [output for output in OUTPUTS if output not in outputs]:
        advice = "Is it a stack of Tollgate? Then deploy it again."
        found = Finding("stack", "broken", f"it has no output {', '.join(lacking)}", advice)
    else:
        found = Finding("stack", "ok", status)
    return [found], outputs


def check_clock(region: str | None) -> Finding:
    """This machine's clock against AWS's, by an unsigned request: a signed one fails if the clock is off."""
    import httpx

    endpoint = aws_client("dynamodb", region).meta.endpoint_url
    try:
        response = httpx.get(endpoint, timeout=10)
    except httpx.HTTPError as error:
        return Finding("clock", "warning", f"{endpoint} does not answer: {error}", "May this machine reach AWS?")
    return clock_finding(response.headers.get("date"), "AWS's")


def clock_finding(date: str | None, whose: str) -> Finding:
    """This machine's clock against the `Date` of a response."""
    if date is None:
        return Finding("clock", "warning", "the response has no date", "A proxy may have removed it.")
    skew = time.time() - parsedate_to_datetime(date).timestamp()
    if abs(skew) > CLOCK_SKEW:
        return Finding(
            "clock", "broken", f"this machine is {skew:+.0f} s off {whose}", "Set its clock, such as by NTP."
        )
    return Finding("clock", "ok", f"within {CLOCK_SKEW:.0f} s of {whose}")


def _either(what: str, good: bool, found: str, problem: str, advice: str) -> Finding:
    return Finding(what, "ok", found) if good else Finding(what, "broken", problem, advice)


def _readable(client: Any, table: str) -> Finding:
    try:
        with aws_errors():
            client.get_item(TableName=table, Key={"pk": {"S": "KEY#doctor"}, "sk": {"S": "KEY"}})
    except ConfigurationError as error:
        return Finding("permission to read keys", "broken", str(error), "Your role needs dynamodb:GetItem.")
    return Finding("permission to read keys", "ok", "you may read the table")
