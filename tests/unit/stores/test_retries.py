"""What is retried, and after which pause, equals botocore's retry mode "standard"."""

from typing import Any

import pytest
from botocore.retries import standard

from tollgate.stores.dynamodb.errors import NO_CREDENTIALS, DynamoDBError
from tollgate.stores.dynamodb.retries import THROTTLING_CODES, THROTTLING_PAUSE, TRANSIENT_PAUSE, max_pause

BOTOCORE: Any = standard
TRANSIENT_CODES = BOTOCORE.TransientRetryableChecker._TRANSIENT_ERROR_CODES


@pytest.mark.parametrize("code", BOTOCORE.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
def test_throttling_is_retried_after_a_long_pause(code: str) -> None:
    assert max_pause(DynamoDBError("", code=code, status=400)) == THROTTLING_PAUSE


def test_no_other_code_is_taken_for_throttling() -> None:
    assert set(BOTOCORE.ThrottledRetryableChecker._THROTTLED_ERROR_CODES) == THROTTLING_CODES


def test_too_many_requests_is_throttling() -> None:
    assert max_pause(DynamoDBError("", status=429)) == THROTTLING_PAUSE


@pytest.mark.parametrize("status", [0, *BOTOCORE.TransientRetryableChecker._TRANSIENT_STATUS_CODES])
def test_failure_of_the_server_is_retried_after_a_short_pause(status: int) -> None:
    assert max_pause(DynamoDBError("", status=status)) == TRANSIENT_PAUSE


@pytest.mark.parametrize("code", sorted({*TRANSIENT_CODES} - THROTTLING_CODES))
def test_timeout_of_the_server_is_retried_after_a_short_pause(code: str) -> None:
    assert max_pause(DynamoDBError("", code=code, status=400)) == TRANSIENT_PAUSE


@pytest.mark.parametrize(
    "error",
    [
        DynamoDBError("", code="ValidationException", status=400),
        DynamoDBError("", status=413),
        DynamoDBError("", code=NO_CREDENTIALS),
    ],
)
def test_lasting_error_is_not_retried(error: DynamoDBError) -> None:
    assert max_pause(error) is None
