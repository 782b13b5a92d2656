"""Which errors of DynamoDB calls pass: what botocore's retry mode "standard" retries (botocore/retries/standard.py)."""

from tollgate.stores.dynamodb.errors import NO_CREDENTIALS, DynamoDBError

THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
THROTTLING_STATUS = 429
THROTTLING_PAUSE = 1.0  # seconds

TRANSIENT_CODES = frozenset({"RequestTimeout", "RequestTimeoutException"})
NO_RESPONSE = 0
TRANSIENT_STATUSES = frozenset({NO_RESPONSE, 500, 502, 503, 504})
TRANSIENT_PAUSE = 0.025


def max_pause(error: DynamoDBError) -> float | None:
    """The longest pause, in seconds, before the call is made again; None if it would fail again."""
    if error.code == NO_CREDENTIALS:
        return None
    if error.code in THROTTLING_CODES or error.status == THROTTLING_STATUS:
        return THROTTLING_PAUSE
    if error.code in TRANSIENT_CODES or error.status in TRANSIENT_STATUSES:
        return TRANSIENT_PAUSE
    return None
