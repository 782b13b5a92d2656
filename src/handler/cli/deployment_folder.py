"""The folder that SAM builds and deploys: a clone of the project, or one that is written from the installed wheel."""

import shutil
from pathlib import Path

import tollgate
from tollgate.gateway.errors import ConfigurationError

PACKAGE = Path(tollgate.__file__).resolve().parent
CARRIED = PACKAGE / "deployment"
"""In the wheel: the template, the layer, the build script and the events, beside the package in a clone."""
MARK = ".tollgate-version"
"""A file of a written folder, which says that it may be written again."""
CATALOG = "catalog.toml"


def clone() -> Path | None:
    """The clone whose sources run this command; None if they are an installed wheel."""
    return None if CARRIED.is_dir() else PACKAGE.parent


def write_folder(folder: Path) -> None:
    """Write or renew what the wheel carries. The owner's `samconfig.toml` and catalogs in `src/` stay as they are.

    Raises ConfigurationError if the folder has other files.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file: name a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConfigurationError(
            f"{folder} is not empty, and `tollgate deploy` did not write it: name another by --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(f"{tollgate.__version__}\n", "utf-8")
        _remove_former_sources(folder)
        settings = {"samconfig.toml"} if (folder / "samconfig.toml").exists() else set[str]()
        shutil.copytree(CARRIED, folder, dirs_exist_ok=True, ignore=lambda _, names: _ignored(names) | settings)
        shutil.copytree(PACKAGE, folder / "src", dirs_exist_ok=True, ignore=lambda _, names: _ignored(names))
    except (OSError, shutil.Error) as error:
        raise ConfigurationError(f"{folder} cannot be written: {error}") from error


def _remove_former_sources(folder: Path) -> None:
    """Another version's modules would be deployed beside those of this one."""
    for name in ("src", "layers", "scripts"):
        for path in (folder / name).glob("*"):
            if name == "src" and path.suffix == ".toml" and path.name != CATALOG:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _ignored(names: list[str]) -> set[str]:
    return {name for name in names if name in ("__pycache__", CARRIED.name) or name.endswith(".pyc")}
