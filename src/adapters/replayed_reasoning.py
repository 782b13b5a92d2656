"""Reasoning of any provider in an opaque field that clients of Messages and of Responses send back unchanged.

Such a field is `signature` of a thinking block (Anthropic, "Extended thinking") or `encrypted_content` of a reasoning
item (OpenAI, "Reasoning models"). The gateway stores no conversation, so it writes there what the provider wants back:
`tollgate.FAMILY.DATA`. The family tells a provider of another one that the reasoning is not its own.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from tollgate.adapters.json_access import children, text
from tollgate.adapters.json_density import parse_replayed
from tollgate.gateway.types import Json

_MARK = "tollgate"


@dataclass(frozen=True, slots=True)
class ReplayedReasoning:
    """Reasoning that a client sends back: the wire protocol of its provider, its text and its `reasoning_details`."""

    family: str
    text: str
    details: Sequence[Json]


class MessageReasoning:
    """The reasoning of one assistant message, which a client sends back in several fields."""

    def __init__(self) -> None:
        self.details: list[Json] = []
        self._texts: list[str] = []

    def add(self, replayed: ReplayedReasoning) -> None:
        """Add the next one. Text without details is what servers of OpenAI's family want back (DeepSeek's guide
        "Thinking Mode").
        """
        self.details += replayed.details
        if replayed.family == "openai":
            self._texts.append(replayed.text)

    def fields(self) -> Json:
        """The fields of an assistant message of Chat Completions."""
        fields: Json = {"reasoning_details": self.details} if self.details else {}
        if reasoning := "".join(self._texts):
            fields["reasoning_content"] = reasoning
        return fields


def write_reasoning(family: str, details: Sequence[Json], shown: str = "") -> str:
    """The opaque field for reasoning; `shown` is its text, if the client does not send that back elsewhere."""
    data = json.dumps({"text": shown, "details": [*details]}, separators=(",", ":")).encode()
    return f"{_MARK}.{family}.{base64.urlsafe_b64encode(data).decode('ascii')}"


def read_reasoning(field: str, shown: str = "") -> ReplayedReasoning | None:
    """The reasoning in an opaque field, with `shown` as its text if the field has none; None if it is another's."""
    mark, _, rest = field.partition(".")
    family, _, data = rest.partition(".")
    if mark != _MARK or not family:
        return None
    try:
        value = parse_replayed(base64.urlsafe_b64decode(data))
    except ValueError:
        value = None
    fields = cast(Json, value) if isinstance(value, dict) else {}
    return ReplayedReasoning(family, text(fields, "text") or shown, children(fields, "details"))
