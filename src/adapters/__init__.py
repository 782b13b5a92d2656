"""The interpreters: a package for each wire family, pure functions between OpenAI's shapes and a provider's."""

from collections.abc import Mapping

from adapters import anthropic, bedrock, echo, gemini, openai
from gateway.ports import Adapter

FAMILIES: Mapping[str, Adapter] = {
    "anthropic": anthropic,
    "bedrock": bedrock,
    "echo": echo,
    "gemini": gemini,
    "openai": openai,
}
