"""How fast a route answers: a moving average of what was measured, pure arithmetic."""

from dataclasses import dataclass

SHARE = 0.2
"""The share of the latest measurement in the average."""
LEAST_TOKENS = 32
"""A shorter output says nothing about throughput."""


@dataclass(frozen=True, slots=True)
class Speed:
    """`latency` is the seconds until the first content of a stream, `throughput` the output tokens per second of the
    whole call; None for what was not measured."""

    latency: float | None = None
    throughput: float | None = None

    def mixed(self, other: "Speed", share: float = SHARE) -> "Speed":
        """The average with another one, which counts with this share."""
        return Speed(_mix(self.latency, other.latency, share), _mix(self.throughput, other.throughput, share))


UNKNOWN = Speed()


def _mix(old: float | None, new: float | None, share: float) -> float | None:
    if old is None or new is None:
        return new if old is None else old
    return old + (new - old) * share
