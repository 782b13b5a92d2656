"""What is read of a request that has no translation, so that admission can estimate its size."""

from typing import Any

from tollgate.gateway.types import Json


def whole_text(*values: Any) -> Json:
    """One user message with every text in these JSON values."""
    pieces: list[str] = []
    rest = [*values]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            pieces.append(value)
        elif isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return {"role": "user", "content": "\n".join(pieces)}
