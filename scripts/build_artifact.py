"""Builds what a Lambda function or layer carries, from any host Python: the Makefiles that `sam build` runs call this.

    build_artifact.py function OUT   src/ and its pinned wheels, for Lambda
    build_artifact.py layer OUT      the streaming runtime, for Lambda
    build_artifact.py local-wheels OUT    the wheels for this machine, in OUT/function; OUT/python names what runs them
    build_artifact.py local-sources OUT   src/ on top of them
    build_artifact.py architecture   print Lambda's processor

Lambda's target is TOLLGATE_ARCH (arm64 or x86_64; by default the Architecture that a guided deployment saved in
samconfig.toml, else arm64) and TOLLGATE_PYTHON (3.13, the managed runtime's).
`.pyc` files are half of a cold start: `sam build` ships none, and the function's folder is read-only. They must come
from the target's own minor version, so they are made if such a Python is installed; otherwise the build prints a note.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
SOURCE = CHECKOUT / "src"
LAMBDA_PYTHON = os.environ.get("TOLLGATE_PYTHON") or "3.13"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")  # Amazon Linux 2023 has glibc 2.34

NOT_SHIPPED = ("__pycache__", "*.pyc", "cli", "__main__.py", "py.typed", "requirements.txt", "Makefile", "catalog.toml")
"""Of src/: what no function runs or reads."""
AWS_SERVICES = frozenset({"ssm", "sts"})
"""The services whose descriptions botocore needs here; it ships some four hundred."""
UNUSED_FOLDERS = (
    "tests",
    "test",
    "bin",
    "examples",
    ".agents",
)  # not `docs`: botocore.docs is code that its client imports
UNUSED_MODULES = (
    *("anyio/_backends/_trio.py", "anyio/pytest_plugin.py", "pydantic/mypy.py"),
    *("boto3/crt.py", "s3transfer/crt.py", "s3transfer/processpool.py", "dateutil/rrule.py", "idna/uts46data.py"),
)
"""For another event loop, for tests and a type checker; for files in S3, rules of calendars and names of hosts in other
scripts, which modules import when they are asked for them."""
UNUSED_PACKAGES = (
    "aws_lambda_powertools/event_handler",  # with a bundle of Swagger UI
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in ("auth_alpha", "batch", "data_classes", "feature_flags", "idempotency", "kafka", "parser")
    ),
    "boto3/data",
    "dateutil/zoneinfo",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
)
"""Parts of the wheels that nothing imports: every start fetches and unpacks the archive."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the artifact runs on; `machine` is a wheel's word for a Linux processor, None for this very machine."""

    machine: str | None
    python: str


def main() -> None:
    """Build what the command line names."""
    kind, *rest = sys.argv[1:]
    if kind == "architecture":
        print(lambda_architecture())
        return
    out = Path(*rest)
    if kind in ("local-wheels", "local-sources"):
        {"local-wheels": build_local_wheels, "local-sources": build_local_sources}[kind](out)
        return
    target = lambda_target()
    {"function": build_function, "layer": build_layer}[kind](out, target)
    compile_for(target, out)


def lambda_target() -> Target:
    """What the template deploys to."""
    return Target(MACHINES[lambda_architecture()], LAMBDA_PYTHON)


def lambda_architecture() -> str:
    """The processor that the template deploys to: a function with wheels for another does not start."""
    arch = os.environ.get("TOLLGATE_ARCH") or _saved_architecture() or "arm64"
    if arch not in MACHINES:
        sys.exit(f"TOLLGATE_ARCH is {arch!r}; it must be one of {', '.join(MACHINES)}")
    return arch


def _saved_architecture() -> str | None:
    """The parameter Architecture of later deployments, in any of the forms that SAM reads."""
    try:
        settings = tomllib.loads((CHECKOUT / "samconfig.toml").read_text("utf-8"))
        saved = settings["default"]["deploy"]["parameters"]["parameter_overrides"]
    except (OSError, KeyError, TypeError):
        return None
    found = re.search(r"\bArchitecture\W+(?:ParameterValue\W+)?(\w+)", str(saved))
    return found and found[1]


def build_local_wheels(out: Path) -> None:
    """The wheels for this machine; for Lambda's Python if it is installed, else for the Python that runs this."""
    machine = MACHINES.get(platform.machine(), platform.machine()) if sys.platform == "linux" else None
    python = find_python(LAMBDA_PYTHON)
    if python is None:
        python = sys.executable
        print(f"No python{LAMBDA_PYTHON} is installed: the artifact is for {python}.", flush=True)
    target = Target(machine, _version(python) or LAMBDA_PYTHON)
    shutil.rmtree(out / "function", ignore_errors=True)
    install_wheels(out / "function", target)
    compile_for(target, out / "function")
    (out / "python").write_text(python + "\n")


