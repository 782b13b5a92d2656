"""The families with recorded responses of their providers, in `tests/fixtures/FAMILY`.

NAME.json is a whole response, and NAME.sse the same response as a stream; some have one of both. error_NAME.json is the
body of a response with an error status, error_NAME.sse a stream with an error, truncated.sse one that is cut off. A
stream of frames is NAME.jsonl, with a line for each frame.
"""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, cast

from msgspec.structs import replace as struct_replace

from support import aws_event_stream
from tollgate.adapters import FAMILIES
from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.ports import ProviderCall, StreamParser
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.sse import EventReader
from tollgate.gateway.types import Json, Usage

FIXTURES = Path(__file__).parents[1] / "fixtures"
SCHEMA: Json = {"type": "object", "properties": {"name": {"type": "string"}}}


class ChatProviderCall(ProviderCall, Protocol):
    """A call of the chat operation."""

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        ...

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        ...


@dataclass(frozen=True)
class Family:
    """One family's chat calls and fixtures; `encode` writes events as the bytes of a stream.

    `in_long_way` adds to an event what means nothing, but is unusual: a family that reads the usual event of a stream
    in a short way reads it in the long one.
    """

    name: str
    call: Callable[[ChatRequest, Route], ChatProviderCall]
    suffix: str
    encode: Callable[[Sequence[Any]], bytes]
    in_long_way: Callable[[Any], Any] | None = None

    @property
    def folder(self) -> Path:
        """The folder of the fixtures."""
        return FIXTURES / self.name

    @property
    def wholes(self) -> list[str]:
        """The names of the whole responses."""
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.stem.startswith("error_"))

    @property
    def errors(self) -> list[str]:
        """The names of the bodies with an error status."""
        return sorted(path.stem for path in self.folder.glob("error_*.json"))

    @property
    def streams(self) -> list[str]:
        """The names of the streams."""
        return sorted(path.stem for path in self.folder.glob(f"*{self.suffix}"))

    @property
    def pairs(self) -> list[str]:
        """The names of the responses that are both whole and streamed."""
        return sorted({*self.wholes} & {*self.streams})

    def whole(self, name: str) -> bytes:
        """The bytes of a whole response, or of an error."""
        return (self.folder / f"{name}.json").read_bytes()

    def stream(self, name: str) -> bytes:
        """The bytes of a stream."""
        data = (self.folder / f"{name}{self.suffix}").read_bytes()
        return data if self.suffix == ".sse" else self.encode([json.loads(line) for line in data.splitlines()])

    def events(self, name: str) -> list[Any]:
        """The events of a stream: JSON values, or texts that are not JSON."""
        data = (self.folder / f"{name}{self.suffix}").read_bytes()
        if self.suffix != ".sse":
            return [json.loads(line) for line in data.splitlines()]
        return [_json_or_text(event) for event in EventReader().feed(data + b"\n\n")]

    def request_for(self, name: str) -> tuple[ChatRequest, Route]:
        """The request and the route of this fixture; json_tool is a JSON answer by a tool call."""
        if name == "json_tool":
            response_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
            return request(response_format=response_format), route(self.name, json_schema=False)
        return request(), route(self.name)

    def parse(self, name: str) -> Completion:
        """The whole response as a completion."""
        return self.call(*self.request_for(name)).parse_response(self.whole(name))

    def open(self, name: str) -> StreamParser[Chunk]:
        """A parser for a stream of this name."""
        return self.call(*self.request_for(name)).open_stream()

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """The error for a response with an error status."""
        return self.call(request(), route(self.name)).parse_error(status, headers, body)


def request(**fields: Any) -> ChatRequest:
    """A request with the message "Hi" and these fields."""
    return ChatRequest.of({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})


def route(family: str, quirks: Quirks | None = None, **capabilities: Any) -> Route:
    """A route to a provider of this family, to a model with these capabilities."""
    model = Model(
        id="m",
        created=datetime.date(2026, 1, 1),
        owned_by="o",
        context_length=8,
        capabilities=Capabilities(**capabilities),
        routes=(RouteRow(provider="p", model="native"),),
    )
    provider = Provider(name="p", family=family, base_url="https://x/v1", auth="none", quirks=quirks or Quirks())
    return Route(model, provider, "native", None)


def route_to(provider: str, weight: float = 1) -> Route:
    """A route to a provider with this name."""
    found = route("openai")
    return replace(found, provider=struct_replace(found.provider, name=provider), weight=weight)


def read(parser: StreamParser[Chunk], *pieces: bytes) -> list[Chunk]:
    """The chunks of a stream that arrives in these pieces and then ends."""
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece)]
    return chunks if parser.done else [*chunks, *parser.close()]


def translated(family: Family, name: str, events: Sequence[Any]) -> Any:
    """What a client gets for these events, byte by byte, the usage of each chunk, and the error, if there is one."""
    encoder, written, usages = (
        ChatEncoder(ResponseInfo("req_1", 1, "m", "p", "openai")),
        list[bytes](),
        list[Usage | None](),
    )
    parser = family.open(name)
    try:
        for chunk in chain(parser.feed(family.encode(events)), parser.close()):
            written.append(encoder.chunk(chunk))
            usages.append(chunk.usage)
    except GatewayError as error:
        return written, usages, (error.status, error.code, error.message)
    return written, usages, None


def _with(name: str, member: Json) -> Callable[[Any], Any]:
    """Adds the member to the objects in an event's list of this name."""

    def add(event: Any) -> Any:
        found: Any = cast(Json, event).get(name) if isinstance(event, dict) else None
        if not isinstance(found, list):
            return cast(Any, event)
        items = [
            {**member, **cast(Json, item)} if isinstance(item, dict) else item for item in cast("list[Any]", found)
        ]
        return {**cast(Json, event), name: items}

    return add


def sse(events: Sequence[Any]) -> bytes:
    """Server-sent events without names, as most providers send them."""
    return b"".join(
        b"data: " + (e if isinstance(e, str) else json.dumps(e)).encode("utf-8", "surrogatepass") + b"\n\n"
        for e in events
    )


def _json_or_text(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


def _chat_call(family: str) -> Callable[[ChatRequest, Route], ChatProviderCall]:
    return cast("Callable[[ChatRequest, Route], ChatProviderCall]", FAMILIES[family].calls["chat"])


ALL = {
    "anthropic": Family("anthropic", _chat_call("anthropic"), ".sse", sse),
    "gemini": Family("gemini", _chat_call("gemini"), ".sse", sse, _with("candidates", {"finishMessage": ""})),
    "openai": Family("openai", _chat_call("openai"), ".sse", sse, _with("choices", {"usage": {}})),
    "bedrock": Family("bedrock", _chat_call("bedrock"), ".jsonl", aws_event_stream.encode),
}
