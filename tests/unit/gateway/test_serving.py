"""The use case over small in-memory ports: admitted once, answered once, settled once, however it ends."""

import asyncio
import datetime
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from tollgate.adapters.clients.openai_chat import ChatEncoder, OpenAIChat
from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import Account, Hold, decide
from tollgate.gateway.catalog import Catalog, Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.errors import (
    AuthenticationError,
    BadRequestError,
    GatewayError,
    NotFoundError,
    RateLimitError,
    StoreUnavailableError,
    UpstreamError,
)
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.limits import Limits, full
from tollgate.gateway.metering import Cost, UsageRecord
from tollgate.gateway.ports import Family, UpstreamResponse
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import Route
from tollgate.gateway.serving import HOLD_MARGIN, HOLD_SECONDS, BufferedResponse, Dependencies, Gateway
from tollgate.gateway.sse import DONE
from tollgate.gateway.streaming import StreamedResponse
from tollgate.gateway.types import UpstreamRequest, Usage

KEY, API_KEY = keys.generate(lambda count: b"\x01" * count)
OTHER_KEY, _ = keys.generate(lambda count: b"\x02" * count)
DAY = datetime.date(2026, 1, 1)
DEAR = Prices(input_usd_per_mtok=Decimal(2_000_000), output_usd_per_mtok=Decimal(8_000_000), source="s", date=DAY)
FREE = Prices(input_usd_per_mtok=Decimal(0), output_usd_per_mtok=Decimal(0), source="s", date=DAY)
JSON = {"content-type": "application/json; charset=utf-8"}
SSE = {"content-type": "text/event-stream"}


def model(name: str, provider: str, prices: Prices) -> Model:
    routes = (RouteRow(provider=provider, model=f"up-{name}"),)
    return Model(id=name, created=DAY, owned_by="o", context_length=8, prices=prices, routes=routes)


MODEL, STAND_IN = model("m", "p", DEAR), model("echo", "e", FREE)
PROVIDERS = {name: Provider(name=name, family="lines", auth="none") for name in "pe"}
CATALOG = Catalog(PROVIDERS, {"m": MODEL, "echo": STAND_IN}, {"m": MODEL, "alias": MODEL, "echo": STAND_IN}, {})


class Ticking:
    """A clock that moves by a millisecond whenever it is looked at."""

    at = 50.0

    def now(self) -> float:
        return 1_000_000.5

    def monotonic(self) -> float:
        self.at += 0.001
        return self.at


async def finish(work: Coroutine[Any, Any, Any]) -> None:
    """As a store has to admit: what it has begun it ends, and only then is it called off."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        caller = asyncio.current_task()
        assert caller is not None
        caller.cancel()


@dataclass
class Cellar:
    """Keys and ledger in memory. `slow` holds admission open; `broken` fails settlement."""

    records: dict[str, KeyRecord] = field(default_factory=dict[str, KeyRecord])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    settled: list[UsageRecord] = field(default_factory=list[UsageRecord])
    admitting: asyncio.Event = field(default_factory=asyncio.Event)
    slow: asyncio.Event | None = None
    broken: bool = False

    async def admit(self, hold: Hold) -> Account:
        self.admitting.set()
        if self.slow is not None:
            await finish(self.slow.wait())
        account = await self.get(hold.key.key_id)
        keys.verify(account and account.record, hold.key, hold.opened_at)
        assert account is not None
        account = decide(account, hold)
        self.holds[hold.hold_id] = hold
        return account

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        raise NotImplementedError

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        if self.broken:
            raise StoreUnavailableError("no")
        self.settled.append(record)
        return self.holds.pop(record.request_id, None) is not None

    async def create(self, record: KeyRecord, by: str) -> None:
        self.records[record.key_id] = record

    async def get(self, key_id: str) -> Account | None:
        record = self.records.get(key_id)
        return None if record is None else Account(record, full(record.limits, 1_000_000.5))

    async def list(self) -> Sequence[KeyRecord]:
        return [*self.records.values()]

    async def key_ids(self) -> Set[str]:
        raise NotImplementedError

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        raise NotImplementedError

    async def reset(self, key_id: str, by: str) -> None:
        raise NotImplementedError

    async def delete(self, key_id: str, by: str) -> None:
        raise NotImplementedError

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        raise NotImplementedError


@dataclass
class Line:
    """One provider's answer: its pieces, among them errors to raise and events to wait for."""

    pieces: Sequence[bytes | Exception | asyncio.Event]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    closed: int = 0
    read_so_far: int = 0
    ends_within: float | None = None

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.stream()])

    def end_within(self, seconds: float | None) -> None:
        self.ends_within = seconds

    async def stream(self) -> AsyncIterator[bytes]:
        while self.read_so_far < len(self.pieces):
            piece = self.pieces[self.read_so_far]
            self.read_so_far += 1
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class WayOut:
    """Gives out one answer, or fails to."""

    answer: Line | Exception
    closed_providers: str = ""
    sent: list[tuple[UpstreamRequest, str, float | None]] = field(
        default_factory=list[tuple[UpstreamRequest, str, float | None]]
    )

    async def send(self, request: UpstreamRequest, provider: Provider, deadline: float | None) -> UpstreamResponse:
        self.sent.append((request, provider.name, deadline))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def has_credential(self, provider: Provider) -> bool:
        return provider.name not in self.closed_providers


