"""Telemetry: the log line and the metrics of a request, with all fields and no secrets.

Each test runs a process of its own and reads its standard output.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.waiting import LIMIT_SECONDS

CHECKOUT = Path(__file__).parents[3]
SETUP = """
from decimal import Decimal
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Limits, full
from tollgate.gateway.metering import AttemptSummary, Cost, GuardrailAction, UsageRecord
from tollgate.gateway.types import Usage
from tollgate.handler.telemetry import Telemetry

def record(**more):
    fields = dict(
        request_id="req_1", key_id="k", model="m", started_at=5.0, streamed=True, status=200, provider="p",
        upstream_model="up", finish_reason="stop", error_code=None, latency_ms=30, time_to_first_token_ms=10,
        upstream_ms=20, usage=Usage(9, 3, 4), cost=Cost(Decimal("0.000036"), "catalog"),
    )
    return UsageRecord(**{**fields, **more})

def log(to, context, **more):
    fields = dict(method="POST", path="/v1/x", status=200, error_code=None, ms=31)
    to.request(context, **{**fields, **more})

telemetry, metered = Telemetry("INFO", None), Telemetry("INFO", "Tollgate")
"""


def written(code: str) -> list[dict[str, Any]]:
    """The JSON lines that the code writes."""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SETUP + code],
        env={"PYTHONPATH": str(CHECKOUT), "POWERTOOLS_DEV": "false"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    return [json.loads(line) for line in process.stdout.removesuffix("\n").split("\n") if line]


def test_request_has_one_log_line() -> None:
    (line,) = written('log(telemetry, RequestContext("req_1", 1.0, record=record()))')
    expected = {
        "level": "INFO",
        "message": "request",
        "service": "tollgate",
        "request_id": "req_1",
        "method": "POST",
        "path": "/v1/x",
        "status": 200,
        "key_id": "k",
        "model": "m",
        "provider": "p",
        "upstream_model": "up",
        "streamed": True,
        "finish_reason": "stop",
        "error_code": None,
        "latency_ms": 30,
        "time_to_first_token_ms": 10,
        "upstream_ms": 20,
        "input_tokens": 9,
        "output_tokens": 3,
        "cached_tokens": 4,
        "cost_usd": 0.000036,
        "cost_source": "catalog",
    }
    assert {name: line.get(name) for name in expected} == expected
    assert line["timestamp"].endswith(("Z", "+00:00"))


def test_request_that_was_not_admitted_has_status_and_latency() -> None:
    (line,) = written('log(metered, RequestContext("req_1", 1.0), status=401, error_code="invalid_api_key")')
    assert (line["status"], line["error_code"], line["latency_ms"]) == (401, "invalid_api_key", 31)
    assert "model" not in line


def test_totals_are_what_alarms_need() -> None:
    (emf,) = metrics('log(metered, RequestContext("req_1", 1.0, record=record()))')
    counts = {"requests": 1, "errors": 0, "credential_errors": 0, "unsettled": 0}
    totals = {**counts, "time_to_first_token_ms": 10, "cost_usd": 0.000036}
    assert values(emf, totals=True) == totals
    (refused,) = metrics('log(metered, RequestContext("req_1", 1.0, record=record(error_code="upstream_auth")))')
    assert values(refused)["credential_errors"] == values(refused, totals=True)["credential_errors"] == 1


def test_credential_of_a_keys_own_that_is_refused_counts_for_no_alarm() -> None:
    failed = 'log(metered, RequestContext("req_1", 1.0, record=record(error_code="own_credential_refused")))'
    (emf,) = metrics(failed)
    assert (emf["error_code"], emf["requests"]) == ("own_credential_refused", 1)
    assert (values(emf, totals=True)["errors"], values(emf, totals=True)["credential_errors"]) == (0, 0)


def test_unknown_values_are_omitted() -> None:
    (line,) = written(
        'unknown = record(usage=None, cost=Cost(None, "unknown"), upstream_ms=None)\n'
        'log(telemetry, RequestContext("r", 1.0, record=unknown))'
    )
    assert not {"input_tokens", "output_tokens", "cost_usd", "upstream_ms"} & set(line)
    assert line["cost_source"] == "unknown"


def test_unsettled_record_is_an_error_line_with_its_usage() -> None:
    (line,) = written(
        'log(telemetry, RequestContext("req_1", 1.0, record=record(), unsettled=StoreUnavailableError("at 10.0.0.1")))'
    )
    assert (line["level"], line["settle_error"], line["input_tokens"]) == ("ERROR", "store_unavailable", 9)
    assert "10.0.0.1" not in json.dumps(line)


@pytest.mark.parametrize("path", ["/v1/\\n{}", "/\\r", "/\\u2028", '/"'])
def test_log_line_is_one_line_for_any_path(path: str) -> None:
    lines = written(f"log(telemetry, RequestContext('req_1', 1.0), path='{path}')")
    assert len(lines) == 1


def test_fault_has_type_and_location_but_no_message() -> None:
    (line,) = written(
        """
def fail(prompt):
    raise ValueError(f"cannot use {prompt}")

try:
    fail("the client's secret")
except ValueError as error:
    telemetry.fault("req_1", error)
"""
    )
    assert (line["level"], line["request_id"], line["error_type"]) == ("ERROR", "req_1", "ValueError")
    assert line["frames"][-1].endswith(" fail")
    assert "secret" not in json.dumps(line)
    assert not {"exception", "exception_name", "stack_trace"} & set(line)


def test_fault_of_a_deep_stack_has_only_its_last_frames() -> None:
    (line,) = written(
        """
