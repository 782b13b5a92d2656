"""Builds and deploys a folder with AWS's SAM CLI: with its questions the first time, then with the saved answers."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tollgate.gateway.errors import ConfigurationError

SETTINGS = "samconfig.toml"
GUIDED = ("--guided", "-g")
TOOLS = {
    "sam": "the AWS SAM CLI (pip install aws-sam-cli)",
    "make": "make, which `sam build` runs",
}
"""What a deployment runs beside Python."""
OPEN_FUNCTIONS = """\
SAM asks for each parameter: Enter takes what it proposes.
Answer y to "has no authentication. Is this okay?", where Enter ends the deployment: the gateway checks the keys itself.
Answer y to "Deploy this changeset?"."""


def missing_tools() -> list[str]:
    """What is not on the PATH, in words."""
    return [words for name, words in TOOLS.items() if shutil.which(name) is None]


def is_configured(folder: Path) -> bool:
    """Whether the answers of a guided deployment are saved. Raises ConfigurationError."""
    try:
        settings = tomllib.loads((folder / SETTINGS).read_text("utf-8"))
        return "parameter_overrides" in settings["default"]["deploy"]["parameters"]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder / SETTINGS} cannot be read: {error}") from error
    except (KeyError, TypeError):
        return False


def remaining_commands(folder: Path) -> list[str]:
    """What is left to type."""
    deploy = "sam deploy" if is_configured(folder) else "sam deploy --guided"
    return [f"cd {folder}", "sam build", deploy]


def deploy_folder(folder: Path, architecture: str | None, options: Sequence[str]) -> int:
    """Build and deploy with further options of `sam deploy`; the exit code of what failed, or 0.

    The functions carry compiled code, so that they must be built for the processor that is deployed. It is the saved
    one; the first time it is `architecture`, and who then answers with another gets a second build and deployment.
    Raises ConfigurationError.
    """
    configured = is_configured(folder)
    if configured and architecture not in (None, _saved_architecture(folder)):
        raise ConfigurationError(f"{SETTINGS} has another Architecture than {architecture}: change it there.")
    asks = not configured or any(option in GUIDED for option in options)
    guided = ["--guided"] if not configured and asks else []
    if architecture is not None and not configured:
        guided += ["--parameter-overrides", f"Architecture={architecture}"]
    built_for = architecture or _saved_architecture(folder)
    code = _build(folder, built_for)
    if code == 0:
        print(OPEN_FUNCTIONS if asks else "", flush=True)
        code = _sam(folder, "deploy", *guided, *options)
    if code or not is_configured(folder) or _saved_architecture(folder) == built_for:
        return code
    print(f"The functions were built for {built_for}, which is not what you chose: building and deploying again.")
    options = [option for option in options if option not in GUIDED]
    return _build(folder, _saved_architecture(folder)) or _sam(folder, "deploy", *options)


def _build(folder: Path, architecture: str) -> int:
    overrides = ("--parameter-overrides", f"Architecture={architecture}")  # what SAM says that it builds for
    return _sam(folder, "build", *overrides, TOLLGATE_ARCH=architecture)


def _saved_architecture(folder: Path) -> str:
    """The processor that the build takes without further words: the saved one, or the template's default."""
    script = [sys.executable, "scripts/build_artifact.py", "architecture"]
    env = {name: value for name, value in os.environ.items() if name != "TOLLGATE_ARCH"}
    return subprocess.run(script, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _sam(folder: Path, *words: str, **env: str) -> int:
    sys.stdout.flush()
    return subprocess.run(["sam", *words], cwd=folder, env={**os.environ, **env}, check=False).returncode  # noqa: S603, S607
