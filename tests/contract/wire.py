"""The requests of a DynamoDB client, recorded, and responses that replace those of DynamoDB."""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Responder = Callable[[AWSPreparedRequest], AWSResponse | None]


class Wire:
    """`requests` has the operation and the JSON body of each request. `responses` are used first, one per request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.responses: deque[Responder] = deque()

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """botocore's hook before a request is sent, also for retries. None sends the request."""
        target, body = request.headers["X-Amz-Target"], request.body
        assert isinstance(body, bytes)
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        self.requests.append((operation, json.loads(body)))
        return self.responses.popleft()(request) if self.responses else None


@contextmanager
def recorded(client: "DynamoDBClient") -> Generator[Wire]:
    """Record the requests of a client within the block."""
    wire = Wire()
    hooks: Any = client.meta.events  # its stubs do not declare hooks that return responses
    hooks.register("before-send.dynamodb", wire.send)
    try:
        yield wire
    finally:
        hooks.unregister("before-send.dynamodb", wire.send)


def respond(status: int, body: dict[str, Any]) -> Responder:
    """A response that is returned instead of DynamoDB's."""
    return lambda request: AWSResponse(request.url, status, HTTPHeaders(), _Body(json.dumps(body).encode()))


def respond_with_error(code: str, message: str = "", **more: Any) -> Responder:
    """An error response of DynamoDB."""
    return respond(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more})


def lose_response(request: AWSPreparedRequest) -> AWSResponse | None:
    """Send the request to DynamoDB, but lose its response."""
    with closing(URLLib3Session()) as session:
        assert session.send(request).status_code in (200, 400)
    return respond(503, {})(request)


def forward(request: AWSPreparedRequest) -> None:
    """Send the request to DynamoDB and return its response."""


def run_before(act: Callable[[], object]) -> Responder:
    """Run a function before the request is sent."""

    def run(request: AWSPreparedRequest) -> None:
        act()

    return run


class ProcessEndedError(Exception):
    """Simulates the end of the process: nothing after it is executed."""


def end_process(request: AWSPreparedRequest) -> NoReturn:
    """End the process before it sends the request."""
    raise ProcessEndedError


class _Body:
    """The body of a response, with the interface of urllib3."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content
