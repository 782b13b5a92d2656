"""Which parameters of a chat request a model supports, by the names of OpenRouter's "Models API Standard"."""

from collections.abc import Mapping

from tollgate.gateway.catalog import Model, Provider
from tollgate.gateway.quirks import Capabilities

_IN_EVERY_FAMILY = frozenset({
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "tools", "tool_choice",
    "parallel_tool_calls", "response_format", "structured_outputs", "reasoning", "include_reasoning",
    "reasoning_effort",
})  # fmt: skip
_IN_FAMILY: Mapping[str, frozenset[str]] = {
    "openai": frozenset({
        "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "top_a", "seed", "n", "logit_bias",
        "logprobs", "top_logprobs", "verbosity", "web_search_options", "prediction", "service_tier",
    }),
    "anthropic": frozenset({"service_tier"}),
    "bedrock": frozenset({"service_tier"}),
    "gemini": frozenset({"n", "seed", "logprobs", "top_logprobs", "service_tier"}),
}  # fmt: skip
_SAMPLING = frozenset({"temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"})
_REASONING = frozenset({"reasoning", "include_reasoning", "reasoning_effort"})
_TRANSLATED = frozenset({"max_tokens", "max_completion_tokens", "reasoning", "include_reasoning", "structured_outputs"})
"""Parameters that the gateway sends under other names."""


def supported_parameters(model: Model, provider: Provider) -> list[str]:
    """The parameters in alphabetical order; none for a model without chat.

    A test holds this against what the adapters do, which need more time to be asked than a list of all models has.
    """
    if "chat" not in model.operations:
        return []
    capabilities, quirks = model.capabilities, provider.quirks
    names = _IN_EVERY_FAMILY | _IN_FAMILY.get(provider.family, frozenset())
    if quirks.fields:
        names &= {*quirks.fields, *quirks.renamed, *_TRANSLATED}
    names -= {*quirks.unsupported, *capabilities.unsupported}
    names -= _refused_by_model(capabilities) | _refused_in_family(model, provider)
    if "reasoning_effort" not in names:
        names -= _REASONING
    return sorted(names)


def _refused_by_model(capabilities: Capabilities) -> frozenset[str]:
    refused: frozenset[str] = frozenset()
    if not capabilities.sampling:
        refused |= _SAMPLING
    if capabilities.thinking == "none":
        refused |= _REASONING
    if not capabilities.forced_tool:
        refused |= {"tool_choice"}
    if not capabilities.json_schema:
        refused |= {"structured_outputs"}
    return refused


def _refused_in_family(model: Model, provider: Provider) -> frozenset[str]:
    """What the family drops for a model like this, although its API has it."""
    capabilities, refused = model.capabilities, frozenset[str]()
    match provider.family:
        case "gemini":
            refused |= {"parallel_tool_calls"}
        case "bedrock":
            refused |= {"top_k"} if capabilities.top_k_field is None else frozenset()
            refused |= {"parallel_tool_calls"} if not capabilities.native_tool_choice else frozenset()
        case "openai" if capabilities.thinking == "adaptive":
            thinks_by_default = provider.quirks.thinking_switch or capabilities.default_effort != "none"
            refused |= {*_SAMPLING, "logprobs", "top_logprobs"} if thinks_by_default else frozenset()
        case _:
            pass
    return refused
