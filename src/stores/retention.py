"""How long usage records are kept, and the range of request ids for a time range: ids sort by time."""

from tollgate.gateway.metering import UsageRecord

USAGE_KEPT = 30 * 24 * 3600
"""Seconds from the start of a request for which its usage record is kept."""

DELETED_KEPT = USAGE_KEPT + 24 * 3600
"""Seconds from the deletion of a key for which its id is kept: until its last usage record has expired, and a day more
for requests that were admitted while the store was not available."""

CLOCK_MARGIN = 60.0
"""Seconds. A request id is made shortly before the start time of the request is recorded."""


def request_ids(start: float, end: float) -> tuple[str, str]:
    """Bounds for the ids of all requests that started in [start, end), Unix seconds.

    A request id is `req_`, the time in milliseconds as 12 hex digits, and a suffix.
    """
    return _first_id(start - CLOCK_MARGIN), _first_id(end + CLOCK_MARGIN)


def is_kept(record: UsageRecord, now: float) -> bool:
    """Whether a usage record has not expired. Stores delete expired records later, each on its own schedule."""
    return int(record.started_at) + USAGE_KEPT > now


def expired_ids(now: float) -> tuple[str, str]:
    """Bounds for the ids of requests whose usage records may be deleted."""
    return request_ids(0, now - USAGE_KEPT - 2 * CLOCK_MARGIN)


def _first_id(seconds: float) -> str:
    milliseconds = min(max(0, round(seconds * 1000)), 16**12 - 1)
    return f"req_{milliseconds:012x}"
