"""Single calls of DynamoDB: what is made again, what is corrected, and how servers that misbehave are told."""

import asyncio
import time
from calendar import timegm
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest

from contract.wire import Request, Responder, Wire, respond, respond_with_error
from support.dynamodb_local import DynamoDB, GivenCredentials
from tollgate.http_client.pool import ConnectionPool
from tollgate.http_client.response import Response
from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.credentials import Credentials
from tollgate.stores.dynamodb.endpoint import Endpoint
from tollgate.stores.dynamodb.errors import DynamoDBError

ANSWER = respond(200, {"Item": {"pk": {"S": "x"}}})
GET = ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "x"}}})
HOUR = 3600.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def called(wire: Wire) -> DynamoDBClient:
    """A client whose responses the test gives to the wire."""
    return DynamoDB("http://127.0.0.1:1").store_client(wire)


@pytest.mark.parametrize(
    "refusal",
    [
        respond_with_error("ThrottlingException"),
        respond_with_error("RequestTimeout"),
        *(respond(status, {"__type": "InternalServerError"}) for status in (500, 502, 503, 504)),
        respond(503, b"<html>Service Unavailable</html>"),
        respond(200, {}, {"x-amz-crc32": "1"}),
    ],
)
async def test_passing_error_is_retried_once(called: DynamoDBClient, wire: Wire, refusal: Responder) -> None:
    wire.responses.extend([refusal, ANSWER])
    assert (await called.call(*GET))["Item"] == {"pk": {"S": "x"}}
    wire.responses.extend([refusal, refusal, ANSWER])
    with pytest.raises(DynamoDBError):
        await called.call(*GET)
    assert wire.operations == ["GetItem"] * 4
    assert wire.requests[0] == wire.requests[1]


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (respond_with_error("ValidationException"), 400, "ValidationException"),
        (respond_with_error("ConditionalCheckFailedException"), 400, "ConditionalCheckFailedException"),
        (respond_with_error("InvalidSignatureException"), 400, "InvalidSignatureException"),
        (respond(403, b"<html>Forbidden</html>"), 403, ""),
        (respond(200, b"<html>Log in to this network</html>"), 200, ""),
        (respond(200, b"[]"), 200, ""),
        (respond(200, b""), 200, ""),
    ],
)
async def test_lasting_error_is_not_retried(
    called: DynamoDBClient, wire: Wire, refusal: Responder, status: int, code: str
) -> None:
    wire.responses.append(refusal)
    with pytest.raises(DynamoDBError) as raised:
        await called.call(*GET)
    assert (raised.value.status, raised.value.code) == (status, code)
    assert wire.operations == ["GetItem"]


async def test_error_has_the_item_and_the_reasons(called: DynamoDBClient, wire: Wire) -> None:
    item, reasons = {"pk": {"S": "x"}}, [{"Code": "None"}, {"Code": "TransactionConflict"}, {}]
    wire.responses.append(respond_with_error("Some", "text", Item=item, CancellationReasons=reasons))
    with pytest.raises(DynamoDBError, match="text") as raised:
        await called.call(*GET)
    assert raised.value.item == item
    assert raised.value.cancellation_codes == ["None", "TransactionConflict", ""]


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
async def test_requests_are_signed_by_the_clock_of_aws(called: DynamoDBClient, wire: Wire, skew: float) -> None:
    refusal = respond_with_error("InvalidSignatureException", headers={"date": formatdate(time.time() + skew)})
    wire.responses.extend([refusal, ANSWER, ANSWER])
    await called.call(*GET)
    await called.call(*GET)
    first, second, third = (timegm(time.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ")) for sent in wire.headers)
    assert second - first == pytest.approx(skew, abs=60)
    assert third - first == pytest.approx(skew, abs=60)


async def test_clock_is_corrected_for_concurrent_calls(called: DynamoDBClient, wire: Wire) -> None:
    refusal = respond_with_error("InvalidSignatureException", headers={"date": formatdate(time.time() + HOUR)})
    all_sent = asyncio.Barrier(5)

    async def refuse(request: Request) -> Response:
        await all_sent.wait()
        return await refusal(request)

    wire.responses.extend([refuse] * 5 + [ANSWER] * 5)
    await asyncio.gather(*(called.call(*GET) for _ in range(5)))
    assert wire.operations == ["GetItem"] * 10


@pytest.mark.parametrize("date", ["now", "yesterday", ""])
async def test_wrong_signature_is_not_retried(called: DynamoDBClient, wire: Wire, date: str) -> None:
    headers = {"date": formatdate() if date == "now" else date}
    wire.responses.append(respond_with_error("InvalidSignatureException", headers=headers))
    with pytest.raises(DynamoDBError, match="InvalidSignature"):
        await called.call(*GET)
    assert wire.operations == ["GetItem"]


async def test_expired_credentials_are_loaded_again(wire: Wire) -> None:
    credentials = GivenCredentials(Credentials("OLD", "s", "expired"), Credentials("NEW", "s", "valid"))
    client = DynamoDBClient(Endpoint("us-east-1", "http://127.0.0.1:1"), credentials, wire, 60)
    wire.responses.extend([respond_with_error("ExpiredTokenException"), ANSWER])
    await client.call(*GET)
    assert [sent["x-amz-security-token"] for sent in wire.headers] == ["expired", "valid"]
    assert ["OLD/" in wire.headers[0]["authorization"], "NEW/" in wire.headers[1]["authorization"]] == [True, True]


async def test_closed_port_is_an_error(unused_tcp_port: int) -> None:
    error = await error_at(f"http://127.0.0.1:{unused_tcp_port}")
    assert (error.status, error.code) == (0, "")


async def test_reset_connection_is_an_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with served(reset) as (url, connections):
        assert (await error_at(url)).status == 0
    assert len(connections) == 2


async def test_silent_server_is_an_error_after_two_timeouts() -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client closes

    async with served(stay_silent) as (url, connections):
        assert (await error_at(url)).status == 0
    assert len(connections) == 2


async def test_silence_in_a_body_is_an_error() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"Item":')
        await reader.read()

    async with served(stall) as (url, _):
        assert (await error_at(url)).status == 0


async def test_body_may_take_longer_than_the_timeout_while_it_arrives() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n")
        for byte in b'{"Item": {"pk":{"S":"x"}}}':
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.06)

    async with served(trickle) as (url, _), calling(url, response_timeout=1) as client:
        assert (await client.call(*GET))["Item"] == {"pk": {"S": "x"}}


async def error_at(url: str) -> DynamoDBError:
    async with calling(url, response_timeout=0.3) as client:
        with pytest.raises(DynamoDBError) as raised:
            await client.call(*GET)
    return raised.value


@asynccontextmanager
async def calling(url: str, response_timeout: float) -> AsyncGenerator[DynamoDBClient]:
    """A client of the server at `url`."""
    client = DynamoDBClient(Endpoint("us-east-1", url), GivenCredentials(), ConnectionPool(), response_timeout)
    yield client
    client.close()
    await asyncio.sleep(0)  # the event loop closes the connections in its next iteration


@asynccontextmanager
async def served(serve: Serve) -> AsyncGenerator[tuple[str, list[asyncio.StreamWriter]]]:
    """A server that handles each connection with `serve`: its URL and its connections."""
    connections: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
