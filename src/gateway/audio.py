"""What the audio operations have in common: the events of a streamed answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tollgate.gateway.types import Usage


@dataclass(frozen=True, slots=True)
class AudioEvent:
    """One event of a streamed answer; `data` is its JSON, as the provider wrote it. See `gateway.types.Result`."""

    data: str
    usage: Usage | None = None
    finish_reason: str | None = None
    text_bytes: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    has_content: bool = True
