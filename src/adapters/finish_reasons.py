"""Why an answer ended: a family's table of its provider's words, and the one rule by which it is read."""

import re
from collections.abc import Mapping
from typing import Literal

from tollgate.adapters.redaction import redact
from tollgate.gateway.errors import OverloadedError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.types import Json

Meaning = Literal["stop", "length", "tool_calls", "content_filter", "error", "overloaded", "timeout"]
Table = Mapping[str, Meaning]
"""A provider's word, in lower case, to one of OpenAI's, or to the failure it is."""

_FAILURES = {"error": UpstreamError, "overloaded": OverloadedError, "timeout": UpstreamTimeoutError}
_NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)

COMMON: Table = {
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
"""Words that servers of every family use: those of the large providers, which others take over when they speak another
family's protocol, and of vLLM (`abort`), Zhipu (`sensitive`, `network_error`) and DeepSeek."""


def finish(native: str | None, table: Table, called: bool = False, words: str | None = None) -> Json:
    """`finish_reason`, and OpenRouter's `native_finish_reason` where the provider's own word is another.

    `called` is whether tools of the client's were called. An answer that ended without a word is a stop, or its calls.
    A word that is not in the table is told as it is: nobody knows that the answer is whole. Raises what `failure_of`
    gives.
    """
    if not native:
        return {"finish_reason": "tool_calls" if called else "stop"}
    if provider_error := failure_of(native, table, words):
        raise provider_error
    word = _word(native)
    reason = table.get(native.lower(), word)
    if reason in ("stop", "tool_calls"):
        reason = "tool_calls" if called else "stop"
    return {"finish_reason": reason} if reason == word else {"finish_reason": reason, "native_finish_reason": word}


def failure_of(native: str | None, table: Table, words: str | None = None) -> UpstreamError | None:
    """The error of an answer that ended for a reason that is a failure, in the provider's own `words` if it has any."""
    provider_error = _FAILURES.get(table.get((native or "").lower(), ""))
    if native is None or provider_error is None:
        return None
    return provider_error(redact(words or "") or f"The provider ended its answer with the reason '{_word(native)}'.")


def _word(native: str) -> str:
    """The provider's word, if it is one: it goes into log and record, where no text may go."""
    return native if _NAME.fullmatch(native) else "unknown"
