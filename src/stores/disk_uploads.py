"""Uploads of a local gateway, as files in a folder."""

import asyncio
import time
from pathlib import Path

from tollgate.gateway.errors import RequestTooLargeError
from tollgate.gateway.large_bodies import Upload, UploadTarget

MAX_AGE = 86_400
"""Seconds after which an upload is deleted, when the next one comes."""


class DiskUploads:
    """See `gateway.large_bodies.Uploads` and `ReceivesUploads`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def target(self, upload_id: str, size: int, media_type: str) -> UploadTarget:
        """See Uploads. The file with the expected size and type is made here, so that only known ids are written."""
        await asyncio.to_thread(self._prepare, upload_id, size, media_type)
        return UploadTarget(f"/v1/uploads/{upload_id}", {"content-type": media_type})

    async def read(self, upload_id: str, max_bytes: int) -> Upload | None:
        """See Uploads."""
        return await asyncio.to_thread(self._read, upload_id, max_bytes)

    async def expected_size(self, upload_id: str) -> int | None:
        """See Uploads."""
        return await asyncio.to_thread(self._expected_size, upload_id)

    async def write(self, upload_id: str, content: bytes) -> None:
        """See Uploads."""
        await asyncio.to_thread(self._content(upload_id).write_bytes, content)

    def _prepare(self, upload_id: str, size: int, media_type: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - MAX_AGE
        for path in self._folder.iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
        self._announced(upload_id).write_text(f"{size} {media_type}")

    def _expected_size(self, upload_id: str) -> int | None:
        try:
            return int(self._announced(upload_id).read_text().partition(" ")[0])
        except FileNotFoundError:
            return None

    def _read(self, upload_id: str, max_bytes: int) -> Upload | None:
        try:
            media_type = self._announced(upload_id).read_text().partition(" ")[2]
            if self._content(upload_id).stat().st_size > max_bytes:
                raise RequestTooLargeError("The upload is too large.")
            return Upload(media_type, self._content(upload_id).read_bytes())
        except FileNotFoundError:
            return None

    def _announced(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.type"

    def _content(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.content"
