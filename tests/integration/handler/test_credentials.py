"""Where providers' secrets are kept: environment variables, and Parameter Store as its own protocol tells it."""

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


async def test_variable_that_is_set_later_is_seen() -> None:
    environ: dict[str, str] = {}
    credentials = EnvironmentCredentials(environ)
    assert credentials.is_missing("A_KEY")
    environ["A_KEY"] = "s3cret"
    assert await credentials.get("A_KEY") == "s3cret"


@dataclass
class Store:
    """A Parameter Store on loopback: SSM's JSON protocol, one action."""

    url: str = ""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def answer(self, action: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert action == "AmazonSSM.GetParameter"
        self.asked.append(body)
        value = self.parameters.get(body["Name"])
        if value is None:
            return 400, {"__type": "ParameterNotFound", "message": "no such parameter in account 123456789012"}
        kind = "SecureString" if body.get("WithDecryption") else "Ciphertext"
        return 200, {"Parameter": {"Name": body["Name"], "Type": kind, "Value": value, "Version": 1}}


@pytest.fixture
def store() -> Iterator[Store]:
    """The store, and the environment in which a botocore client finds it; put back afterwards."""
    parameters = Store()

    class RunningGateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = parameters.answer(self.headers["x-amz-target"], body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), RunningGateway)
    parameters.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    mine = {
        "AWS_ENDPOINT_URL_SSM": parameters.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield parameters
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("path", ["/tollgate/credentials", "/tollgate/credentials/"])
async def test_parameter_is_decrypted_and_asked_for_once(store: Store, path: str) -> None:
    store.parameters["/tollgate/credentials/A_KEY"] = "s3cret"
    credentials: Credentials = ParameterStoreCredentials(path)
    assert [await credentials.get("A_KEY") for _ in range(3)] == ["s3cret"] * 3
    assert store.asked == [{"Name": "/tollgate/credentials/A_KEY", "WithDecryption": True}]
    assert not credentials.is_missing("A_KEY")


async def test_parameter_that_is_not_there_is_the_owners_trouble_and_is_asked_for_again(store: Store) -> None:
    credentials = ParameterStoreCredentials("/t")
    with pytest.raises(UpstreamAuthError) as caught:
        await credentials.get("A_KEY")
    assert caught.value.message == "Parameter Store did not give the credential 'A_KEY'."
    assert not credentials.is_missing("A_KEY")
    store.parameters["/t/A_KEY"] = "s3cret"
    assert await credentials.get("A_KEY") == "s3cret"


async def test_store_that_does_not_answer_is_the_owners_trouble(store: Store) -> None:
    os.environ["AWS_ENDPOINT_URL_SSM"] = "http://127.0.0.1:1"
    with pytest.raises(UpstreamAuthError):
        await ParameterStoreCredentials("/t").get("A_KEY")
    assert store.asked == []
