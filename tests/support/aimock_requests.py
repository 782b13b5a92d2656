"""Chat requests of the official client to the gateway before aimock."""

from collections.abc import Sequence
from typing import Any

import pytest

from support.aimock import FAMILIES

EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES)
BOTH_MODES = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def user(content: str | Sequence[Any]) -> Any:
    return {"role": "user", "content": content}


def chat(client: Any, family: str, messages: list[Any], stream: bool, **fields: Any) -> Any:
    """The whole response; the client accumulates a stream."""
    if not stream:
        return client.chat.completions.create(model=family, messages=messages, **fields)
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(model=family, messages=messages, stream_options=options, **fields) as events:
        return events.get_final_completion()
