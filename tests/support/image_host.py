"""An image host on loopback, over TLS with a certificate authority of its own."""

import base64
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.waiting import LIMIT_SECONDS

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode('ascii')}"
AUTHORITY_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tollgate's tests")])


def page(body: bytes = PNG, status: str = "200 OK", **headers: str) -> bytes:
    """A response as bytes. Keywords such as `content_type` are headers; an empty one is omitted."""
    fields = {"content_type": "image/png", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body


@dataclass(frozen=True)
class ReceivedRequest:
    """One request: its path, its headers, and the server name of its TLS handshake."""

    path: str
    headers: Mapping[str, str]
    sni: str | None


@dataclass
class ImageHost:
    """The running host. A request for a page that is None gets no response."""

    pages: Mapping[str, bytes | None]
    port: int
    authority: Path
    connections: int = 0
    requests: list[ReceivedRequest] = field(default_factory=list[ReceivedRequest])
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "localhost") -> str:
        """The URL of a page, under one of the names of the host."""
        return f"https://{host}:{self.port}{path}"

    @property
    def trust(self) -> ssl.SSLContext:
        """A context that trusts only the authority of this host."""
        return ssl.create_default_context(cafile=self.authority)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, host: ImageHost, *args: object) -> None:
        self.host = host
        self.sni: str | None = None
        super().__init__(*args)  # type: ignore[arg-type]

    def setup(self) -> None:
        self.host.connections += 1
        assert isinstance(self.request, ssl.SSLSocket)
        self.request.settimeout(LIMIT_SECONDS)
        self.request.do_handshake()
        self.sni = getattr(self.request, "server_name", None)
        super().setup()

    def do_GET(self) -> None:
        self.host.requests.append(ReceivedRequest(self.path, {k.lower(): v for k, v in self.headers.items()}, self.sni))
        response = self.host.pages[self.path]
        if response is None:
            self.host.closing.wait()
            self.close_connection = True
            return
        self.wfile.write(response)
        head = response.partition(b"\r\n\r\n")[0]
        self.close_connection = b"content-length:" not in head or b"connection: close" in head

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may disconnect at any time."""


@contextlib.contextmanager
def image_host(
    folder: Path, pages: Mapping[str, bytes | None], names: tuple[str, ...] = ("localhost", "127.0.0.1")
) -> Generator[ImageHost]:
    """The host on a free port until the block ends. Its certificate has these names; `folder` gets its authority."""
    context, authority = _tls_context(folder, names)
    server = _Server(("127.0.0.1", 0), _Handler, bind_and_activate=True)
    host = ImageHost(pages, server.server_address[1], authority)
    server.RequestHandlerClass = partial(_Handler, host)  # type: ignore[assignment]
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _tls_context(folder: Path, names: tuple[str, ...]) -> tuple[ssl.SSLContext, Path]:
    """The context of a server with these names, and the file of the authority that signed its certificate."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    template = _certificate_template()
    authority = _authority(template, issuer)
    certificate = _certificate(template, key, issuer, names)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(secret + certificate.public_bytes(pem))
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "host.pem")
    context.sni_callback = _keep_server_name
    return context, folder / "authority.pem"


def _keep_server_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    connection.server_name = name  # type: ignore[union-attr]


def _certificate_template() -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(AUTHORITY_NAME)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _authority(template: x509.CertificateBuilder, issuer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        template.subject_name(AUTHORITY_NAME)
        .public_key(issuer.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()), critical=False)
        .add_extension(_authority_key_usage(), critical=True)
        .sign(issuer, hashes.SHA256())
    )


def _certificate(
    template: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
) -> x509.Certificate:
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    return (
        template.subject_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(alternatives, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer, hashes.SHA256())
    )


def _authority_key_usage() -> x509.KeyUsage:
    """The key usage that Python 3.13 requires of an authority."""
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        **dict.fromkeys(uses, False), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
