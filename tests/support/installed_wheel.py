"""The wheel of this checkout, installed alone into an empty environment."""

import os
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

    Dependencies come from the environment of the tests. The development install of the project does not, because a
    .pth file provides it, and PYTHONPATH reads no .pth files.
    """
    wheels, environment = folder / "wheels", folder / "env"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(CHECKOUT)], check=True, capture_output=True)
    (wheel,) = wheels.glob("tollgate_gateway-*.whl")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}
    return InstalledWheel(environment, str(environment / "bin" / "tollgate"), str(python), env)