class LinesParser:
    """JSON lines: a word, `{"usage": [in, out]}`, `{"error": ...}`, `{"fault": ...}`, 0, and `null` for the end."""

    grace = None

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for line in data.splitlines():
            said = json.loads(line)
            if said is None:
                self.done = True
            elif said == 0:
                continue
            elif isinstance(said, str):
                finish = "stop" if said.endswith(".") else None
                yield Chunk([{"index": 0, "delta": {"content": said}, "finish_reason": finish}])
            elif "usage" in said:
                yield Chunk(usage=Usage(*said["usage"]))
            elif "error" in said:
                raise UpstreamError(said["error"])
            else:
                raise KeyError(said["fault"])

    def close(self) -> Iterator[Chunk]:
        if not self.done:
            raise UpstreamError("cut", code="stream_truncated")
        yield from ()


class LinesCall:
    """A wire family of JSON lines."""

    def __init__(self, request: ChatRequest, route: Route) -> None:
        if request.n == 7:
            raise BadRequestError("Not seven.", param="n")
        dropped = ("seed",) if request.n == 2 else ()
        self.request = UpstreamRequest("lines://", route.upstream_model.encode(), dropped=dropped)

    def parse_response(self, body: bytes) -> Completion:
        chunks = list(LinesParser().feed(body))
        words = [choice["delta"]["content"] for chunk in chunks for choice in chunk.choices]
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}
        usage = next((chunk.usage for chunk in chunks if chunk.usage is not None), None)
        return Completion([choice], usage, {"system_fingerprint": "fp"})

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return RateLimitError(body.decode(), retry_after=float(headers["retry-after"]))

    def open_stream(self) -> LinesParser:
        return LinesParser()


LINES = Family({"chat": LinesCall}, lambda url: True)


class Streamed:
    """A streamed response as an OpenAI client reads it: lists of chunks, and the usage chunk by itself."""

    def __init__(self, served: StreamedResponse, encoder: ChatEncoder) -> None:
        self.served = served
        self.dropped = served.dropped
        self.settle = served.settle
        self._encoder = encoder

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        async for chunks in self.served:
            yield [decoded(self._encoder.chunk(chunk)) for chunk in chunks]
        end = self._encoder.end(self.served.usage, self.served.usage_extra)
        assert end.endswith(DONE)
        if end != DONE:
            yield [decoded(end.removesuffix(DONE))]


