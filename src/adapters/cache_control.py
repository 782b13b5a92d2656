"""Reads the prompt cache breakpoints that clients set on messages, content parts and tools."""

from tollgate.adapters.json_access import child
from tollgate.gateway.types import Json


def read_cache_control(part: Json) -> Json | None:
    """The options of a breakpoint (`ttl`, if it is `5m` or `1h`); None if the part has no breakpoint.

    A breakpoint is Anthropic's `cache_control` or OpenAI's `prompt_cache_breakpoint`.
    """
    breakpoint_ = child(part, "cache_control") or child(part, "prompt_cache_breakpoint")
    if not breakpoint_:
        return None
    return {"ttl": breakpoint_["ttl"]} if breakpoint_.get("ttl") in ("5m", "1h") else {}
