"""Every wire family with the recorded answers of its provider, in `tests/fixtures/FAMILY`.

NAME.json is a whole answer, and NAME.sse the same answer as a stream; some are only one of both. error_NAME.json is the
body of an answer with an error status, error_NAME.sse a stream in which an error comes, truncated.sse one that is cut.
A stream of frames is NAME.jsonl, a line for each frame.
"""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from support import aws_event_stream
from tollgate.adapters import FAMILIES
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.ports import ProviderCall, StreamParser
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.sse import EventReader
from tollgate.gateway.types import Json

FIXTURES = Path(__file__).parents[1] / "fixtures"
SCHEMA: Json = {"type": "object", "properties": {"name": {"type": "string"}}}


class ChatProviderCall(ProviderCall, Protocol):
    """A call of the chat operation."""

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        ...

    def open_stream(self) -> StreamParser:
        """See ProviderCall."""
        ...


@dataclass(frozen=True)
class Family:
    """One family's chat calls and fixtures; `encode` makes the bytes of a stream from its events."""

    name: str
    call: Callable[[ChatRequest, Route], ChatProviderCall]
    suffix: str
    encode: Callable[[Sequence[Any]], bytes]

    @property
    def folder(self) -> Path:
        """Where the fixtures are."""
        return FIXTURES / self.name

    @property
    def wholes(self) -> list[str]:
        """The names of the whole answers."""
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.stem.startswith("error_"))

    @property
    def errors(self) -> list[str]:
        """The names of the bodies under an error status."""
        return sorted(path.stem for path in self.folder.glob("error_*.json"))

    @property
    def streams(self) -> list[str]:
        """The names of the streams."""
        return sorted(path.stem for path in self.folder.glob(f"*{self.suffix}"))

    @property
    def pairs(self) -> list[str]:
        """The names of the answers that are there both ways."""
        return sorted({*self.wholes} & {*self.streams})

    def whole(self, name: str) -> bytes:
        """The bytes of a whole answer, or of an error."""
        return (self.folder / f"{name}.json").read_bytes()

    def stream(self, name: str) -> bytes:
        """The bytes of a stream."""
        data = (self.folder / f"{name}{self.suffix}").read_bytes()
        return data if self.suffix == ".sse" else self.encode([json.loads(line) for line in data.splitlines()])

    def events(self, name: str) -> list[Any]:
        """What a stream is made of: JSON, or the text of an event that is none."""
        data = (self.folder / f"{name}{self.suffix}").read_bytes()
        if self.suffix != ".sse":
            return [json.loads(line) for line in data.splitlines()]
        return [_json_or_text(event.data) for event in EventReader().feed(data + b"\n\n")]

    def asked(self, name: str) -> tuple[ChatRequest, Route]:
        """What was asked for to get this fixture; json_tool is JSON from a model that must be made to call a tool."""
        if name == "json_tool":
            wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
            return request(response_format=wanted), route(self.name, json_schema=False)
        return request(), route(self.name)

    def parse(self, name: str) -> Completion:
        """The whole answer, read."""
        return self.call(*self.asked(name)).parse_response(self.whole(name))

    def open(self, name: str) -> StreamParser:
        """A parser for a stream of this name."""
        return self.call(*self.asked(name)).open_stream()

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """The error for a response with an error status."""
        return self.call(request(), route(self.name)).parse_error(status, headers, body)


def request(**fields: Any) -> ChatRequest:
    """A request that says hi, and whatever else."""
    return ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})


def route(family: str, quirks: Quirks | None = None, **capabilities: Any) -> Route:
    """A route to a provider of this family, with a model that can do this."""
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


def read(parser: StreamParser, *pieces: bytes) -> list[Chunk]:
    """The chunks of a stream that comes in these pieces, and then ends."""
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece)]
    return chunks if parser.done else [*chunks, *parser.close()]


def sse(events: Sequence[Any]) -> bytes:
    """Server-sent events without names, as most providers send them; a family knows its by the data."""
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
    **{name: Family(name, _chat_call(name), ".sse", sse) for name in ("anthropic", "gemini", "openai")},
    "bedrock": Family("bedrock", _chat_call("bedrock"), ".jsonl", aws_event_stream.encode),
}
