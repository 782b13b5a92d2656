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
    longest_tool_id: Annotated[int, Field(gt=12)] | None = None
    """Characters of the longest id of a tool call it takes; none: any, and then no id is spelt anew."""
    message_fields: Mapping[Literal["system", "user", "assistant", "tool"], tuple[str, ...]] = {}
    """The fields it knows in messages of a role, beside `role` and `content`, for one that refuses all others; in those
    of a role that is not named it takes any."""
    call_fields: tuple[str, ...] = ("id", "type", "function", "custom")
    """The fields it knows in an assistant's tool calls."""
    string_content: tuple[str, ...] = ()
    """Roles whose content it takes as a string and not as a list of text parts."""
    strict_order: StrictBool = False
    """Whether it refuses a user right after a tool's result, and a system message right after either's turn."""

    embeddings_unsupported: tuple[str, ...] = ()
    """Parameters of embeddings that it refuses: those that change the result are refused here, the others dropped."""
    embeddings_renamed: Mapping[str, str] = {}
    """Parameters of embeddings that it knows under another name."""


Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class Capabilities(BaseModel):
    """What a model supports, at every provider. The defaults refuse nothing."""

    model_config = _ROW

    sampling: StrictBool = True
    """Whether temperature, top_p and top_k may be set."""
    prefill: StrictBool = True
    """Whether a conversation may end with an assistant message, which the model continues."""
    forced_tool: StrictBool = True
    """Whether the model can be forced to call a tool."""
    json_schema: StrictBool = True
    """Whether the provider can enforce a JSON schema."""
    vision: StrictBool = True
    """Whether the model supports images and files."""
    mid_conversation_system: StrictBool = False
    """Whether a conversation may have system messages after its first message."""
    thinking: Literal["none", "budget", "adaptive", "always"] = "none"
    """How it thinks: within a budget of tokens, adaptively, or adaptively and always."""
    bound_thinking: StrictBool = False
    """Whether its thinking is valid only in an unchanged conversation."""
    min_thinking_budget: Annotated[int, Field(ge=0, strict=True)] = 0
    """The minimum thinking budget in tokens, for `thinking = "budget"`; 0 means that thinking can be disabled."""
    efforts: tuple[Effort, ...] = ("low", "medium", "high")
    """The reasoning efforts that it supports, lowest first."""
    default_effort: Effort | Literal["none"] = "none"
    """The reasoning effort without `reasoning_effort`, for a model of OpenAI's that can do without reasoning."""
    forced_tool_while_thinking: StrictBool = True
    """Whether it can be forced to call a tool while it thinks."""
    cache_points: tuple[Literal["system", "messages", "tools"], ...] = ()
    """Where Bedrock supports cache points for it ("Prompt caching", table of supported models)."""
    cache_ttl_1h: StrictBool = False
    """Whether Bedrock supports cache points with a time to live of one hour for it."""
    exclusive_sampling: StrictBool = False
    """Whether Bedrock refuses temperature and top_p together for it, as for Claude; 1 is then the default of both."""
    top_k_field: Literal["top_k", "inferenceConfig.topK"] | None = None
    """The field of `additionalModelRequestFields` on Bedrock for top_k, Claude's or Nova's; None means unsupported."""
    native_tool_choice: StrictBool = False
    """Whether Bedrock passes Claude's own `tool_choice` to it, which can disable parallel calls."""
    unsupported_schema_keywords: tuple[str, ...] = ()
    """Keywords that are removed from the root of a tool's JSON schema on Bedrock: Nova ignores a tool with them (AWS,
    Amazon Nova User Guide, "Troubleshooting tool calls")."""
    max_output_tokens: Annotated[int, Field(gt=0, strict=True)] | None = None
    """The model's maximum of output tokens."""
    unsupported: tuple[str, ...] = ()
    """Parameters that this model refuses although its provider supports them."""
