"""A provider that sends each piece of a stream only when the client has received the piece before.

So every piece is one read and one write of the gateway on any machine, and its work per piece can be counted.
"""

import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from support.waiting import LIMIT_SECONDS

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class LockstepProvider:
    """A server at `url`, which responds to every request with `pieces`, one by one, and then `end`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.pieces: Sequence[bytes] = ()
        self.end = b""
        self._received = threading.Semaphore(0)

    def received(self) -> None:
        """The client has received the last piece that was sent."""
        self._received.release()

    def accept(self) -> None:
        """Serve connections, each in a thread, until `close`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as requests:
            while _skip_request(requests):
                self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        self._received = threading.Semaphore(0)
        head = HEAD
        for piece in self.pieces:
            connection.sendall(head + _chunk(piece))
            head = b""
            assert self._received.acquire(timeout=LIMIT_SECONDS), f"{piece!r} was not passed on"
        connection.sendall(head + _chunk(self.end) + b"0\r\n\r\n")


def _skip_request(requests: BinaryIO) -> bool:
    """Read a request. Returns False at the end of the connection."""
    length = 0
    while (line := requests.readline()) not in (b"", b"\r\n"):
        name, _, value = line.lower().partition(b":")
        length = int(value) if name == b"content-length" else length
    return len(requests.read(length)) > 0


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextmanager
def lockstep_provider() -> Generator[LockstepProvider]:
    """The provider on a free port of loopback, until the block ends."""
    provider = LockstepProvider()
    thread = threading.Thread(target=provider.accept, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.close()
        thread.join()