class Whole:
    """A whole response as an OpenAI client reads it."""

    def __init__(self, served: BufferedResponse, encoder: ChatEncoder) -> None:
        assert isinstance(served.result, Completion)
        self.body = json.loads(encoder.result(served.result, served.usage))
        self.dropped = served.dropped
        self.route = served.route
        self.settle = served.settle


def decoded(event: bytes) -> dict[str, Any]:
    return json.loads(event.removeprefix(b"data: "))


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


WHOLE = lines("Four", " score.", {"usage": [3, 2]})


class NoImages:
    """Nothing is fetched."""

    async def fetch_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[str]:
        raise AssertionError(wanted)


@dataclass
class Stage:
    """A gateway over fakes, and what happened to them."""

    line: Line | Exception
    cellar: Cellar = field(default_factory=Cellar)
    closed_providers: str = ""
    substitute: Model | None = None
    context: RequestContext = field(default_factory=lambda: RequestContext("req_1", 50.0, 900.0))

    def __post_init__(self) -> None:
        self.cellar.records[API_KEY.key_id] = KeyRecord(API_KEY.key_id, API_KEY.key_hash, "n", "active", 1)
        self.out = WayOut(self.line, self.closed_providers)
        dependencies = Dependencies({"lines": LINES}, self.out, NoImages(), self.cellar, self.cellar, Ticking())
        self.gateway = Gateway(CATALOG, dependencies, self.substitute)

    async def ask(self, key: str = KEY, **body: Any) -> Whole | Streamed:
        given = {"model": "alias", "messages": [{"role": "user", "content": "?"}], **body}
        request, encoder_for = OpenAIChat().parse("application/json", json.dumps(given).encode())
        served = await self.gateway.serve(key, CHAT, request, self.context)
        encoder = encoder_for(served.info)
        assert isinstance(encoder, ChatEncoder)
        return Whole(served, encoder) if isinstance(served, BufferedResponse) else Streamed(served, encoder)

    async def stream(self, **body: Any) -> Streamed:
        answer = await self.ask(stream=True, **body)
        assert isinstance(answer, Streamed)
        return answer

    def record(self) -> UsageRecord:
        """The one settlement, with nothing left open."""
        assert not self.cellar.holds
        (record,) = self.cellar.settled
        assert self.context.record is record
        if isinstance(self.line, Line) and self.out.sent:
            assert self.line.closed == 1
        return record


def contents(batch: list[dict[str, Any]]) -> list[str]:
    return [chunk["choices"][0]["delta"]["content"] for chunk in batch]


async def test_whole_answer_is_settled_when_it_is_told_to_be() -> None:
    stage = Stage(Line([WHOLE[:7], WHOLE[7:]], headers=JSON))
    answer = await stage.ask()
    assert isinstance(answer, Whole)
    assert answer.body == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_000_000,
        "model": "alias",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Four score."}, "finish_reason": "stop"},
        ],
        "system_fingerprint": "fp",
        "provider": "p",
        "usage": Usage(3, 2).to_wire(),
    }
    assert not stage.cellar.settled
    assert set(stage.cellar.holds) == {"req_1"}
    await answer.settle()
    await answer.settle()
    assert stage.record().cost == Cost(Decimal("22.000000"), "catalog", DAY)
    assert stage.record().status == 200


async def test_hold_outlives_the_longest_request() -> None:
    stage = Stage(Line([WHOLE], headers=JSON))
    await stage.ask()
    hold = stage.cellar.holds["req_1"]
    assert hold.opened_at == 1_000_000.5
    assert hold.expires_at - hold.opened_at == pytest.approx(900 - 50 + HOLD_MARGIN, abs=1)


async def test_hold_of_a_request_without_a_deadline_lasts_a_functions_longest_life() -> None:
    stage = Stage(Line([WHOLE], headers=JSON), context=RequestContext("req_1", 50.0))
    await stage.ask()
    hold = stage.cellar.holds["req_1"]
    assert hold.expires_at - hold.opened_at == HOLD_SECONDS + HOLD_MARGIN


