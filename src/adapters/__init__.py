"""Translation between clients, the gateway and providers: pure functions without I/O."""

from collections.abc import Mapping

from tollgate.adapters import anthropic, bedrock, echo, gemini, openai
from tollgate.gateway.ports import Family

FAMILIES: Mapping[str, Family] = {
    "anthropic": anthropic.FAMILY,
    "bedrock": bedrock.FAMILY,
    "echo": echo.FAMILY,
    "gemini": gemini.FAMILY,
    "openai": openai.FAMILY,
}
"""Every family by its name in the rows of providers in the catalog."""
