"""Collects what a release carries: the wheel, its section of the changelog, and a bill of materials (CycloneDX 1.6).

    release.py TAG WHEEL_FOLDER OUT

The bill of materials lists the pins that the functions carry (src/requirements.txt), with their hashes.
"""

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> None:
    """Write OUT. Ends with an error if the tag is not the version, or the changelog does not have it."""
    tag, wheels, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    name = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["name"]
    version = _VERSION.search((CHECKOUT / "src/__init__.py").read_text())[1]
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag!r}, but src/__init__.py has the version {version}.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "notes.md").write_text(notes((CHECKOUT / "CHANGELOG.md").read_text(), version))
    pins = (CHECKOUT / "src/requirements.txt").read_text()
    (out / "sbom.json").write_text(json.dumps(sbom(name, version, pins), indent=2) + "\n")
    for wheel in wheels.glob("*.whl"):
        shutil.copy(wheel, out)


def notes(changelog: str, version: str) -> str:
    """The section of one version, without its heading. Ends with an error if there is none."""
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if heading.split(",")[0].strip() == version:
            return text.strip() + "\n"
    sys.exit(f"CHANGELOG.md has no section {version}.")


def sbom(name: str, version: str, pins: str) -> dict[str, Any]:
    """The bill of materials of a requirements file with hashes."""
    components: list[dict[str, Any]] = []
    for entry in pins.replace("\\\n", " ").splitlines():
        if pin := _PIN.match(entry):
            hashes = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(entry)]
            purl = f"pkg:pypi/{pin[1].lower()}@{pin[2]}"
            components.append({"type": "library", "name": pin[1], "version": pin[2], "purl": purl, "hashes": hashes})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": name, "version": version}},
        "components": components,
    }


if __name__ == "__main__":
    main()