async def test_refusal_takes_nothing_and_tells_how_the_key_stands() -> None:
    stage = Stage(Line([WHOLE], headers=JSON))
    await stage.ask()
    record = replace(stage.cellar.records[API_KEY.key_id], limits=Limits(tpm=10))
    stage.cellar.records[API_KEY.key_id] = record
    with pytest.raises(RateLimitError) as raised:
        await stage.ask()
    assert raised.value.code == "tokens"
    assert stage.context.account == Account(record, full(record.limits, 1_000_000.5))
    assert len(stage.out.sent) == 1


async def test_provider_is_given_its_own_name_for_the_model_and_the_deadline() -> None:
    stage = Stage(Line([WHOLE], headers=JSON))
    await stage.ask()
    ((request, provider, deadline),) = stage.out.sent
    assert (request.body, provider, deadline) == (b"up-m", "p", 900.0)


async def test_what_the_provider_was_not_told_is_known_of_the_answer() -> None:
    assert (await Stage(Line([WHOLE], headers=JSON)).ask(n=2)).dropped == ("seed",)
    assert (await Stage(Line([lines("Four", None)])).stream(n=2)).dropped == ("seed",)
    assert (await Stage(Line([WHOLE], headers=JSON)).ask()).dropped == ()


async def test_stream_comes_read_by_read_and_is_settled_at_its_end() -> None:
    stage = Stage(Line([lines("Four"), lines(" sc", "ore."), lines({"usage": [3, 2]}, None), RuntimeError("unread")]))
    answer = await stage.stream()
    batches = [batch async for batch in answer]
    assert [contents(batch) for batch in batches] == [["Four"], [" sc"], ["ore."]]
    assert all("usage" not in chunk for batch in batches for chunk in batch)
    assert {(chunk["id"], chunk["model"], chunk["created"]) for batch in batches for chunk in batch} == {
        ("chatcmpl-1", "alias", 1_000_000)
    }
    await answer.settle()
    record = stage.record()
    assert (record.status, record.error_code, record.finish_reason) == (200, None, "stop")
    assert record.usage == Usage(3, 2)


async def test_usage_chunk_comes_last_to_those_who_ask_for_it() -> None:
    stage = Stage(Line([lines("Four."), lines({"usage": [3, 2]}, None)]))
    answer = await stage.stream(stream_options={"include_usage": True})
    (first,), (last,) = [batch async for batch in answer]
    assert first["usage"] is None
    assert (list(last["choices"]), last["usage"]["total_tokens"]) == ([], 5)


async def test_no_usage_chunk_is_made_up() -> None:
    stage = Stage(Line([lines("Four.", None)]))
    answer = await stage.stream(stream_options={"include_usage": True})
    assert len([batch async for batch in answer]) == 1
    await answer.settle()
    record = stage.record()
    assert record.usage is not None
    assert record.usage.output_tokens == 2  # five characters
    assert (record.estimated, record.cost.source) == (True, "estimated")


async def test_what_came_with_a_failure_in_one_read_is_told_before_it() -> None:
    stage = Stage(Line([lines("Four", {"error": "broke"})]))
    answer = await stage.stream()
    batches = aiter(answer)
    assert contents(await anext(batches)) == ["Four"]
    with pytest.raises(UpstreamError, match="broke"):
        await anext(batches)
    await answer.settle()
    record = stage.record()
    assert (record.status, record.error_code) == (200, "upstream_error")


async def test_stream_that_ends_early_is_an_error_and_no_stop() -> None:
    stage = Stage(Line([lines("Four")]))
    answer = await stage.stream()
    batches = aiter(answer)
    assert contents(await anext(batches)) == ["Four"]
    with pytest.raises(UpstreamError, match="cut"):
        await anext(batches)
    await answer.settle()
    assert (stage.record().error_code, stage.record().finish_reason) == ("stream_truncated", None)


