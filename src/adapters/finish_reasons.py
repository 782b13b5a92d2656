"""Maps a provider's reason for ending a response to OpenAI's `finish_reason` or to an error."""

import re
from collections.abc import Mapping
from typing import Literal

from tollgate.adapters.redaction import redact
from tollgate.gateway.errors import OverloadedError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.types import Json

Meaning = Literal["stop", "length", "tool_calls", "content_filter", "error", "overloaded", "timeout"]
FinishReasons = Mapping[str, Meaning]
"""A provider's reasons in lower case, with OpenAI's finish_reason or the failure that each one means."""

_FAILURES = {"error": UpstreamError, "overloaded": OverloadedError, "timeout": UpstreamTimeoutError}
_NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)

COMMON: FinishReasons = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "tool_call", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "sensitive", "safety", "refusal", "recitation"), "content_filter"),
    **dict.fromkeys(
        ("error", "abort", "aborted", "network_error", "internal_error", "server_error", "failed", "cancelled",
         "canceled", "cancel", "interrupted"), "error",
    ),
    **dict.fromkeys(("timeout", "timed_out", "deadline_exceeded"), "timeout"),
    **dict.fromkeys(("overloaded", "engine_overloaded", "insufficient_system_resource"), "overloaded"),
}  # fmt: skip
"""Reasons that servers of every family use: those of the large providers, which other servers copy when they implement
another family's protocol, and of vLLM (`abort`), Zhipu (`sensitive`, `network_error`) and DeepSeek."""


def finish_fields(
    native: str | None, reasons: FinishReasons, has_tool_calls: bool = False, message: str | None = None
) -> Json:
    """`finish_reason`, and OpenRouter's `native_finish_reason` if the provider's own reason differs.

    A response without a reason ends with `tool_calls` if it calls the client's tools, else with `stop`. A reason that
    is not in the table is returned as it is, because such a response may be incomplete. Raises what `finish_error`
    returns.
    """
    if not native:
        return {"finish_reason": "tool_calls" if has_tool_calls else "stop"}
    if error := finish_error(native, reasons, message):
        raise error
    name = _checked_name(native)
    reason = reasons.get(native.lower(), name)
    if reason in ("stop", "tool_calls"):
        reason = "tool_calls" if has_tool_calls else "stop"
    return {"finish_reason": reason} if reason == name else {"finish_reason": reason, "native_finish_reason": name}


def finish_error(native: str | None, reasons: FinishReasons, message: str | None = None) -> UpstreamError | None:
    """The error for a reason that means a failure, with the provider's `message` if there is one."""
    error_type = _FAILURES.get(reasons.get((native or "").lower(), ""))
    if native is None or error_type is None:
        return None
    reason = f"The provider ended the response with the reason '{_checked_name(native)}'."
    return error_type(redact(message or "") or reason)


def _checked_name(native: str) -> str:
    """The provider's reason if it is a name; free text must not reach logs and records."""
    return native if _NAME.fullmatch(native) else "unknown"
