"""TLS, and proxies that the environment sets: a tunnel for https, requests with a whole URL for http."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.image_host import PNG, ImageHost, image_host, page
from support.provider_server import PROMPT, no_response, now, serving
from tollgate.http_client.errors import ConnectError, ConnectTimeoutError
from tollgate.http_client.pool import ConnectionPool

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies and certificate authorities; a test can set some."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.fixture(scope="module")
def running_host(folder: Path) -> Iterator[ImageHost]:
    with image_host(folder, {"/cat": page()}, ("localhost", "proxy.test")) as running:
        yield running


@pytest.fixture
def host(running_host: ImageHost) -> ImageHost:
    """A host with TLS, without the requests of other tests."""
    running_host.requests.clear()
    running_host.connections = 0
    return running_host


@contextlib.asynccontextmanager
async def pool(connect_timeout: float = PROMPT) -> AsyncGenerator[ConnectionPool]:
    opened = ConnectionPool(connect_timeout=connect_timeout)
    try:
        yield opened
    finally:
        opened.close()
        await asyncio.sleep(0)


async def get(connections: ConnectionPool, url: str) -> bytes:
    response = await connections.request("GET", url, {}, b"", first_byte_by=now() + PROMPT)
    try:
        return await response.read(now() + PROMPT, 2**20)
    finally:
        response.close()


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_connection_with_tls_is_reused(
    host: ImageHost, environment: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    trusted = host.authority
    if variable == "SSL_CERT_DIR":
        trusted = tmp_path
        for name in hash_names(host.authority):
            (tmp_path / name).write_bytes(host.authority.read_bytes())
    environment.setenv(variable, str(trusted))
    async with pool() as connections:
        assert [await get(connections, host.url("/cat")) for _ in range(3)] == [PNG] * 3
    assert host.connections == 1
    assert [request.sni for request in host.requests] == ["localhost"] * 3


def hash_names(certificate: Path) -> list[str]:
    """The name under which OpenSSL looks for a certificate in a folder, if the openssl command is here."""
    import shutil
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is missing")
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
    return [f"{subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()}.0"]


async def test_unknown_authority_and_wrong_name_are_refused(host: ImageHost, environment: pytest.MonkeyPatch) -> None:
    async with pool() as connections:
        with pytest.raises(ConnectError):
            await get(connections, host.url("/cat"))
    environment.setenv("SSL_CERT_FILE", str(host.authority))
    async with pool() as connections:
        with pytest.raises(ConnectError):
            await get(connections, host.url("/cat", "127.0.0.1"))
    assert host.requests == []


async def test_server_that_does_not_speak_tls_is_a_connect_timeout() -> None:
    async with serving(no_response) as server, asyncio.timeout(PROMPT):
        async with pool(connect_timeout=0.2) as connections:
            with pytest.raises(ConnectTimeoutError):
                await get(connections, server.url.replace("http:", "https:"))
        await server.disconnected.wait()


# --- proxies ----------------------------------------------------------------------------------------------------------


@dataclass
class ProxyServer:
    """A proxy that connects to 127.0.0.1, whatever the host; it records the heads of requests."""

    status: bytes = b"HTTP/1.1 200 OK"
    port: int = 0
    heads: list[str] = field(default_factory=list[str])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                if head.startswith("CONNECT"):
                    writer.write(self.status + b"\r\n\r\n")
                    if b" 200 " in self.status:
                        await relay(reader, writer, int(head.split()[1].rpartition(":")[2]))
                    break
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copy in both directions until one side closes."""
    to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
        await close(target)

    await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))


@contextlib.asynccontextmanager
async def proxy(server: ProxyServer | None = None, tls: ssl.SSLContext | None = None) -> AsyncGenerator[ProxyServer]:
    server = server or ProxyServer()
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
        async with asyncio.timeout(PROMPT):
            await asyncio.gather(*server.tasks)
    finally:
        listener.close()
        await listener.wait_closed()


async def test_http_request_is_sent_to_the_proxy_with_its_whole_url(environment: pytest.MonkeyPatch) -> None:
    async with proxy() as server:
        environment.setenv("HTTP_PROXY", f"http://user:p%40ss@127.0.0.1:{server.port}")
        async with pool() as connections:
            assert [await get(connections, "http://a.test/b?c") for _ in range(2)] == [b"ok"] * 2
    credentials = base64.b64encode(b"user:p@ss").decode()
    head = f"GET http://a.test/b?c HTTP/1.1\r\nhost: a.test\r\nproxy-authorization: Basic {credentials}\r\n\r\n"
    assert server.heads == [head] * 2


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("status", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 Connection established"])
async def test_https_request_goes_through_a_tunnel(
    host: ImageHost, environment: pytest.MonkeyPatch, variable: str, status: bytes
) -> None:
    environment.setenv("SSL_CERT_FILE", str(host.authority))
    async with proxy(ProxyServer(status)) as server:
        environment.setenv(variable, f"user:pass@127.0.0.1:{server.port}")
        async with pool() as connections:
            assert [await get(connections, host.url("/cat")) for _ in range(2)] == [PNG] * 2
    (head,) = server.heads
    assert head.startswith(f"CONNECT localhost:{host.port} HTTP/1.1\r\nhost: localhost:{host.port}\r\nproxy-auth")
    assert [request.path for request in host.requests] == ["/cat"] * 2
    assert all("proxy-authorization" not in request.headers for request in host.requests)


async def test_https_request_goes_through_a_proxy_with_tls(
    host: ImageHost, environment: pytest.MonkeyPatch, folder: Path
) -> None:
    environment.setenv("SSL_CERT_FILE", str(host.authority))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "host.pem")
    async with proxy(tls=tls) as server:
        environment.setenv("HTTPS_PROXY", f"https://localhost:{server.port}")
        async with pool() as connections:
            assert await get(connections, host.url("/cat")) == PNG
    assert len(server.heads) == 1


async def test_no_proxy_is_obeyed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://127.0.0.1:1")
    environment.setenv("NO_PROXY", "a.test,127.0.0.1")
    async with serving(lambda call: call.respond(b"ok")) as server, pool() as connections:
        assert await get(connections, server.url) == b"ok"


@pytest.mark.parametrize(
    "status",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0",
        b"HTTP/1.1 200 OK\r\n\r\nbytes that the proxy must not send",
        b"garbage",
    ],
)
async def test_proxy_that_refuses_is_a_connect_error(environment: pytest.MonkeyPatch, status: bytes) -> None:
    async with proxy(ProxyServer(status)) as server:
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        async with pool() as connections:
            with pytest.raises(ConnectError):
                await get(connections, "https://a.test:1/")


async def test_silent_proxy_is_a_connect_timeout(environment: pytest.MonkeyPatch) -> None:
    async with serving(no_response) as server, asyncio.timeout(PROMPT):
        environment.setenv("HTTPS_PROXY", server.url)
        async with pool(connect_timeout=0.2) as connections:
            with pytest.raises(ConnectTimeoutError):
                await get(connections, "https://a.test/")
        await server.disconnected.wait()


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1", "http://", "http://127.0.0.1:x", "ftp://127.0.0.1"])
async def test_invalid_proxy_is_a_connect_error(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("ALL_PROXY", url)
    async with pool() as connections:
        with pytest.raises(ConnectError):
            await get(connections, "https://a.test/")