async def test_fault_of_ours_in_mid_stream_is_not_put_on_the_client() -> None:
    stage = Stage(Line([lines("Four"), lines({"fault": "x"})]))
    answer = await stage.stream()
    batches = aiter(answer)
    await anext(batches)
    with pytest.raises(KeyError):
        await anext(batches)
    await answer.settle()
    assert (stage.record().status, stage.record().error_code) == (200, "internal_error")


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([UpstreamError("gone", code="upstream_disconnected")], "upstream_disconnected"),
        ([lines({"error": "at once"})], "upstream_error"),
        ([], "stream_truncated"),
        ([lines(None)], "upstream_error"),
        ([lines(0, {"usage": [1, 1]}, None)], "upstream_error"),
    ],
)
async def test_stream_that_fails_before_its_first_chunk_never_begins(pieces: list[Any], code: str) -> None:
    stage = Stage(Line(pieces))
    with pytest.raises(UpstreamError):
        await stage.ask(stream=True)
    assert (stage.record().status, stage.record().error_code) == (502, code)


@pytest.mark.parametrize("headers", [JSON, SSE, {}])
async def test_whole_answer_to_a_request_for_a_stream_is_streamed(headers: Mapping[str, str]) -> None:
    whole = lines({"usage": [3, 2]}, "Four", " score.")
    stage = Stage(Line([b"\n", whole[:9], whole[9:]], headers=headers))
    answer = await stage.stream(stream_options={"include_usage": True})
    (said,), (end,), (last,) = [batch async for batch in answer]
    assert said["choices"][0]["delta"] == {"role": "assistant", "content": "Four score."}
    assert end["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["total_tokens"] == 5
    await answer.settle()
    assert (stage.record().status, stage.record().usage) == (200, Usage(3, 2))


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 429, 500, 599])
async def test_any_status_but_success_is_an_error(status: int) -> None:
    stage = Stage(Line([b"wait"], status, {**JSON, "retry-after": "3"}))
    with pytest.raises(RateLimitError, match="wait") as caught:
        await stage.ask()
    assert caught.value.retry_after == 3
    assert stage.record().error_code == "rate_limit_exceeded"


async def test_what_the_family_cannot_say_releases_the_hold_and_sends_nothing() -> None:
    stage = Stage(Line([WHOLE]))
    with pytest.raises(BadRequestError):
        await stage.ask(n=7)
    assert stage.out.sent == []
    record = stage.record()
    assert (record.status, record.error_code, record.upstream_ms) == (400, "invalid_request_error", None)


@pytest.mark.parametrize(("error", "code"), [(UpstreamError("x"), "upstream_error"), (KeyError("x"), "internal_error")])
async def test_call_that_fails_releases_the_hold(error: Exception, code: str) -> None:
    stage = Stage(error)
    with pytest.raises(type(error)):
        await stage.ask()
    assert stage.record().error_code == code


@pytest.mark.parametrize("stream", [False, True])
async def test_call_called_off_in_the_middle_releases_the_hold(stream: bool) -> None:
    stage = Stage(Line([asyncio.Event()], headers=SSE if stream else JSON))
    task = asyncio.create_task(stage.ask(stream=stream))
    while not stage.out.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (stage.record().status, stage.record().error_code) == (499, "client_closed_request")


async def test_call_called_off_while_a_store_ends_its_admission_releases_the_hold() -> None:
    cellar = Cellar(slow=asyncio.Event())
    stage = Stage(Line([asyncio.Event()], headers=JSON), cellar)
    task = asyncio.create_task(stage.ask())
    await cellar.admitting.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert cellar.slow is not None
    cellar.slow.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (stage.record().status, stage.record().error_code) == (499, "client_closed_request")


async def test_call_called_off_while_it_is_refused_leaves_nothing() -> None:
    cellar = Cellar(slow=asyncio.Event())
    stage = Stage(Line([WHOLE], headers=JSON), cellar)
    task = asyncio.create_task(stage.ask(OTHER_KEY))
    await cellar.admitting.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert cellar.slow is not None
    cellar.slow.set()
    with pytest.raises((asyncio.CancelledError, AuthenticationError)):
        await task
    assert (cellar.holds, cellar.settled) == ({}, [])


