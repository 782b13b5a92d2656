"""Folders below .cache that tests install packages into, once per checkout."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

from support.artifact import CHECKOUT


def installed_folder(source: Path, install: Callable[[Path], None]) -> Path:
    """A copy of the files of `source` in which `install` was run, again if a file has changed.

    Test workers run it one after another, because concurrent installers in one folder break each other.
    """
    folder = CHECKOUT / ".cache" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in source.iterdir() if path.is_file())
    content = b"".join(path.read_bytes() for path in files)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = folder / ".installed"
        if not installed.exists() or installed.read_bytes() != content:
            for path in files:
                shutil.copy(path, folder)
            install(folder)
            installed.write_bytes(content)
    return folder