def down(n):
    return down(n - 1) if n else 1 / 0

try:
    down(100)
except ZeroDivisionError as error:
    telemetry.fault("req_1", error)
"""
    )
    assert len(line["frames"]) == 12


def metrics(code: str) -> list[dict[str, Any]]:
    return [line for line in written(code) if "_aws" in line]


def values(emf: dict[str, Any], *, totals: bool = False) -> dict[str, float]:
    """The value of every metric, of the model or over all. Checks the format (AWS: "Specification: Embedded metric
    format")."""
    directive = emf["_aws"]["CloudWatchMetrics"][totals]
    assert isinstance(emf["_aws"]["Timestamp"], int)
    assert directive["Namespace"] == "Tollgate"
    (dimensions,) = directive["Dimensions"]
    assert set(dimensions) == {"service"} | (set() if totals else {"operation", "model", "provider"})
    assert all(isinstance(emf[name], str) for name in dimensions)
    found: dict[str, float] = {}
    for definition in directive["Metrics"]:
        value = emf[definition["Name"]]
        assert definition["Unit"] in {"Count", "Milliseconds"}
        found[definition["Name"]] = value[0] if isinstance(value, list) else value
    return found


def test_metrics_are_valid_emf() -> None:
    (emf,) = metrics('log(metered, RequestContext("req_1", 1.0, record=record()))')
    assert (emf["model"], emf["provider"], emf["service"]) == ("m", "p", "tollgate")
    expected: dict[str, float] = {
        "requests": 1,
        "errors": 0,
        "latency_ms": 30,
        "time_to_first_token_ms": 10,
        "upstream_ms": 20,
        "input_tokens": 9,
        "output_tokens": 3,
        "cached_tokens": 4,
        "cost_usd": 0.000036,
    }
    assert values(emf) == expected


def test_unknown_values_are_not_in_the_metrics() -> None:
    (emf,) = metrics(
        'log(metered, RequestContext("r", 1.0, record=record(usage=None, cost=Cost(None, "unknown"), upstream_ms=None,'
        ' time_to_first_token_ms=None, error_code="timeout")))'
    )
    assert values(emf) == {"requests": 1, "errors": 1, "latency_ms": 30}


def test_requests_have_separate_metrics() -> None:
    first, second = metrics(
        'log(metered, RequestContext("a", 1.0, record=record()))\n'
        'log(metered, RequestContext("b", 1.0, record=record(model="n", usage=Usage(1, 1))))'
    )
    assert (first["model"], values(first)["input_tokens"]) == ("m", 9)
    assert (second["model"], values(second)["input_tokens"]) == ("n", 1)


@pytest.mark.parametrize(
    ("model", "error_code", "dimension"),
    [("p/up", None, "p/up"), ("p/up", "model_not_found", "p/*"), ("m", "model_not_found", "m")],
)
def test_made_up_name_of_a_model_makes_no_metrics_of_its_own(
    model: str, error_code: str | None, dimension: str
) -> None:
    (emf,) = metrics(
        f'log(metered, RequestContext("a", 1.0, record=record(model="{model}", error_code={error_code!r})))'
    )
    assert (emf["model"], emf["upstream_model"]) == (dimension, "up")


def test_metrics_do_not_depend_on_the_log_level() -> None:
    (emf,) = written(
        'import logging\nlogging.getLogger("tollgate").setLevel("ERROR")\n'
        'log(metered, RequestContext("req_1", 1.0, record=record()))'
    )
    assert (values(emf)["requests"], emf["service"]) == (1, "tollgate")


def test_without_a_namespace_there_are_no_metrics() -> None:
    assert metrics('log(telemetry, RequestContext("req_1", 1.0, record=record()))') == []


def test_path_is_logged_without_keys_and_truncated() -> None:
    code = 'log(telemetry, RequestContext("req_1", 1.0), path="/v1/models/sk-tg-0123456789ab-secret/x" + "y" * 50_000)'
    (line,) = written(code)
    assert line["path"].startswith("/v1/models/[redacted]/xyyy")
    assert len(line["path"]) == 200


def documented() -> set[str]:
    """The fields that docs/operating.md names."""
    text = (CHECKOUT / "docs" / "operating.md").read_text("utf-8")
    section = text.partition("## Log lines")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_of_a_line_is_documented() -> None:
    lines = written(
        """
units = Usage(9, 3, images=1, seconds=2, characters=3, searches=4)
log(metered, RequestContext("req_1", 1.0, record=record(usage=units)))
log(metered, RequestContext("req_2", 1.0), status=401, error_code="invalid_api_key")
log(metered, RequestContext("req_3", 1.0, record=record(), unsettled=StoreUnavailableError("x")))
metered.fault("req_4", ValueError("x"))
tried = AttemptSummary("m", "p", "up", "timeout", 5, None)
unchecked = Account(KeyRecord("k", "h", "n", "active", 1), full(Limits(), 0), checked=False)
acted = [GuardrailAction("cards", "mask", "input")]
noted = record(attempts=(tried, tried), cost=Cost(Decimal("0.1"), "catalog", note="n"))
log(metered, RequestContext("req_5", 1.0, account=unchecked, guardrails=acted, record=noted))
metered.traces_lost("req_6", StoreUnavailableError("x"))
"""
    )

    assert {name for line in lines for name in line} == documented()