def build_local_sources(out: Path) -> None:
    """The packages of src/, compiled for the Python of the wheels."""
    python = (out / "python").read_text().strip()
    shutil.rmtree(out / "function" / "tollgate", ignore_errors=True)
    copy_sources(out / "function")
    compile_for(Target(None, _version(python) or LAMBDA_PYTHON), out / "function", "tollgate")


def build_function(out: Path, target: Target) -> None:
    """The wheels for the target, and src/."""
    install_wheels(out, target)
    copy_sources(out)


def install_wheels(out: Path, target: Target) -> None:
    """The pinned wheels for the target, less what never runs there."""
    platforms = [f"--platform={glibc}_{target.machine}" for glibc in GLIBC] if target.machine else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}", *platforms]
    pins = ["--require-hashes", "--no-deps", "-r", str(SOURCE / "requirements.txt")]
    subprocess.run([*pip, *wheels, *pins, "--target", str(out), "--upgrade"], check=True)
    prune(out)


def copy_sources(out: Path) -> None:
    """The packages of src/ that the functions run, and the owner's catalogs."""
    shutil.copytree(SOURCE, out / "tollgate", dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    (out / "tollgate/catalog.json").write_text(compiled_catalog())
    for overlay in (path for path in SOURCE.glob("*.toml") if path.name != "catalog.toml"):
        shutil.copy(overlay, out)  # the parameter Catalog names it from the function's folder


def compiled_catalog() -> str:
    """The built-in catalog as JSON, with decimals and dates as strings: Python reads TOML slowly, at every start."""
    catalog = tomllib.loads((SOURCE / "catalog.toml").read_text("utf-8"), parse_float=str)
    return json.dumps(catalog, default=str)


def build_layer(out: Path, target: Target) -> None:
    """The wrapper that starts our runtime, and the runtime."""
    layer = CHECKOUT / "layers/streaming"
    shutil.copytree(layer / "python", out / "python", dirs_exist_ok=True, ignore=_ignore)
    shutil.copy(layer / "exec-wrapper", out)


def prune(out: Path) -> None:
    """Delete tests, scripts, type stubs and the descriptions of AWS services that are not called."""
    for folder in sorted(out.rglob("*"), reverse=True):
        if folder.is_dir() and folder.name in UNUSED_FOLDERS:
            shutil.rmtree(folder)
    modules = [out / module for module in UNUSED_MODULES]
    for unused in [*modules, *out.rglob("*.pyi"), *out.rglob("*.rst"), *out.rglob("*.md")]:
        if not any(parent.name.endswith(".dist-info") for parent in unused.parents):  # there they are licences
            unused.unlink()
    data = out / "botocore/data"
    for service in data.iterdir():
        if service.is_dir() and service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:  # reading the addresses of every other service takes 20 ms of each start
        partition["services"] = {name: row for name, row in partition["services"].items() if name in AWS_SERVICES}
    (data / "endpoints.json").write_text(json.dumps(endpoints))
    for unused in UNUSED_PACKAGES:
        shutil.rmtree(out / unused)
    (out / "botocore/cacert.pem").unlink()  # botocore takes certifi's certificate authorities where there are any
    _prune_metadata(out)


def _prune_metadata(out: Path) -> None:
    for record in out.glob("*.dist-info/RECORD"):  # the list of a wheel's files, for pip alone
        record.unlink()
    for metadata in out.glob("*.dist-info/METADATA"):  # behind its fields is the README of the project
        fields, _, _ = metadata.read_text("utf-8").partition("\n\n")
        metadata.write_text(f"{fields}\n", "utf-8")


def compile_for(target: Target, out: Path, folder: str = ".") -> None:
    """`.pyc` beside every module of a folder, unchecked against their source because zip archives round times."""
    python = find_python(target.python)
    if python is None:
        print(f"No python{target.python} is installed: no .pyc files, cold starts take twice as long.", flush=True)
        return
    compileall = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    # Paths in tracebacks as they are in Lambda, not as they were on the machine that built it.
    root = "/opt" if (out / "exec-wrapper").exists() else "/var/task"
    subprocess.run([*compileall, "-s", str(out), "-p", root, str(out / folder)], check=True)


def find_python(version: str) -> str | None:
    """A Python of this minor version: the one that runs this, one on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))]
    for candidate in (sys.executable, *found):
        if candidate and _version(candidate) == version:
            return candidate
    return None


def _version(python: str) -> str | None:
    """The minor version of an interpreter; None if it does not run, as a shim on PATH may not."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def _ignore(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or name.endswith(".pyc")]


if __name__ == "__main__":
    main()
