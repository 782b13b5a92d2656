"""One line per request and one set of metrics: what is in them, and what never is.

Each test runs a process of its own, since that is what writes to standard output.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[3]
START = """
from decimal import Decimal
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.metering import Cost, UsageRecord
from tollgate.gateway.types import Usage
from tollgate.handler.telemetry import Telemetry

def record(**more):
    fields = dict(
        request_id="req_1", key_id="k", model="m", started_at=5.0, streamed=True, status=200, provider="p",
        upstream_model="up", finish_reason="stop", error_code=None, latency_ms=30, time_to_first_token_ms=10,
        upstream_ms=20, usage=Usage(9, 3, 4), cost=Cost(Decimal("0.000036"), "catalog"),
    )
    return UsageRecord(**{**fields, **more})

def tell(telemetry, trace, **more):
    told = dict(method="POST", path="/v1/x", status=200, error_code=None, ms=31)
    telemetry.request(trace, **{**told, **more})

quiet, loud = Telemetry("INFO", None), Telemetry("INFO", "Tollgate")
"""


def written(code: str) -> list[dict[str, Any]]:
    """What the code writes, line by line; each is JSON."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + code],
        env={"PYTHONPATH": str(CHECKOUT), "POWERTOOLS_DEV": "false"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return [json.loads(line) for line in ran.stdout.removesuffix("\n").split("\n") if line]


def test_request_is_one_line() -> None:
    (line,) = written('tell(quiet, RequestContext("req_1", 1.0, record=record()))')
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
        "cost_usd": "0.000036",
        "cost_source": "catalog",
    }
    assert {name: line.get(name) for name in expected} == expected
    assert line["timestamp"].endswith(("Z", "+00:00"))


def test_request_that_was_never_admitted_has_its_status_and_time() -> None:
    (line,) = written('tell(loud, RequestContext("req_1", 1.0), status=401, error_code="invalid_api_key")')
    assert (line["status"], line["error_code"], line["latency_ms"]) == (401, "invalid_api_key", 31)
    assert "model" not in line


def test_what_is_not_known_is_left_out_and_not_zero() -> None:
    (line,) = written(
        'tell(quiet, RequestContext("r", 1.0, record=record(usage=None, cost=Cost(None, "unknown"), upstream_ms=None)))'
    )
    assert not {"input_tokens", "output_tokens", "cost_usd", "upstream_ms"} & set(line)
    assert line["cost_source"] == "unknown"


def test_record_that_the_store_did_not_take_is_an_error_line_that_holds_it() -> None:
    (line,) = written(
        'tell(quiet, RequestContext("req_1", 1.0, record=record(), unsettled=StoreUnavailableError("at 10.0.0.1")))'
    )
    assert (line["level"], line["settle_error"], line["input_tokens"]) == ("ERROR", "store_unavailable", 9)
    assert "10.0.0.1" not in json.dumps(line)


@pytest.mark.parametrize("path", ["/v1/\\n{}", "/\\r", "/\\u2028", '/"'])
def test_line_stays_one_line_whatever_the_path(path: str) -> None:
    lines = written(f"tell(quiet, RequestContext('req_1', 1.0), path='{path}')")
    assert len(lines) == 1


def test_fault_is_told_by_its_kind_and_place_without_its_words() -> None:
    (line,) = written(
        """
def fail(prompt):
    raise ValueError(f"cannot say {prompt}")

try:
    fail("the client's secret")
except ValueError as error:
    quiet.fault("req_1", error)
"""
    )
    assert (line["level"], line["request_id"], line["error_type"]) == ("ERROR", "req_1", "ValueError")
    assert line["frames"][-1].endswith(" fail")
    assert "secret" not in json.dumps(line)
    assert not {"exception", "exception_name", "stack_trace"} & set(line)


def test_fault_from_the_deep_has_its_last_frames_only() -> None:
    (line,) = written(
        """
def down(n):
    return down(n - 1) if n else 1 / 0

try:
    down(100)
except ZeroDivisionError as error:
    quiet.fault("req_1", error)
"""
    )
    assert len(line["frames"]) == 12


def metrics(code: str) -> list[dict[str, Any]]:
    return [line for line in written(code) if "_aws" in line]


def values(emf: dict[str, Any]) -> dict[str, float]:
    """Every metric's value, the format checked on the way (AWS: "Specification: Embedded metric format")."""
    (directive,) = emf["_aws"]["CloudWatchMetrics"]
    assert isinstance(emf["_aws"]["Timestamp"], int)
    assert directive["Namespace"] == "Tollgate"
    (dimensions,) = directive["Dimensions"]
    assert set(dimensions) == {"operation", "model", "provider", "service"}
    assert all(isinstance(emf[name], str) for name in dimensions)
    got: dict[str, float] = {}
    for definition in directive["Metrics"]:
        value = emf[definition["Name"]]
        assert definition["Unit"] in {"Count", "Milliseconds"}
        got[definition["Name"]] = value[0] if isinstance(value, list) else value
    return got


def test_metrics_are_valid_emf() -> None:
    (emf,) = metrics('tell(loud, RequestContext("req_1", 1.0, record=record()))')
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


def test_metrics_leave_out_what_is_not_known() -> None:
    (emf,) = metrics(
        'tell(loud, RequestContext("r", 1.0, record=record(usage=None, cost=Cost(None, "unknown"), upstream_ms=None,'
        ' time_to_first_token_ms=None, error_code="timeout")))'
    )
    assert values(emf) == {"requests": 1, "errors": 1, "latency_ms": 30}


def test_two_requests_do_not_share_their_metrics() -> None:
    first, second = metrics(
        'tell(loud, RequestContext("a", 1.0, record=record()))\n'
        'tell(loud, RequestContext("b", 1.0, record=record(model="n", usage=Usage(1, 1))))'
    )
    assert (first["model"], values(first)["input_tokens"]) == ("m", 9)
    assert (second["model"], values(second)["input_tokens"]) == ("n", 1)


def test_without_a_namespace_there_are_no_metrics() -> None:
    assert metrics('tell(quiet, RequestContext("req_1", 1.0, record=record()))') == []


def test_a_path_is_told_without_keys_and_not_at_any_length() -> None:
    code = 'tell(quiet, RequestContext("req_1", 1.0), path="/v1/models/sk-tg-0123456789ab-secret/x" + "y" * 50_000)'
    (line,) = written(code)
    assert line["path"].startswith("/v1/models/[redacted]/xyyy")
    assert len(line["path"]) == 200
