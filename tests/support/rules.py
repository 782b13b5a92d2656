"""Rules for every result of a family, also for malformed responses."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.metering import cost_of
from tollgate.gateway.types import Json, Usage

FINISH_REASONS = (None, "stop", "length", "tool_calls", "content_filter")
_NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)
"""A finish reason that is in no table is relayed if it is a name."""
STATUSES = frozenset({400, 404, 413, 429, 502, 503, 504})
T = TypeVar("T")


def result_or_gateway_error(work: Callable[[], T]) -> T | None:
    """The result of `work`; None if it raises a GatewayError that a client may get."""
    try:
        return work()
    except GatewayError as error:
        failure = error
    json.dumps([error_body(failure), dict(failure.headers())], allow_nan=False)
    assert failure.message
    assert failure.status in STATUSES
    return None


def check_completion(completion: Completion) -> None:
    """Assert that a whole response has choices in OpenAI's form."""
    assert completion.choices
    _check(completion.choices, completion.usage, completion.extra)
    for choice in completion.choices:
        assert choice["finish_reason"] is not None
        assert isinstance(choice["message"]["content"], str | None)
        _check_end(choice["finish_reason"], bool(choice["message"].get("tool_calls")))


def check_chunks(chunks: Iterable[Chunk]) -> None:
    """Assert the rules of StreamParser: the role first and once, one finish_reason per choice, nothing after it."""
    begun: set[int] = set()
    called: set[int] = set()
    ended: set[int] = set()
    for chunk in chunks:
        _check(chunk.choices, chunk.usage, chunk.extra)
        for step in chunk.choices:
            assert step["index"] not in ended, "a step follows the finish_reason"
            assert ("role" in step["delta"]) == (step["index"] not in begun), "the role comes first, and once"
            begun.add(step["index"])
            assert isinstance(step["delta"].get("content"), str | None)
            if step["delta"].get("tool_calls"):
                called.add(step["index"])
            if step["finish_reason"] is not None:
                ended.add(step["index"])
                _check_end(step["finish_reason"], step["index"] in called)
    assert begun == ended, "a choice has no finish_reason"


def _check_end(reason: str, has_calls: bool) -> None:
    """Clients run tools for "tool_calls" only; another reason with calls means a truncated response."""
    assert reason not in ("stop", "function_call") if has_calls else reason != "tool_calls"


def _check(choices: Sequence[Json], usage: Usage | None, extra: Any) -> None:
    json.dumps([choices, dict(extra)], allow_nan=False)
    assert all(
        choice["finish_reason"] in FINISH_REASONS or _NAME.fullmatch(choice["finish_reason"]) for choice in choices
    )
    if usage is not None:
        assert usage.cached_tokens + usage.cache_write_tokens <= usage.input_tokens or not usage.input_tokens
        cost = cost_of(usage, None).usd
        assert cost is None or cost >= 0
