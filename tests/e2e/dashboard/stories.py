"""A provider for the playground: a story that waits in the middle, one that never ends, and one that breaks off."""

import json
from typing import Any

from support.one_model import one_model
from support.upstream import Cut, Script, Step, Wait

MIDDLE = Wait()
"""Where the story waits."""
NEVER = Wait()
EVENTS = {"content-type": "text/event-stream"}


def _event(text: str = "", finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **more})}\n\n".encode()


USAGE = {"prompt_tokens": 1000, "completion_tokens": 3000, "total_tokens": 4000}
END = (_event(finish="stop", usage=USAGE), b"data: [DONE]\n\n")
STEPS: dict[str, tuple[Step, ...]] = {
    "story": (_event("Once "), _event("upon "), MIDDLE, _event("a time."), *END),
    "endless": (_event("Once "), NEVER),
    "broken": (_event("Once "), Cut()),
}
SCRIPTS = {name: Script(steps, headers=EVENTS) for name, steps in STEPS.items()}


def overlay(url: str) -> str:
    """The catalog's rows: each script is a model of 1 USD for a million tokens."""
    return "".join(one_model(name, f"{url}/v1") for name in SCRIPTS)
