"""How fast the routes answer, shared by all instances: read and written in the background, seldom."""

import json
from collections.abc import Callable
from dataclasses import asdict

from tollgate.gateway.documents import Document, Documents
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import UNKNOWN, Speed
from tollgate.stores.background import Background

COLLECTION = "speed"
READ_SECONDS = 30.0
WRITE_SECONDS = 60.0
"""A process reads what others measured, and writes what it measured of one route, at most once in so many seconds."""
FORGOTTEN = 3600.0
"""Seconds after which a route that nobody measured again is unknown."""
EQUAL = 0.5


class SharedSpeeds:
    """See `gateway.ports.Speeds`. A store that does not respond costs what others measured, and nothing else."""

    def __init__(self, documents: Documents, now: Callable[[], float]) -> None:
        self._documents = documents
        self._now = now
        self._speeds: dict[str, Speed] = {}
        self._written_at: dict[str, float] = {}
        self._read_at = -READ_SECONDS
        self._background = Background()

    def refresh(self) -> None:
        """See `Speeds.refresh`."""
        now = self._now()
        if now - self._read_at >= READ_SECONDS:
            self._read_at = now
            self._background.start(self._read())

    def speed(self, route: Route) -> Speed:
        """See `Speeds.speed`."""
        return self._speeds.get(route.target, UNKNOWN)

    def observed(self, route: Route, speed: Speed) -> None:
        """See `Speeds.observed`."""
        name, now = route.target, self._now()
        self._speeds[name] = self._speeds.get(name, UNKNOWN).mixed(speed)
        if now - self._written_at.get(name, -WRITE_SECONDS) >= WRITE_SECONDS:
            self._written_at[name] = now
            self._background.start(self._write(name))

    async def idle(self) -> None:
        """Wait until nothing is read or written any more."""
        await self._background.idle()

    async def _read(self) -> None:
        """What others measured takes the place of what this process has already written."""
        found = await self._documents.read_all(COLLECTION)
        stored = {name: _speed(document) for name, document in found.items()}
        now = self._now()
        fresh = {
            name: speed
            for name, speed in self._speeds.items()
            if now - self._written_at.get(name, -FORGOTTEN) < WRITE_SECONDS
        }
        self._speeds = {**stored, **fresh}

    async def _write(self, name: str) -> None:
        """Write the average of what is stored and what this process measured; if another one writes meanwhile, its
        average stands until the next time."""
        document = await self._documents.read(COLLECTION, name)
        speed = self._speeds[name] = _speed(document).mixed(self._speeds[name], EQUAL)
        body = json.dumps(asdict(speed)).encode()
        await self._documents.write(COLLECTION, name, body, self._now() + FORGOTTEN, document)


def _speed(document: Document | None) -> Speed:
    """The speed in a document; that of another version, in another shape, is unknown."""
    try:
        return UNKNOWN if document is None else Speed(**json.loads(document.body))
    except (TypeError, ValueError):
        return UNKNOWN
