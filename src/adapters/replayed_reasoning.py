"""Reasoning of any provider in an opaque field that clients of Messages and of Responses send back unchanged.

Such a field is `signature` of a thinking block (Anthropic, "Extended thinking") or `encrypted_content` of a reasoning
item (OpenAI, "Reasoning models"). The gateway stores no conversation, so it writes there what the provider wants back:
`tollgate.FAMILY.DATA`. The family tells a provider of another one that the reasoning is not its own.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tollgate.adapters.json_access import children, text
from tollgate.gateway.types import Json

_MARK = "tollgate"


@dataclass(frozen=True, slots=True)
class ReplayedReasoning:
    """Reasoning that a client sends back: the wire protocol of its provider, its text and its `reasoning_details`."""

    family: str
    text: str
    details: Sequence[Json]

    def message_fields(self) -> Json:
        """The fields of an assistant message of Chat Completions for it.

        Text without details is what servers of OpenAI's family want back (DeepSeek's guide "Thinking Mode").
        """
        fields: Json = {"reasoning_details": [*self.details]} if self.details else {}
        if self.text and self.family == "openai":
            fields["reasoning_content"] = self.text
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
        value: Any = json.loads(base64.urlsafe_b64decode(data))
    except (ValueError, RecursionError):
        value = {}
    fields = cast(Json, value) if isinstance(value, dict) else {}
    return ReplayedReasoning(family, text(fields, "text") or shown, children(fields, "details"))
