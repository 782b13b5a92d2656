"""The requests of a DynamoDB client, recorded, and responses that replace those of DynamoDB."""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from support.fake_transport import FakeTransport
from tollgate.http_client.connection import Connection
from tollgate.http_client.pool import ConnectionPool
from tollgate.http_client.request import parse_url
from tollgate.http_client.response import Response


@dataclass(frozen=True)
class Request:
    """One request to DynamoDB; `send` sends it and returns the response."""

    headers: Mapping[str, str]
    body: bytes
    send: Callable[[], Awaitable[Response]]


Responder = Callable[[Request], Awaitable[Response]]


class Wire(ConnectionPool):
    """Connections to DynamoDB that record the requests.

    `requests` has the operation and the JSON body of each request. `responses` are used first, one per request.
    `page_size` limits the items of each page.
    """

    def __init__(self) -> None:
        super().__init__(connect_timeout=10)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.responses: deque[Responder] = deque()
        self.page_size: int | None = None

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        first_byte_by: float,
        connect_within: float | None = None,
    ) -> Response:
        operation = headers["x-amz-target"].partition(".")[2]
        parameters = json.loads(body)
        self.requests.append((operation, parameters))
        self.headers.append(headers)
        if self.page_size is not None and operation == "Query":
            body = json.dumps({**parameters, "Limit": self.page_size}).encode()  # the signature is not checked here

        async def send() -> Response:
            return await super(Wire, self).request(method, url, headers, body, first_byte_by=first_byte_by)

        responder = self.responses.popleft() if self.responses else forward
        return await responder(Request(headers, body, send))


def respond(status: int, body: bytes | dict[str, Any], headers: Mapping[str, str] | None = None) -> Responder:
    """A response that is returned instead of DynamoDB's."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())

    async def responder(_: Request) -> Response:
        connection = Connection(parse_url("http://wire").origin, lambda _: None, lambda _: None)
        response = Response("POST", FakeTransport(connection), lambda _: None)
        response.feed(f"HTTP/1.1 {status} Status\r\ncontent-length: {len(content)}\r\n{head}\r\n".encode() + content)
        return response

    return responder


def respond_with_error(
    code: str, message: str = "", *, headers: Mapping[str, str] | None = None, **more: Any
) -> Responder:
    """An error response of DynamoDB."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}
    return respond(400, body, headers)


async def forward(request: Request) -> Response:
    """Send the request to DynamoDB and return its response."""
    return await request.send()


async def lose_response(request: Request) -> Response:
    """Send the request to DynamoDB, but lose its response."""
    response = await request.send()
    assert response.status in (200, 400)
    response.close()
    return await respond(503, {})(request)


def run_before(act: Callable[[], Awaitable[object]]) -> Responder:
    """Await a function before the request is sent."""

    async def run(request: Request) -> Response:
        await act()
        return await request.send()

    return run


class ProcessEndedError(Exception):
    """Simulates the end of the process: nothing after it is executed."""


async def end_process(request: Request) -> NoReturn:
    """End the process before it sends the request."""
    raise ProcessEndedError
