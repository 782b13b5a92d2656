"""A request of OpenAI's Responses as a chat request (API reference, "Create a model response").

The gateway stores nothing: what needs a stored response is refused, and `store` is taken as false.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from tollgate.adapters.clients.responses_items import ItemReader
from tollgate.adapters.clients.responses_tools import ToolName, read_tools, tool_fields
from tollgate.adapters.clients.untranslated import whole_text
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, text
from tollgate.gateway.chat import MAX_MESSAGES, MAX_TOOLS, ChatRequest, NativeBody
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid

_STATEFUL = ("previous_response_id", "conversation", "prompt", "background")
_PASSED_ON = (
    "temperature", "top_p", "stream", "user", "safety_identifier", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "provider",
)  # fmt: skip
_TRANSLATED = frozenset({
    "model", "input", "instructions", "max_output_tokens", "reasoning", "text", "tools", "tool_choice", "include",
    "parallel_tool_calls", "top_logprobs", "metadata", "store", "stream_options", "client_metadata", *_STATEFUL,
    *_PASSED_ON,
})  # fmt: skip
_NEUTRAL: Mapping[str, Any] = {"truncation": "disabled"}
_LOGPROBS = "message.output_text.logprobs"
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class ResponsesRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/responses`."""

    input: str | Annotated[list[Json], Meta(min_length=1, max_length=MAX_MESSAGES)]
    instructions: str | None = None
    stream: bool = False
    store: bool = False
    background: bool = False
    previous_response_id: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning: Json | None = None
    text: Json | None = None
    tools: Annotated[list[Json], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None


def chat_request(request: ResponsesRequest) -> tuple[ChatRequest, Mapping[str, ToolName]]:
    """The request, with the client's own body for a provider that has Responses, and the client's names of the tools.

    Raises BadRequestError for a field that is wrong, and for what would need a stored response.
    """
    for name in _STATEFUL:
        if request.wire().get(name):
            raise unsupported(name, f"The gateway stores no responses, so it does not support {name!r}.")
    reader, tools, refusal = ItemReader(), read_tools(()), None
    try:
        tools = read_tools(request.tools or ())
        reader.read(_items(request))
        fields = tool_fields(tools, request.tool_choice, request.parallel_tool_calls)
    except BadRequestError as error:
        if error.code != "unsupported_parameter":
            raise
        fields, refusal = {}, error
        reader.messages = [whole_text(request.input, request.tools)]
    if not reader.messages:
        raise invalid("input", "it has no message")
    translated = {
        "model": request.model,
        "messages": [*_instructions(request), *reader.messages],
        **{name: value for name, value in request.wire().items() if name in _PASSED_ON},
        **fields,
        **_options(request),
    }
    dropped = (*_dropped(request), *dict.fromkeys((*tools.dropped, *reader.dropped)))
    native = NativeBody("responses", request.wire(), {}, dropped, refusal)
    return ChatRequest.of(translated).with_native(native), tools.names


def _items(request: ResponsesRequest) -> list[Json]:
    return [{"role": "user", "content": request.input}] if isinstance(request.input, str) else request.input


def _instructions(request: ResponsesRequest) -> list[Json]:
    return [{"role": "developer", "content": request.instructions}] if request.instructions else []


def _options(request: ResponsesRequest) -> Json:
    fields: Json = {**_reasoning(request.reasoning or {}), **_format(request.text or {})}
    if request.max_output_tokens:
        fields["max_tokens"] = request.max_output_tokens
    if verbosity := text(request.text or {}, "verbosity"):
        fields["verbosity"] = verbosity
    if _LOGPROBS in (request.include or ()):
        fields |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    return fields


def _reasoning(reasoning: Json) -> Json:
    effort = reasoning.get("effort")
    if effort is None:
        return {}
    if effort not in _EFFORTS:
        raise invalid("reasoning.effort", f"it is one of {', '.join(_EFFORTS)}")
    return {"reasoning_effort": effort}


def _format(output: Json) -> Json:
    """`text.format`, whose JSON schema has its fields one level higher than in Chat Completions."""
    wanted = child(output, "format")
    kind = wanted.get("type", "text")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": kind}}
    if kind != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise invalid("text.format", "it is text, json_object, or json_schema with a schema")
    schema = {name: value for name, value in wanted.items() if name != "type"}
    return {"response_format": {"type": kind, "json_schema": {"name": "output", **schema}}}


def _dropped(request: ResponsesRequest) -> list[str]:
    dropped = ["store"] if request.store else []
    return dropped + sorted(
        name
        for name, value in request.extra.items()
        if name not in _TRANSLATED and value != _NEUTRAL.get(name) and value not in (False, [], {})
    )
