"""Credentials of providers: environment variables, and Parameter Store by its own protocol."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tollgate.gateway.errors import UpstreamAuthError
from tollgate.handler.credentials import EnvironmentCredentials, ParameterStoreCredentials
from tollgate.upstream.auth import Credentials


async def test_environment_variable_is_a_credential() -> None:
    credentials: Credentials = EnvironmentCredentials({"A_KEY": "s3cret", "EMPTY": ""})
    assert await credentials.get("A_KEY") == "s3cret"
    assert await credentials.get("B_KEY") is None
    assert [credentials.is_missing(name) for name in ("A_KEY", "B_KEY", "EMPTY")] == [False, True, True]


async def test_variable_that_is_set_later_is_read() -> None:
    environ: dict[str, str] = {}
    credentials = EnvironmentCredentials(environ)
    assert credentials.is_missing("A_KEY")
    environ["A_KEY"] = "s3cret"
    assert await credentials.get("A_KEY") == "s3cret"


AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


@dataclass
class FakeParameterStore:
    """A Parameter Store on loopback: the JSON protocol of SSM, with one action."""

    url: str = ""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def respond(self, action: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert action == "AmazonSSM.GetParameter"
        self.requests.append(body)
        value = self.parameters.get(body["Name"])
        if value is None:
            return 400, {"__type": "ParameterNotFound", "message": "no such parameter in account 123456789012"}
        kind = "SecureString" if body.get("WithDecryption") else "Ciphertext"
        return 200, {"Parameter": {"Name": body["Name"], "Type": kind, "Value": value, "Version": 1}}


@pytest.fixture
def store() -> Iterator[FakeParameterStore]:
    """A running store, and the environment in which a botocore client finds it until the test ends."""
    parameters = FakeParameterStore()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, response = parameters.respond(self.headers["x-amz-target"], body)
            data = json.dumps(response).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    parameters.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL_SSM": parameters.url}.items():
            environment.setenv(name, value)
        yield parameters
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/tollgate/credentials", "/tollgate/credentials/"])
async def test_parameter_is_decrypted_and_requested_once(store: FakeParameterStore, path: str) -> None:
    store.parameters["/tollgate/credentials/A_KEY"] = "s3cret"
    credentials: Credentials = ParameterStoreCredentials(path)
    assert [await credentials.get("A_KEY") for _ in range(3)] == ["s3cret"] * 3
    assert store.requests == [{"Name": "/tollgate/credentials/A_KEY", "WithDecryption": True}]
    assert not credentials.is_missing("A_KEY")


async def test_cached_parameter_needs_no_thread(store: FakeParameterStore) -> None:
    store.parameters["/t/A_KEY"] = "s3cret"
    credentials = ParameterStoreCredentials("/t")
    await credentials.get("A_KEY")
    with pytest.raises(StopIteration) as returned:
        credentials.get("A_KEY").send(None)  # a coroutine that waits for nothing returns at once
    assert returned.value.value == "s3cret"


async def test_missing_parameter_is_an_upstream_auth_error_and_is_requested_again(store: FakeParameterStore) -> None:
    credentials = ParameterStoreCredentials("/t")
    with pytest.raises(UpstreamAuthError) as raised:
        await credentials.get("A_KEY")
    assert raised.value.message == "Parameter Store did not give the credential 'A_KEY'."
    assert not credentials.is_missing("A_KEY")
    store.parameters["/t/A_KEY"] = "s3cret"
    assert await credentials.get("A_KEY") == "s3cret"


async def test_missing_credential_of_a_key_is_requested_once_for_many_requests(store: FakeParameterStore) -> None:
    credentials = ParameterStoreCredentials("/t")
    name = "A_KEY__0123456789ab"
    for _ in range(3):
        with pytest.raises(UpstreamAuthError, match=name):
            await credentials.get(name)
    assert len(store.requests) == 1


async def test_unreachable_store_is_an_upstream_auth_error(store: FakeParameterStore) -> None:
    os.environ["AWS_ENDPOINT_URL_SSM"] = "http://127.0.0.1:1"
    with pytest.raises(UpstreamAuthError):
        await ParameterStoreCredentials("/t").get("A_KEY")
    assert store.requests == []
