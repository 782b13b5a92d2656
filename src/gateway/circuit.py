"""A circuit breaker for one route or one credential: pure transitions, in Unix seconds."""

from dataclasses import dataclass, replace

FAILURES, WINDOW = 3, 60.0
"""So many failures within so many seconds put it on cooldown, if the processes that saw them saw no more successes."""
COOLDOWN, LONGEST_COOLDOWN = 30.0, 480.0
"""Seconds of the first cooldown; each that follows without a success takes twice as long, up to the second figure."""
MAX_TRIPS = 10
PROBE = 15.0
"""Seconds for which one instance alone may try what was on cooldown."""
RENEWED = 5.0
"""Seconds by which a cooldown that a provider asks for must grow to be changed: each change is a write."""
FORGOTTEN = 3600.0
"""Seconds after its last change for which a circuit is kept."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """`failures` and `successes` are counted until `window_ends`. While `open_until` lies ahead, it is on cooldown;
    `trips` cooldowns followed one another without a success. While one instance tries it again, `is_probed` is true.
    """

    failures: int = 0
    successes: int = 0
    window_ends: float = 0.0
    open_until: float = 0.0
    trips: int = 0
    is_probed: bool = False

    def is_open(self, now: float) -> bool:
        """Whether it is on cooldown."""
        return now < self.open_until

    def is_half_open(self, now: float) -> bool:
        """Whether its cooldown is over and nobody knows yet whether it works again."""
        return self.trips > 0 and not self.is_open(now)

    def after_failure(self, now: float, wait: float | None, successes: int = 0) -> "Circuit":
        """One more failure, after so many successes that were not counted yet. With `wait`, what failed says itself for
        how many seconds it is of no use."""
        if wait is not None:
            if now + wait < self.open_until + RENEWED and self.is_open(now) and not self.is_probed:
                return self
            return replace(self, open_until=max(self.open_until, now + wait), is_probed=False)
        if self.is_open(now) and not self.is_probed:
            return self
        before = self if now < self.window_ends else Circuit(trips=self.trips, window_ends=now + WINDOW)
        failures, successes = before.failures + 1, before.successes + successes
        if not self.trips and (failures < FAILURES or failures < successes):
            return replace(before, failures=failures, successes=successes)
        cooldown = min(COOLDOWN * 2**self.trips, LONGEST_COOLDOWN)
        return Circuit(open_until=now + cooldown, trips=min(self.trips + 1, MAX_TRIPS))

    def as_probed(self, now: float) -> "Circuit":
        """While one instance tries it again: on cooldown for the others."""
        return replace(self, open_until=now + PROBE, is_probed=True)


CLOSED = Circuit()
"""The circuit of what works."""
