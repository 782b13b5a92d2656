"""A transport without a network, which records what a protocol does with it."""

import asyncio
from collections.abc import Iterable
from typing import Any


class FakeTransport(asyncio.Transport):
    """Accepts everything at once; `unsent` is what it says is still in its buffer."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.sent = b""
        self.is_paused = False
        self.unsent = 0
        self._protocol = protocol
        self._is_closing = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self.sent += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.sent += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self) -> None:
        assert self.is_paused
        self.is_paused = False

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        """Close; as in asyncio, the protocol learns of it from the event loop."""
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)
