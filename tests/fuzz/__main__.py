"""Fuzz the parsers of the families: `python -m fuzz [--seconds 60] [FAMILY ...]`.

Each family runs for this many seconds, as many at once as there are cores. The exit code is 1, with the shrunk example,
if an example fails.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from random import SystemRandom

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support.families import ALL, Family
from support.fuzzing import fuzz_both_ways, fuzz_error, fuzz_response, fuzz_stream

TARGETS = (fuzz_stream, fuzz_both_ways, fuzz_response, fuzz_error)
"""Streams take half the time, because their parsers have state."""
BATCH = 250
SETTINGS = settings(
    max_examples=BATCH,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)


def fuzz(name: str, seconds: float) -> str:
    """Fuzz one family for this many seconds. Raises the error of a failing example, shrunk."""
    family, examples, start = ALL[name], 0, time.monotonic()
    first = SystemRandom().randrange(2**32)
    while time.monotonic() - start < seconds:
        _run(family, TARGETS[examples // BATCH % len(TARGETS)], first + examples)
        examples += BATCH
    return f"{name}: {examples} examples from seed {first}, none failed"


def _run(family: Family, target: Callable[[Family, st.DataObject], None], number: int) -> None:
    @seed(number)
    @SETTINGS
    @given(data=st.data())
    def batch(data: st.DataObject) -> None:
        target(family, data)

    batch()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Fuzz the parsers of the families.")
    parser.add_argument("families", nargs="*", choices=[[], *ALL], metavar="FAMILY")
    parser.add_argument("--seconds", type=float, default=60)
    given_arguments = parser.parse_args()
    names = given_arguments.families or list(ALL)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(fuzz, names, [given_arguments.seconds] * len(names)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
