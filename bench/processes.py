"""What the system knows of a process: CPU time, memory, open files."""

import os
from collections.abc import Iterable
from pathlib import Path


def children(process: int | None = None) -> set[int]:
    """The processes that a process, by default this one, has started, and those that they have started."""
    found: set[int] = set()
    for task in Path(f"/proc/{process or os.getpid()}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | children(child)
    return found


def cpu_ms(processes: Iterable[int]) -> float:
    """CPU time from /proc/PID/schedstat, in nanoseconds there: the ticks of /proc/PID/stat are too coarse."""
    return (
        sum(
            int((task / "schedstat").read_text().split()[0])
            for process in processes
            for task in Path(f"/proc/{process}/task").iterdir()
        )
        / 1e6
    )


def megabytes(processes: Iterable[int]) -> float:
    """The memory that the processes have now."""
    return sum(_status(process, "VmRSS") for process in processes)


def peak_megabytes(processes: Iterable[int]) -> float:
    """The largest memory that the processes have had, or have had since `forget_peak`."""
    return sum(_status(process, "VmHWM") for process in processes)


def forget_peak(processes: Iterable[int]) -> None:
    """Begin a new peak (proc(5), clear_refs)."""
    for process in processes:
        Path(f"/proc/{process}/clear_refs").write_text("5")


def open_files(process: int) -> int:
    """The number of open files and sockets."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def _status(process: int, field: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1000
