"""Node.js packages for tests, installed once per checkout below .cache."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from support.artifact import CHECKOUT

NODE = shutil.which("node") and shutil.which("npm")
"""Empty or None if Node.js or npm is missing."""


def node_folder(source: Path, *npm: str) -> Path:
    """A copy of the files of `source` in which `npm` with these arguments was run, again if a file has changed.

    Test workers run it one after another, because concurrent runs of npm in one folder break each other.
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
            command = ["npm", *npm, "--silent", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True)
            installed.write_bytes(content)
    return folder
