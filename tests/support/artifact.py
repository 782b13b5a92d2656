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


WITHOUT_ECHO = (
    "url-embeddings.json",
    "url-images.json",
    "url-moderations.json",
    "url-rerank.json",
    "url-speech.json",
    "url-transcription.json",
)
"""Events whose models echo does not stand in for: they need the credential of a provider."""


def event_response_is_right(name: str, status: int, body: str) -> None:
    """Assert that an event got the response that it must get without a provider."""
    if name in WITHOUT_ECHO:
        assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_auth"), body
        return
    assert status == (401 if "unauthorized" in name else 200), body
    if "stream" in name:
        assert body.endswith("data: [DONE]\n\n")
        assert '"usage":{"prompt_tokens":6' in body
    elif "chat" in name:
        assert json.loads(body)["choices"][0]["message"]["content"] == "Say hello to the whole world."
    else:
        assert json.loads(body)
