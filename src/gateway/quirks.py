"""How providers and models differ, as named columns of the catalog's rows: a new server or model is a row, not code."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

_ROW = ConfigDict(extra="forbid", frozen=True)


class Quirks(BaseModel):
    """How a provider's dialect of its family differs, as named columns."""

    model_config = _ROW

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The only name under which this provider knows the output limit; none: as the client wrote it."""
    stream_usage: StrictBool = True
    """Whether it understands `stream_options.include_usage`; without it, usage comes unasked or not at all."""
    unsupported: tuple[str, ...] = ()
    """Request fields it refuses: those that change the answer are refused here, the others left out and told."""
    fields: tuple[str, ...] = ()
    """The only request fields it knows, for one that refuses all others; none: it takes any."""
    renamed: Mapping[str, str] = {}
    """Request fields that it knows under another name."""
    router: StrictBool = False
    """Whether it reads OpenRouter's fields for a router (`provider`, `models`, `reasoning` and others)."""
    developer_role: StrictBool = False
    """Whether it knows that role; to others it is `system`."""
    cache_marks: tuple[str, ...] | None = None
    """The marks it knows by which parts of a message are to be cached; none given: whatever the client sends."""
    fetches_urls: StrictBool = True
    """Whether it fetches images by URL."""
    reasoning_fields: tuple[str, ...] | None = None
    """The fields of an assistant's message in which it takes reasoning back; none given: whatever the client sends."""
    thinking_switch: StrictBool = False
    """Whether thinking is on unless `thinking` turns it off, and then must be given back with every call of a tool, and
    lets none be forced."""
    tool_id_length: Annotated[int, Field(gt=0)] | None = None
    """It takes ids of tool calls of just so many letters and digits only."""
    longest_tool_id: Annotated[int, Field(gt=0)] | None = None
    """Characters of the id of a tool call above which it refuses one; none: it takes any."""
    echoed_fields: tuple[str, ...] = ()
    """The fields that answers have beside those of requests (`annotations`, `extra_content`, `images`, `refusal`) and
    that it takes back; to others they never go."""
    message_fields: Mapping[str, tuple[str, ...]] | None = None
    """By role, the only fields beside `role` and `content` that it knows, for one that refuses all others; none given:
    it takes any."""
    text_only_roles: tuple[str, ...] = ()
    """The roles whose content it takes as one string only, and not as a list of text parts."""
    user_after_tool: StrictBool = True
    """Whether a user may speak right after the result of a tool."""


Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class Capabilities(BaseModel):
    """What a model itself takes and refuses, whoever serves it. The defaults refuse nothing."""

    model_config = _ROW

    sampling: StrictBool = True
    """Whether temperature, top_p and top_k may be set."""
    prefill: StrictBool = True
    """Whether a conversation may end with words put into the assistant's mouth."""
    forced_tool: StrictBool = True
    """Whether a tool can be forced on it."""
    json_schema: StrictBool = True
    """Whether it can be held to a JSON schema by the provider."""
    vision: StrictBool = True
    system_turns: StrictBool = False
    """Whether it takes system messages in the middle of a conversation."""
    thinking: Literal["none", "budget", "adaptive", "always"] = "none"
    """Whether it thinks: within a number of tokens, as it sees fit, or so and never not."""
    bound_thinking: StrictBool = False
    """Whether it takes back its thinking only in the very conversation it came from."""
    least_thinking: Annotated[int, Field(ge=0, strict=True)] = 0
    """Tokens of thinking below which it cannot go, for one that thinks within a budget; 0: it can do without."""
    efforts: tuple[Effort, ...] = ("low", "medium", "high")
    """The efforts it knows, lowest first."""
    default_effort: Literal["none"] | Effort = "none"
    """The effort with which it thinks where the request does not say one."""
    max_output_tokens: Annotated[int, Field(gt=0, strict=True)] | None = None
    unsupported: tuple[str, ...] = ()
    """Request fields that this model refuses where others of its provider take them."""
