"""What a million requests cost, by AWS's published prices and what was measured.

Prices of us-east-1 as of 2026-11, in USD: AWS's pages "AWS Lambda pricing" (arm64), "Amazon DynamoDB pricing"
(on demand) and "Amazon CloudWatch pricing". A function URL costs nothing itself.
"""

from bench.figures import Row

GB_SECOND, MILLION_REQUESTS, MILLION_WRITE_UNITS, LOG_GB = 0.0000133334, 0.20, 0.625, 0.50
SECONDS = {"streams of 20 s": 20.0, "buffered requests of 2 s": 2.0}
"""How long the provider takes, which is what Lambda bills: the gateway's own milliseconds are lost in it."""
MEMORY_MB = 256
"""The function's memory, as template.yaml sets it."""
LOG_LINE_KB = 1.3
"""One log line with its metrics."""


def rows(write_units: float, peak_megabytes: float) -> list[Row]:
    """The price of a million requests of each kind, and what it is made of."""
    found = [Row("function: peak of its memory, MB", [peak_megabytes], 0, note=f"of {MEMORY_MB} MB")]
    for kind, seconds in SECONDS.items():
        duration = seconds * MEMORY_MB / 1024 * GB_SECOND * 1e6
        writes, logs = write_units * MILLION_WRITE_UNITS, LOG_LINE_KB * LOG_GB
        name = f"a million {kind}"
        sum_of = f"1,000,000 x {seconds:.0f} s x {MEMORY_MB / 1024} GB x {GB_SECOND}"
        found += [
            Row(f"{name}: Lambda duration, USD", [duration], note=sum_of),
            Row(f"{name}: Lambda requests, USD", [MILLION_REQUESTS]),
            Row(f"{name}: DynamoDB, USD", [writes], note=f"{write_units:.0f} write units x {MILLION_WRITE_UNITS}"),
            Row(f"{name}: CloudWatch Logs, USD", [logs], note=f"{LOG_LINE_KB} GB x {LOG_GB}"),
            Row(f"{name}: together, USD", [duration + MILLION_REQUESTS + writes + logs]),
        ]
    return found
