"""Node.js packages for tests."""

import shutil
import subprocess
from pathlib import Path

from support.installed import installed_folder

NODE = shutil.which("node") and shutil.which("npm")
"""Empty or None if Node.js or npm is missing."""


def node_folder(source: Path, *npm: str) -> Path:
    """A copy of the files of `source` in which `npm` with these arguments was run."""

    def install(folder: Path) -> None:
        subprocess.run(["npm", *npm, "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)

    return installed_folder(source, install)
