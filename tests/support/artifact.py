"""The Lambda artifact that `make artifact` builds, and the events for it."""

import json
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent.parent
ARTIFACT = CHECKOUT / ".build" / "function"
EVENTS = CHECKOUT / "events"
SETTINGS = "local.json"


def artifact_python() -> str:
    """The interpreter that the artifact is built for."""
    return (CHECKOUT / ".build" / "python").read_text().strip()


def event(name: str) -> dict[str, Any]:
    """One of `events/*.json`."""
    return json.loads((EVENTS / name).read_text())


def event_names() -> list[str]:
    """Every event; the file with the settings of local runs is not one."""
    return sorted(path.name for path in EVENTS.glob("*.json") if path.name != SETTINGS)


def local_settings(folder: Path) -> dict[str, str]:
    """The environment of `sam local invoke`, with the SQLite file in `folder`."""
    return {**event(SETTINGS)["Parameters"], "TOLLGATE_DB": str(folder / "tollgate.db")}
