"""A gateway over fakes: one model, one provider, one key, and what happened to each fake."""

import datetime
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from support.fakes import FakeResponse, FakeStore, FakeUpstream, LocalSpeeds, NoHealth, NoImages, TickingClock
from support.json_lines import JSON_LINES, lines
from tollgate.adapters.clients.openai_chat import ChatEncoder, OpenAIChat
from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.catalog import Catalog, Model, Provider, RouteRow
from tollgate.gateway.chat import Completion
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Dependencies
from tollgate.gateway.prices import Prices
from tollgate.gateway.responses import BufferedResponse, StreamedResponse
from tollgate.gateway.serving import Gateway
from tollgate.gateway.sse import DONE

KEY, API_KEY = keys.generate(lambda count: b"\x01" * count)
OTHER_KEY, _ = keys.generate(lambda count: b"\x02" * count)
DAY = datetime.date(2026, 1, 1)
PAID = Prices(input_usd_per_mtok=Decimal(2_000_000), output_usd_per_mtok=Decimal(8_000_000), source="s", date=DAY)
FREE = Prices(input_usd_per_mtok=Decimal(0), output_usd_per_mtok=Decimal(0), source="s", date=DAY)
JSON = {"content-type": "application/json; charset=utf-8"}
BODY = lines("Four", " score.", {"usage": [3, 2]})
"""A whole response body."""


def _model(name: str, provider: str, prices: Prices) -> Model:
    routes = (RouteRow(provider=provider, model=f"up-{name}"),)
    return Model(id=name, created=DAY, owned_by="o", context_length=8, prices=prices, routes=routes)


MODEL, SUBSTITUTE = _model("m", "p", PAID), _model("echo", "e", FREE)
PROVIDERS = {name: Provider(name=name, family="lines", auth="none") for name in "pe"}
CATALOG = Catalog(PROVIDERS, {"m": MODEL, "echo": SUBSTITUTE}, {"m": MODEL, "alias": MODEL, "echo": SUBSTITUTE}, {})


class StreamedResult:
    """A streamed response as an OpenAI client reads it: lists of chunks, and the usage chunk by itself."""

    def __init__(self, served: StreamedResponse, encoder: ChatEncoder) -> None:
        self.served = served
        self.dropped = served.dropped
        self.settle = served.settle
        self._encoder = encoder

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        async for chunks in self.served:
            yield [_decoded(self._encoder.chunk(chunk)) for chunk in chunks]
        end = self._encoder.end(self.served.usage, self.served.usage_extra)
        assert end.endswith(DONE)
        if end != DONE:
            yield [_decoded(end.removesuffix(DONE))]


class BufferedResult:
    """A whole response as an OpenAI client reads it."""

    def __init__(self, served: BufferedResponse, encoder: ChatEncoder) -> None:
        assert isinstance(served.result, Completion)
        self.body = json.loads(encoder.result(served.result, served.usage))
        self.dropped = served.dropped
        self.route = served.route
        self.settle = served.settle


def _decoded(event: bytes) -> dict[str, Any]:
    return json.loads(event.removeprefix(b"data: "))


def contents(batch: list[dict[str, Any]]) -> list[str]:
    """The text of each chunk."""
    return [chunk["choices"][0]["delta"]["content"] for chunk in batch]


@dataclass
class GatewayHarness:
    """The gateway, its fakes, and the context of one request."""

    response: FakeResponse | Exception
    store: FakeStore = field(default_factory=FakeStore)
    without_credential: str = ""
    substitute: Model | None = None
    context: RequestContext = field(default_factory=lambda: RequestContext("req_1", 50.0, 900.0))

    def __post_init__(self) -> None:
        self.store.records[API_KEY.key_id] = KeyRecord(API_KEY.key_id, API_KEY.key_hash, "n", "active", 1)
        self.upstream = FakeUpstream(self.response, self.without_credential)
        families, store = {"lines": JSON_LINES}, self.store
        dependencies = Dependencies(
            families, self.upstream, NoImages(), store, store, TickingClock(), NoHealth(), LocalSpeeds()
        )
        self.gateway = Gateway(CATALOG, dependencies, self.substitute)

    async def send(self, key: str = KEY, **fields: Any) -> BufferedResult | StreamedResult:
        """Serve one chat request with these fields."""
        body = {"model": "alias", "messages": [{"role": "user", "content": "?"}], **fields}
        request, encoder_for = OpenAIChat().parse({}, json.dumps(body).encode())
        served = await self.gateway.serve(key, CHAT, request, self.context)
        encoder = encoder_for(served.info)
        assert isinstance(encoder, ChatEncoder)
        if isinstance(served, BufferedResponse):
            return BufferedResult(served, encoder)
        return StreamedResult(served, encoder)

    async def stream(self, **fields: Any) -> StreamedResult:
        """Serve one streamed chat request with these fields."""
        result = await self.send(stream=True, **fields)
        assert isinstance(result, StreamedResult)
        return result

    def record(self) -> UsageRecord:
        """The record of the only settlement. No hold is open and the response is closed."""
        assert not self.store.holds
        (record,) = self.store.settlements
        assert self.context.record is record
        if isinstance(self.response, FakeResponse) and self.upstream.sent:
            assert self.response.closed == len(self.upstream.sent)
        return record
