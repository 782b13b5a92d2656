"""Python packages for tests that are too many for the project's own environment."""

import subprocess
import sys
from pathlib import Path

from support.installed import installed_folder


def python_packages(source: Path) -> Path:
    """The folder of programs of an environment with the packages in the `requirements.txt` of `source`."""

    def install(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        pip = (str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "-r", str(folder / "requirements.txt")], check=True)

    return installed_folder(source, install) / "venv" / "bin"
