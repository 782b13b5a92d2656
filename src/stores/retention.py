"""Usage records in time: which ids can have begun when, as ids sort by time, and how long a record is kept."""

from tollgate.gateway.metering import UsageRecord

USAGE_KEPT = 30 * 24 * 3600
"""Seconds from a request's beginning until its usage record is gone."""

DELETED_KEPT = USAGE_KEPT + 24 * 3600
"""Seconds from a key's deletion in which its id is remembered: to the end of the last record it can have left, and a
day more, for requests that were let through after it."""

CLOCK_MARGIN = 60.0
"""Seconds. An id is made a little before its request's time is noted."""


def request_ids(start: float, end: float) -> tuple[str, str]:
    """Ids between which lie all those of requests that began in [start, end): `req_`, the time in milliseconds as 12
    hex digits, and more.
    """
    return _id_at(start - CLOCK_MARGIN), _id_at(end + CLOCK_MARGIN)


def is_kept(record: UsageRecord, now: float) -> bool:
    """Whether it is to be read still; stores delete what has lived its time later, each at its own pace."""
    return int(record.started_at) + USAGE_KEPT > now


def no_longer_kept(now: float) -> tuple[str, str]:
    """Ids between which lie those of requests whose records may be deleted."""
    return request_ids(0, now - USAGE_KEPT - 2 * CLOCK_MARGIN)


def _id_at(seconds: float) -> str:
    milliseconds = min(max(0, round(seconds * 1000)), 16**12 - 1)
    return f"req_{milliseconds:012x}"
