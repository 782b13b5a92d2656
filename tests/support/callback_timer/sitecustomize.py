"""Times the callbacks of a process's event loop: a process with this folder on PYTHONPATH loads it.

The file $CALLBACK_TIMES/PID gets a line for each callback that takes long: milliseconds of CPU, and what was called.
Time that other processes take is not counted.
"""

import os
import time
from asyncio import events
from pathlib import Path
from typing import Any

LONG_MS = 5.0


def start(path: Path) -> None:
    """Write into this file from now on."""
    path.touch()
    run = events.Handle._run  # pyright: ignore[reportPrivateUsage] - the only place through which all callbacks run

    def timed_run(self: events.Handle) -> None:
        began = time.thread_time()
        run(self)
        milliseconds = (time.thread_time() - began) * 1000
        if milliseconds >= LONG_MS:
            with path.open("a") as file:
                file.write(f"{milliseconds:.1f} {_name(self)}\n")

    events.Handle._run = timed_run


def _name(handle: Any) -> str:
    """The task that the callback resumes, if it does."""
    task = getattr(handle._callback, "__self__", None)
    return " ".join(f"{task if hasattr(task, 'get_coro') else handle!r}".split())


if "CALLBACK_TIMES" in os.environ:
    start(Path(os.environ["CALLBACK_TIMES"]) / str(os.getpid()))
