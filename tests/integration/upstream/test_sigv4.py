"""AWS regions, and signatures that are valid for the bytes that are sent."""

import asyncio
import contextlib
import datetime
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec import convert

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream.client import Timeouts, UpstreamClient
from tollgate.upstream.sigv4 import Signer

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SEGMENT = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x.y-v1%3A0"


class FixedCredentials:
    async def get(self, name: str) -> str | None:
        return "s3cret"

    async def reread(self, name: str) -> bool:
        return False

    def is_missing(self, name: str) -> bool:
        return False


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without AWS credentials and without a metadata service; a test can set credentials."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return monkeypatch


@pytest.fixture
def role(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment variables that Lambda sets for a function."""
    for name, value in {
        "ACCESS_KEY_ID": "AKIDEXAMPLE", "SECRET_ACCESS_KEY": SECRET, "SESSION_TOKEN": "t0ken", "REGION": "eu-west-3",
    }.items():  # fmt: skip
        environment.setenv(f"AWS_{name}", value)
    return environment


def provider(auth: str = "sigv4", **more: Any) -> Provider:
    base_url = "https://bedrock-runtime.{region}.amazonaws.com"
    return convert({"name": "p", "family": "f", "base_url": base_url, "auth": auth, **more}, Provider)


@dataclass
class Recorder:
    """A server that records the head and the body of each request."""

    url: str = ""
    heads: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip()
        length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def recording() -> AsyncGenerator[Recorder]:
    recorder = Recorder()
    server = await asyncio.start_server(recorder.accept, "127.0.0.1", 0)
    recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield recorder
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def upstream_client() -> AsyncGenerator[UpstreamClient]:
    client = UpstreamClient(FixedCredentials(), Timeouts())
    try:
        yield client
    finally:
        await client.aclose()


async def call(client: UpstreamClient, url: str, to: Provider, body: bytes = b'{"messages":[]}') -> None:
    response = await client.send(UpstreamRequest(url, body), to, TimeLimits())
    await response.read()
    await response.aclose()


def fields_of(head: str) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}


# --- signatures -------------------------------------------------------------------------------------------------------


async def test_signature_is_valid_for_the_received_bytes(role: pytest.MonkeyPatch) -> None:
    path = f"/model/{SEGMENT}/converse"
    async with recording() as server, upstream_client() as client:
        await call(client, server.url + path, provider(base_url=server.url))
    (head,), (body,) = server.heads, server.bodies
    headers = fields_of(head)
    assert head.startswith(f"POST {path} HTTP/1.1\r\n"), "the path must arrive as it was signed"
    assert body == b'{"messages":[]}'
    assert headers["x-amz-security-token"] == "t0ken"

    scope, signed, signature = (
        part.partition("=")[2] for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    )
    date = headers["x-amz-date"]
    assert scope == f"AKIDEXAMPLE/{date[:8]}/eu-west-3/bedrock/aws4_request"
    assert signed == "content-type;host;x-amz-date;x-amz-security-token"
    expected = AWSRequest("POST", server.url + path, {name: headers[name] for name in signed.split(";")}, body)
    expected.context["timestamp"] = date
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, "t0ken"), "bedrock", "eu-west-3")
    canonical = signer.canonical_request(expected)
    assert canonical.split("\n")[1] == path.replace("%", "%25")
    assert signer.signature(signer.string_to_sign(expected, canonical), expected) == signature


async def test_signature_is_for_the_region_of_the_provider(role: pytest.MonkeyPatch) -> None:
    async with recording() as server, upstream_client() as client:
        await call(client, server.url, provider(base_url=server.url, region="us-west-2"))
    assert "/us-west-2/bedrock/aws4_request" in server.heads[0]


async def test_missing_aws_credentials_are_an_upstream_auth_error(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_REGION", "eu-west-3")
    async with upstream_client() as client:
        with pytest.raises(UpstreamAuthError, match="no AWS credentials for the provider 'p'"):
            await call(client, "http://127.0.0.1:1/", provider())
    environment.setenv("AWS_PROFILE", "missing")
    async with upstream_client() as client:
        with pytest.raises(UpstreamAuthError, match="cannot be loaded"):
            await call(client, "http://127.0.0.1:1/", provider())


async def test_signature_with_fixed_credentials_needs_no_thread(role: pytest.MonkeyPatch) -> None:
    signer, request = Signer(), UpstreamRequest("https://a.test/", b"{}")
    first = await signer.headers(request, provider())
    with pytest.raises(StopIteration) as returned:
        signer.headers(request, provider()).send(None)  # a coroutine that waits for nothing returns at once
    assert returned.value.value.keys() == first.keys()


@pytest.mark.parametrize(("minutes", "fetched"), [(60, 1), (5, 4)])  # once to load them, and before each call
async def test_credentials_that_expire_are_refreshed_before(
    environment: pytest.MonkeyPatch, minutes: int, fetched: int
) -> None:
    """As with the role of a container, whose credentials come from an address on the host."""
    expiration = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    role = {"SecretAccessKey": SECRET, "Token": "t0ken", "Expiration": expiration.isoformat()}
    requests: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        body = json.dumps({**role, "AccessKeyId": f"AKID{len(requests)}"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/")
    async with server:
        signer, request = Signer(), UpstreamRequest("https://a.test/", b"{}")
        signed = [await signer.headers(request, provider(region="us-west-2")) for _ in range(3)]
    assert len(requests) == fetched
    assert f"Credential=AKID{fetched}/" in signed[-1]["authorization"]


# --- regions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("region", "host"), [(None, "eu-west-3"), ("us-west-2", "us-west-2")])
@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
async def test_region_is_inserted_into_the_url(
    role: pytest.MonkeyPatch, region: str | None, host: str, auth: str
) -> None:
    credential = None if auth == "sigv4" else "KEY"
    async with recording() as server, upstream_client() as client:
        base_url = f"{server.url}/{{region}}"
        to = provider(auth, base_url=base_url, region=region, credential=credential)
        await call(client, f"{base_url}/model/%7Bregion%7D", to)
    assert server.heads[0].startswith(f"POST /{host}/model/%7Bregion%7D HTTP/1.1")


async def test_missing_region_is_an_upstream_auth_error() -> None:
    async with upstream_client() as client:
        with pytest.raises(UpstreamAuthError, match="no AWS region for the provider 'p'"):
            await call(client, "https://bedrock-runtime.{region}.amazonaws.com/", provider())


# --- has_credential ---------------------------------------------------------------------------------------------------


async def test_provider_has_a_credential_if_credentials_and_region_are_set(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with upstream_client() as client:
        assert not client.has_credential(provider(region="us-west-2"))
        (tmp_path / "credentials").write_text("[default]\n")
        assert client.has_credential(provider(region="us-west-2"))
        assert not client.has_credential(provider())
        assert not client.has_credential(provider("bearer", credential="KEY"))
        environment.setenv("AWS_DEFAULT_REGION", "eu-west-3")
        assert client.has_credential(provider())
        assert client.has_credential(provider("bearer", credential="KEY"))
        (tmp_path / "credentials").unlink()
        assert not client.has_credential(provider())
        environment.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        assert client.has_credential(provider())


def test_only_bearer_and_header_auth_need_a_credential_name() -> None:
    assert provider().credential is None
    with pytest.raises(ValueError, match="needs a credential name"):
        provider("bearer")
    with pytest.raises(ValueError, match="region"):
        provider(region="eu west/3")
