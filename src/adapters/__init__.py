"""Translation between the gateway and providers: a package for each family, pure functions without I/O."""

from collections.abc import Mapping

from tollgate.adapters import anthropic, bedrock, gemini, openai
from tollgate.adapters.echo import chat as echo
from tollgate.gateway.ports import Adapter

FAMILIES: Mapping[str, Adapter] = {
    "anthropic": anthropic,
    "bedrock": bedrock,
    "echo": echo,
    "gemini": gemini,
    "openai": openai,
}
