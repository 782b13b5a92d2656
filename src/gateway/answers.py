"""The envelope around every answer: one id, one created and one model, whoever answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollgate.gateway.types import Chunk, Completion, Json, Usage


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stays the same over one answer.

    `model` is the name the client asked by, `created` is in Unix seconds, `provider` is the provider's row in the
    catalog, which OpenRouter's clients read (its API reference, "Chat completion"). With `has_functions` a call of a
    tool is told as the `function_call` that OpenAI had before `tool_calls`, which has room for one.
    """

    id: str
    created: int
    model: str
    provider: str
    has_functions: bool = False

    def completion(self, completion: Completion, usage: Usage | None) -> Json:
        """OpenAI's `chat.completion` object, with this usage if there is one to tell."""
        body = self._around("chat.completion", completion)
        if usage is not None:
            body["usage"] = usage.to_wire()
        return body

    def chunk(self, chunk: Chunk, with_usage: bool) -> Json:
        """OpenAI's `chat.completion.chunk`; with usage asked for, every chunk but the last has `usage: null`."""
        body = self._around("chat.completion.chunk", chunk)
        if with_usage:
            body["usage"] = None
        return body

    def usage_chunk(self, usage: Usage, extra: Mapping[str, Any]) -> Json:
        """The extra last chunk of a stream whose client asked for usage: no choices, the count, what came with it."""
        return {**self._around("chat.completion.chunk", Chunk(extra=extra)), "usage": usage.to_wire()}

    def _around(self, kind: str, answer: Completion | Chunk) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": [self._choice(choice) for choice in answer.choices],
            **answer.extra,
            "provider": self.provider,
        }

    def _choice(self, choice: Json) -> Json:
        """The choice, its reasoning under both its names: DeepSeek's `reasoning_content`, OpenRouter's `reasoning`."""
        place = "delta" if "delta" in choice else "message"
        said = choice[place]
        if "reasoning_content" in said and "reasoning" not in said:
            choice = {**choice, place: {**said, "reasoning": said["reasoning_content"]}}
        return _with_function_call(choice, place) if self.has_functions else choice


def _with_function_call(choice: Json, place: str) -> Json:
    """The choice with its first call in OpenAI's former shape."""
    said: Json = {**choice[place]}
    calls: list[Json] = said.pop("tool_calls", [])
    first = [call for call in calls if call.get("index", 0) == 0][:1]
    if first:
        said["function_call"] = first[0]["function"]
    is_called = choice.get("finish_reason") == "tool_calls"
    return {**choice, place: said, **({"finish_reason": "function_call"} if is_called else {})}
