"""The chat operation's data: the request, a whole response and a chunk of a stream, in OpenAI's wire names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Required, Self, TypedDict, cast

from msgspec import Meta
from msgspec.structs import replace

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json, Usage, utf8_length

TextField = Literal["content", "reasoning_content", "refusal", "arguments"]

MAX_MESSAGES = 10_000
MAX_PARTS = 2_000
MAX_TOOL_CALLS = 1_000
MAX_TOOLS = 1_000
MAX_STOPS = 64
"""Bounds of a request's lists. No provider accepts more (OpenAI's API reference, "Create chat completion": 128 tools, 4
stop sequences)."""


class ContentPart(TypedDict, total=False):
    """One part of a message's content; `type` says which of the other fields it has."""

    type: Required[str]
    text: str | None
    image_url: Json | None
    input_audio: Json | None
    file: Json | None


class Message(TypedDict, total=False):
    """One message of a conversation. Fields that the gateway does not read are kept and passed on."""

    role: Required[Literal["system", "developer", "user", "assistant", "tool", "function"]]
    content: str | Annotated[list[ContentPart], Meta(max_length=MAX_PARTS)] | None
    tool_calls: Annotated[list[Json], Meta(max_length=MAX_TOOL_CALLS)] | None
    tool_call_id: str | None


class StreamOptions(TypedDict, total=False):
    """Options of a stream; `include_usage` requests a last chunk with the usage."""

    include_usage: bool | None


@dataclass(frozen=True, slots=True)
class NativeBody:
    """A request in another API than Chat Completions, as its client wrote it: for a provider that speaks that API.

    `headers` are those of the client that belong to the API. Another provider gets the translation of the body:
    `dropped` names the parameters that it does not have, and `refusal` says what cannot be translated. Without an `api`
    every provider gets the translation.
    """

    api: Literal["messages", "responses", "completions"] | None
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    dropped: tuple[str, ...] = ()
    refusal: BadRequestError | None = None


class ChatRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions` (OpenAI API reference, "Create chat completion").

    `native` is the client's own body if it speaks another API; then the other fields are a translation of it.
    """

    model: Annotated[str, Meta(min_length=1, max_length=256)] = ""
    """Empty if the catalog's default model is requested."""
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOPS)] | None = None
    tools: Annotated[list[Json], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | Json | None = None
    response_format: Json | None = None
    native: NativeBody | None = None

    def with_native(self, native: NativeBody) -> Self:
        """The same request with the client's own body."""
        return replace(self, native=native)

    @property
    def wants_usage_chunk(self) -> bool:
        """Whether the client requests the usage chunk of a stream, in OpenAI's way or OpenRouter's (`usage.include`;
        its documentation, "Usage Accounting")."""
        options: Any = self.extra.get("usage")
        included = isinstance(options, dict) and cast(Json, options).get("include") is True
        return included or bool(self.stream_options and self.stream_options.get("include_usage"))

    @property
    def has_functions(self) -> bool:
        """Whether the client declares its tools as `functions`, which OpenAI had before `tools`."""
        return bool(self.extra.get("functions")) and not self.tools

    @property
    def output_limit(self) -> int | None:
        """The most output tokens that the client allows, under either of the field's two names."""
        return self.max_completion_tokens or self.max_tokens


@dataclass(slots=True)
class _Choices:
    """OpenAI `choices`, what was used, and further top-level fields to relay (`system_fingerprint`, `service_tier`)."""

    choices: Sequence[Json] = ()
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def has_content(self) -> bool:
        """Whether it has choices."""
        return bool(self.choices)

    @property
    def finish_reason(self) -> str | None:
        """The last finish_reason among its choices."""
        reasons = [choice["finish_reason"] for choice in self.choices if choice.get("finish_reason")]
        return reasons[-1] if reasons else None

    @property
    def text_bytes(self) -> int:
        """The length of its text, reasoning, refusals and tool calls, in bytes of UTF-8."""
        return sum(_text_bytes(choice.get("delta") or choice.get("message") or {}) for choice in self.choices)


class Completion(_Choices):
    """A whole response without its envelope (`id`, `created`, `model`), which a client format adds."""

    __slots__ = ()


class Chunk(_Choices):
    """One step of a streamed response without its envelope; `choices` is empty if it carries only usage."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class TextPlace:
    """Where a piece of text belongs, and what comes with it: everything of a chunk but the text.

    `name` is the field of the delta that has the text: `arguments` are those of the tool call with the index `call`.
    `beside` has further fields of the choice, `extra` those of the chunk. With `has_logprobs` the choice has that
    field, which is null. Pieces of one text have the same object, by which an encoder knows that nothing else changed.
    """

    index: int = 0
    name: TextField = "content"
    call: int = 0
    has_logprobs: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def choice(self, text: str) -> Json:
        """The choice with this piece of text."""
        is_call = self.name == "arguments"
        piece: Json = {"index": self.call, "function": {"arguments": text}}
        delta: Json = {"tool_calls": [piece]} if is_call else {self.name: text}
        logprobs = {"logprobs": None} if self.has_logprobs else {}
        return {**self.beside, "index": self.index, "delta": delta, **logprobs, "finish_reason": None}


class TextChunk(Chunk):
    """The usual chunk: another piece of a text. Reading and writing it costs little."""

    __slots__ = ("place", "text")

    def __init__(self, place: TextPlace, text: str, usage: Usage | None = None) -> None:
        self.place = place
        self.text = text
        self.extra = place.extra
        self.usage = usage

    @property
    def choices(self) -> Sequence[Json]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The choice that the text belongs to: made when it is read, which an encoder of chunks needs not."""
        return (self.place.choice(self.text),)

    @property
    def has_content(self) -> bool:
        """Always true."""
        return True

    @property
    def finish_reason(self) -> str | None:
        """Always None."""
        return None

    @property
    def text_bytes(self) -> int:
        """The length of its text."""
        return utf8_length(self.text)


class NativeCompletion(Completion):
    """A whole response with `body`, which the provider wrote in the API that the client speaks."""

    __slots__ = ("body",)

    def __init__(self, completion: Completion, body: Json) -> None:
        super().__init__(completion.choices, completion.usage, completion.extra)
        self.body = body


class NativeChunk(Chunk):
    """One event of a stream in the API that the client speaks: its name, and its data as the provider wrote it."""

    __slots__ = ("_finish_reason", "_text_bytes", "data", "name")

    def __init__(
        self,
        name: str,
        data: str,
        *,
        text_bytes: int = 0,
        finish_reason: str | None = None,
        usage: Usage | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__((), usage, extra or {})
        self.name = name
        self.data = data
        self._text_bytes = text_bytes
        self._finish_reason = finish_reason

    @property
    def has_content(self) -> bool:
        """Always true: every event is passed on."""
        return True

    @property
    def finish_reason(self) -> str | None:
        """Why the response ended, in an event that clients take for the end."""
        return self._finish_reason

    @property
    def text_bytes(self) -> int:
        """The length of the text in it."""
        return self._text_bytes


def _text_bytes(message: Json) -> int:
    """The length of a message, or of a piece of one."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    texts = [message.get("content"), reasoning, message.get("refusal")]
    calls: list[Json] = message.get("tool_calls") or []
    for call in calls:
        function: Json = call.get("function") or {}
        texts += [function.get("name"), function.get("arguments")]
    return sum(utf8_length(text) for text in texts if isinstance(text, str))
