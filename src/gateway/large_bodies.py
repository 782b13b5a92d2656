"""What is too large for a request: the client uploads it first, and the request has a reference to it in its place."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

SCHEME = "tollgate-upload:"
"""How a reference begins; the id of the upload follows."""
ID = rb"[0-9a-f]{12}-[0-9a-f]{32}"
"""The id of the key that may read the upload, and 128 random bits."""
LIFETIME = 900
"""Seconds in which an upload may begin."""
_ID = re.compile(ID.decode())


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where and how a client sends an upload: a PUT with these headers. The URL of a local one is a path."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Upload:
    """What was uploaded."""

    media_type: str
    content: bytes


class Uploads(Protocol):
    """Where uploads are kept, for a day at most."""

    async def target(self, upload_id: str, size: int, media_type: str) -> UploadTarget:
        """Where to send an upload of exactly this size in bytes. Raises StoreUnavailableError."""
        ...

    async def read(self, upload_id: str, max_bytes: int) -> Upload | None:
        """The upload; None if there is none. Raises RequestTooLargeError, StoreUnavailableError."""
        ...


@runtime_checkable
class ReceivesUploads(Protocol):
    """Uploads that clients send to the gateway itself, because there is no bucket."""

    async def expected_size(self, upload_id: str) -> int | None:
        """The size of an upload that its client sends to the gateway itself; None if no such upload is expected."""
        ...

    async def write(self, upload_id: str, content: bytes) -> None:
        """Keep an upload that was expected."""
        ...


def new_upload_id(key_id: str) -> str:
    """An id that nobody can guess."""
    return f"{key_id}-{secrets.token_hex(16)}"


def is_upload_id(text: str) -> bool:
    """Whether the text has the form of an id."""
    return _ID.fullmatch(text) is not None