async def test_stream_left_in_the_middle_is_let_go_and_billed() -> None:
    stage = Stage(Line([lines("Four", {"usage": [3, 1]}), asyncio.Event()]))
    answer = await stage.stream()
    await anext(aiter(answer))
    await answer.settle()
    await answer.settle()
    record = stage.record()
    assert (record.status, record.error_code) == (200, "client_closed_request")
    assert record.cost.usd == 14


async def test_stream_cancelled_while_the_provider_is_silent_is_let_go() -> None:
    stage = Stage(Line([lines("Four"), asyncio.Event()]))
    answer = await stage.stream()

    async def read() -> None:
        async for _ in answer:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await answer.settle()
    assert stage.record().error_code == "client_closed_request"


async def test_stream_never_read_is_settled_too() -> None:
    stage = Stage(Line([lines("Four"), asyncio.Event()]))
    await (await stage.stream()).settle()
    assert stage.record().error_code == "client_closed_request"


async def test_store_that_fails_to_settle_does_not_break_the_answer() -> None:
    stage = Stage(Line([WHOLE], headers=JSON), Cellar(broken=True))
    answer = await stage.ask()
    await answer.settle()
    assert isinstance(stage.context.unsettled, StoreUnavailableError)
    assert stage.context.record is not None


async def test_store_that_fails_to_settle_does_not_hide_why_the_call_failed() -> None:
    stage = Stage(UpstreamError("unreachable"), Cellar(broken=True))
    with pytest.raises(UpstreamError, match="unreachable"):
        await stage.ask()
    assert stage.context.unsettled is not None


@pytest.mark.parametrize("key", ["", "garbage", OTHER_KEY])
@pytest.mark.parametrize("name", ["m", "nowhere"])
async def test_without_a_valid_key_every_model_is_401_and_nothing_is_left(key: str, name: str) -> None:
    stage = Stage(Line([WHOLE], headers=JSON))
    with pytest.raises(AuthenticationError):
        await stage.ask(key, model=name)
    assert (stage.cellar.holds, stage.cellar.settled, stage.out.sent, stage.context.record) == ({}, [], [], None)


async def test_unknown_model_is_404_to_who_holds_a_key() -> None:
    stage = Stage(Line([WHOLE], headers=JSON))
    with pytest.raises(NotFoundError):
        await stage.ask(model="nowhere")
    assert (stage.cellar.holds, stage.cellar.settled) == ({}, [])


async def test_stand_in_answers_a_model_without_a_credential_and_its_own_price_counts() -> None:
    stage = Stage(Line([WHOLE], headers=JSON), closed_providers="p", substitute=STAND_IN)
    answer = await stage.ask()
    assert isinstance(answer, Whole)
    assert (answer.body["model"], answer.route.provider.name) == ("alias", "e")
    await answer.settle()
    record = stage.record()
    assert (record.model, record.provider, record.upstream_model) == ("m", "e", "up-echo")
    assert record.cost == Cost(Decimal("0.000000"), "catalog", DAY)


async def test_requests_do_not_share_anything() -> None:
    cellar, release = Cellar(), asyncio.Event()
    make: Callable[[int], Stage] = lambda number: Stage(  # noqa: E731
        Line([lines(f"{number}"), release, lines(f"{number}.", None)]),
        cellar,
        context=RequestContext(f"req_{number}", 50.0),
    )
    stages = [make(number) for number in range(20)]
    answers = await asyncio.gather(*(stage.stream() for stage in stages))
    assert len(cellar.holds) == 20
    release.set()
    for number, answer in enumerate(answers):
        assert [text async for batch in answer for text in contents(batch)] == [f"{number}", f"{number}."]
        await answer.settle()
    assert not cellar.holds
    assert [record.request_id for record in cellar.settled] == [f"req_{number}" for number in range(20)]
