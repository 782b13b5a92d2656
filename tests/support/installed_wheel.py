"""The wheel of this checkout, installed alone into an empty environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from support.running_gateway import CHECKOUT


@dataclass(frozen=True)
class InstalledWheel:
    """The folder of the environment, its command, its Python, and the variables that they need."""

    environment: Path
    tollgate: str
    python: str
    env: dict[str, str]


def install_wheel(folder: Path) -> InstalledWheel:
    """Build the wheel and install it.

    It is built from a copy of the checkout: setuptools builds in the folder `build` of its source, where builds at the
    same time delete each other's files, and files of an earlier build would get into the wheel.
    Dependencies come from the environment of the tests. The development install of the project does not, because a
    .pth file provides it, and PYTHONPATH reads no .pth files.
    """
    source, wheels, environment = folder / "source", folder / "wheels", folder / "env"
    _copy_checkout(source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(source)], check=True, capture_output=True)
    (wheel,) = wheels.glob("tollgate_gateway-*.whl")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}
    return InstalledWheel(environment, str(environment / "bin" / "tollgate"), str(python), env)


def _copy_checkout(target: Path) -> None:
    """Copy what Git tracks, or would: no build, no environment, no cache."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (CHECKOUT / name).exists():  # Git lists a deleted file until the deletion is staged
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)
