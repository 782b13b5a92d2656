"""How providers and models differ, as named columns of catalog rows: a new server or model is a row, not code."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct


class Dialect(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a provider's requests for one operation differ from those of its family."""

    unsupported: tuple[str, ...] = ()
    """Parameters that it refuses: those that change the result are refused here, the others dropped."""
    renamed: Mapping[str, str] = {}
    """Parameters that it knows under another name."""


class Quirks(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a provider's dialect of its family differs, as named columns."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The only name of the output limit that this provider accepts; None: the name that the client sent."""
    stream_usage: bool = True
    """Whether it supports `stream_options.include_usage`; without it, usage comes unrequested or not at all."""
    unsupported: tuple[str, ...] = ()
    """Request fields that it refuses: those that change the result are refused here, the others dropped."""
    fields: tuple[str, ...] = ()
    """The only request fields that it accepts, for a provider that refuses all others; empty: any."""
    renamed: Mapping[str, str] = {}
    """Request fields that it accepts under another name."""
    router: bool = False
    """Whether it reads OpenRouter's fields for a router (`provider`, `models`, `reasoning` and others)."""
    developer_role: bool = False
    """Whether it supports the role `developer`; other providers get `system`."""
    cache_control_fields: tuple[str, ...] | None = None
    """The fields with which a part of a message is marked for caching; None: whatever the client sends."""
    fetches_urls: bool = True
    """Whether it fetches images by URL."""
    reasoning_fields: tuple[str, ...] | None = None
    """The fields of an assistant's message in which it accepts reasoning; None: whatever the client sends."""
    thinking_switch: bool = False
    """Whether thinking is on unless `thinking` turns it off; it must then be returned with every tool call, and no tool
    can be forced."""
    tool_id_length: Annotated[int, Meta(gt=0)] | None = None
    """The exact number of letters and digits of the tool call ids that it accepts."""
    max_tool_id_length: Annotated[int, Meta(gt=12)] | None = None
    """The most characters of a tool call id that it accepts; None: any number, and no id is changed."""
    message_fields: Mapping[Literal["system", "user", "assistant", "tool"], tuple[str, ...]] = {}
    """The fields that it accepts in messages of a role, beside `role` and `content`, for a provider that refuses all
    others; in roles that are not named it accepts any."""
    call_fields: tuple[str, ...] = ("id", "type", "function", "custom")
    """The fields that it accepts in an assistant's tool calls."""
    string_content: tuple[str, ...] = ()
    """Roles whose content it accepts as a string and not as a list of text parts."""
    strict_order: bool = False
    """Whether it refuses a user message right after a tool result, and a system message right after either."""

    responses: bool = False
    """Whether it has OpenAI's Responses; others get a translation to Chat Completions."""

    embeddings: Dialect = Dialect()
    moderations: Dialect = Dialect()
    rerank: Dialect = Dialect()
    images: Dialect = Dialect()
    speech: Dialect = Dialect()
    transcriptions: Dialect = Dialect()


Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class Capabilities(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model supports, at every provider. The defaults refuse nothing."""

    sampling: bool = True
    """Whether temperature, top_p and top_k may be set."""
    prefill: bool = True
    """Whether a conversation may end with an assistant message, which the model continues."""
    forced_tool: bool = True
    """Whether the model can be forced to call a tool."""
    json_schema: bool = True
    """Whether the provider can enforce a JSON schema."""
    vision: bool = True
    """Whether the model supports images and files."""
    mid_conversation_system: bool = False
    """Whether a conversation may have system messages after its first message."""
    thinking: Literal["none", "budget", "adaptive", "always"] = "none"
    """How it thinks: within a budget of tokens, adaptively, or adaptively and always."""
    bound_thinking: bool = False
    """Whether its thinking is valid only in an unchanged conversation."""
    min_thinking_budget: Annotated[int, Meta(ge=0)] = 0
    """The minimum thinking budget in tokens, for `thinking = "budget"`; 0 means that thinking can be disabled."""
    efforts: tuple[Effort, ...] = ("low", "medium", "high")
    """The reasoning efforts that it supports, lowest first."""
    default_effort: Effort | Literal["none"] = "none"
    """The reasoning effort without `reasoning_effort`, for a model of OpenAI's that can do without reasoning."""
    forced_tool_while_thinking: bool = True
    """Whether it can be forced to call a tool while it thinks."""
    cache_points: tuple[Literal["system", "messages", "tools"], ...] = ()
    """Where Bedrock supports cache points for it ("Prompt caching", table of supported models)."""
    cache_ttl_1h: bool = False
    """Whether Bedrock supports cache points with a time to live of one hour for it."""
    exclusive_sampling: bool = False
    """Whether Bedrock refuses temperature and top_p together for it, as for Claude; 1 is then the default of both."""
    top_k_field: Literal["top_k", "inferenceConfig.topK"] | None = None
    """The field of `additionalModelRequestFields` on Bedrock for top_k, Claude's or Nova's; None means unsupported."""
    native_tool_choice: bool = False
    """Whether Bedrock passes Claude's own `tool_choice` to it, which can disable parallel calls."""
    unsupported_schema_keywords: tuple[str, ...] = ()
    """Keywords that are removed from the root of a tool's JSON schema on Bedrock: Nova ignores a tool with them (AWS,
    Amazon Nova User Guide, "Troubleshooting tool calls")."""
    max_output_tokens: Annotated[int, Meta(gt=0)] | None = None
    """The model's maximum of output tokens."""
    max_inputs: Annotated[int, Meta(gt=0)] | None = None
    """The most inputs that one request for embeddings may have; a larger one is split."""
    embeddings_body: Literal["titan", "cohere"] | None = None
    """The body for InvokeModel on Bedrock, which each maker of embedding models has of its own."""
    unsupported: tuple[str, ...] = ()
    """Parameters that this model refuses although its provider supports them."""
