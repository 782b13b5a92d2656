"""Examines the table and the URL of a deployment, for `tollgate doctor`."""

import json
import time
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.aws import aws_client, aws_errors

if TYPE_CHECKING:
    import httpx

INDEX = "listed"
SLOW_FIRST_BYTE = 5.0
"""Seconds; a cold start takes about one."""
CLOCK_SKEW = 60.0
"""Seconds. AWS refuses signatures that are five minutes off, and tokens are dated before."""


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


def _either(what: str, good: bool, found: str, problem: str, advice: str) -> Finding:
    return Finding(what, "ok", found) if good else Finding(what, "broken", problem, advice)


def _readable(client: Any, table: str) -> Finding:
    try:
        with aws_errors():
            client.get_item(TableName=table, Key={"pk": {"S": "KEY#doctor"}, "sk": {"S": "KEY"}})
    except ConfigurationError as error:
        return Finding("permission to read keys", "broken", str(error), "Your role needs dynamodb:GetItem.")
    return Finding("permission to read keys", "ok", "you may read the table")


def check_url(base_url: str, api_key: str, model: str) -> list[Finding]:
    """Whether the gateway answers, what its clock says, and, with a key, whether it streams."""
    import httpx

    base_url = base_url.rstrip("/")
    with httpx.Client(timeout=60) as client:
        started = time.monotonic()
        try:
            response = client.get(f"{base_url.removesuffix('/v1')}/health")
        except httpx.HTTPError as error:
            advice = "Is the URL that of the output StreamBaseUrl, and may this machine reach it?"
            return [Finding("URL", "broken", f"{base_url} does not answer: {error}", advice)]
        took = time.monotonic() - started
        if response.status_code != 200:
            advice = "Read the function's log: tollgate logs --log-group with the output StreamLogGroup."
            return [Finding("URL", "broken", f"/health answers HTTP {response.status_code}", advice)]
        found = [Finding("URL", "ok", f"/health answered in {1000 * took:.0f} ms"), _clock(response)]
        if not api_key:
            return [*found, Finding("stream", "warning", "not tried", "Give a key: --api-key or TOLLGATE_API_KEY.")]
        return [*found, _stream(client, base_url, api_key, model)]


def _clock(response: "httpx.Response") -> Finding:
    date = response.headers.get("date")
    if date is None:
        return Finding("clock", "warning", "the response has no date", "")
    skew = time.time() - parsedate_to_datetime(date).timestamp()
    if abs(skew) > CLOCK_SKEW:
        return Finding("clock", "broken", f"this machine is {skew:+.0f} s off", "Set its clock, such as by NTP.")
    return Finding("clock", "ok", f"within {CLOCK_SKEW:.0f} s of the gateway's")


def _stream(client: "httpx.Client", base_url: str, api_key: str, model: str) -> Finding:
    """Whether a stream arrives in parts, and when its first byte does."""
    import httpx

    body = {"model": model, "messages": [{"role": "user", "content": "Count from 1 to 20."}], "stream": True}
    started, arrivals, last = time.monotonic(), list[float](), b""
    try:
        headers = {"authorization": f"Bearer {api_key}"}
        with client.stream("POST", f"{base_url}/chat/completions", json=body, headers=headers) as response:
            for part in response.iter_raw():
                arrivals.append(time.monotonic() - started)
                last = part
            status = response.status_code
    except httpx.HTTPError as error:
        return Finding("stream", "broken", f"it broke off: {error}", "Read the line of the request in the log.")
    if status != 200:
        return Finding("stream", "broken", f"HTTP {status}: {_message(last)}", "The message says what is missing.")
    first = f"first byte after {1000 * arrivals[0]:.0f} ms, {len(arrivals)} parts"
    if len(arrivals) == 1:
        advice = "Use StreamBaseUrl; ApiBaseUrl and some proxies return a stream as a whole."
        return Finding("stream", "warning", f"all at once, after {1000 * arrivals[0]:.0f} ms", advice)
    if arrivals[0] > SLOW_FIRST_BYTE:
        return Finding("stream", "warning", first, "See 'The first token is slow' in docs/operating.md.")
    return Finding("stream", "ok", first)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
