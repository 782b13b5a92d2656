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
    names -= {*quirks.unsupported, *capabilities.unsupported, *_refused(capabilities, provider)}
    if "reasoning_effort" not in names:
        names -= _REASONING
    return sorted(names)


def _refused(capabilities: Capabilities, provider: Provider) -> frozenset[str]:
    """What is dropped or refused for a model like this, although its family's API has it."""
    on_bedrock, on_gemini = provider.family == "bedrock", provider.family == "gemini"
    is_asked_to_think = capabilities.default_effort == "none" and not provider.quirks.thinking_switch
    thinks_unasked = provider.family == "openai" and capabilities.thinking == "adaptive" and not is_asked_to_think
    refusals = (
        (not capabilities.sampling, _SAMPLING),
        (capabilities.thinking == "none", _REASONING),
        (not capabilities.forced_tool, {"tool_choice"}),
        (not capabilities.json_schema, {"structured_outputs"}),
        (on_gemini or (on_bedrock and not capabilities.native_tool_choice), {"parallel_tool_calls"}),
        (on_bedrock and capabilities.top_k_field is None, {"top_k"}),
        (thinks_unasked, {*_SAMPLING, "logprobs", "top_logprobs"}),
    )
    return frozenset[str]().union(*(names for applies, names in refusals if applies))
