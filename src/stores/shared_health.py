"""The health of routes, known to all instances: circuit breakers in the store, read and written in the background."""

import json
from collections.abc import Callable
from dataclasses import asdict

from tollgate.gateway.circuit import CLOSED, FORGOTTEN, WINDOW, Circuit
from tollgate.gateway.documents import Document, Documents
from tollgate.gateway.errors import GatewayError, RateLimitError, UpstreamAuthError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.stores.background import Background

COLLECTION = "health"
READ_SECONDS = 5.0
"""A process reads what the others know at most once in so many seconds."""
AUTH_COOLDOWN = 60.0
"""Seconds for which a refused credential is not used while there is another."""
LONGEST_WAIT = 300.0
"""Seconds of cooldown that a provider can ask for."""
MAX_TRIES = 4


class SharedHealth:
    """See `gateway.ports.Health`. A store that does not respond costs what other instances know, and nothing else."""

    def __init__(self, documents: Documents, now: Callable[[], float]) -> None:
        self._documents = documents
        self._now = now
        self._circuits: dict[str, Circuit] = {}
        self._read_at = -READ_SECONDS
        self._changed: set[str] = set()
        """What this process changed since it last began to read."""
        self._successes: dict[str, tuple[int, float]] = {}
        """Successes of this process that no circuit has counted, and when it began to count them."""
        self._probes: set[str] = set()
        self._background = Background()

    def refresh(self) -> None:
        """See `Health.refresh`."""
        now = self._now()
        if now - self._read_at >= READ_SECONDS:
            self._read_at = now
            self._background.start(self._read())

    def is_on_cooldown(self, route: Route) -> bool:
        """See `Health.is_on_cooldown`."""
        return bool(self._circuits) and bool(self._tripped(route))

    def may_probe(self, route: Route) -> bool:
        """See `Health.may_probe`. The first request that asks makes this instance claim the probe in the background."""
        tripped, now = self._tripped(route), self._now()
        if tripped and self._probes.issuperset(tripped):
            self._probes.difference_update(tripped)
            return True
        if not any(self._circuits[name].is_open(now) for name in tripped if name not in self._probes):
            for name in tripped:
                if name not in self._probes:
                    circuit = self._circuits[name]
                    self._circuits[name] = circuit.as_probed(now)
                    self._background.start(self._claim_probe(name, circuit))
        return False

    def failed(self, route: Route, error: GatewayError) -> None:
        """See `Health.failed`. An error of the client's says nothing about the route."""
        match error:
            case UpstreamAuthError():
                self._change(route.account, lambda circuit: circuit.after_failure(self._now(), AUTH_COOLDOWN))
            case RateLimitError(retry_after=float(wait)):
                wait = min(wait, LONGEST_WAIT)
                self._change(route.target, lambda circuit: circuit.after_failure(self._now(), wait))
            case UpstreamError() | RateLimitError():
                successes, _ = self._successes.pop(route.target, (0, 0.0))
                self._change(route.target, lambda circuit: circuit.after_failure(self._now(), None, successes))
            case _:
                pass

    def succeeded(self, route: Route) -> None:
        """See `Health.succeeded`."""
        now = self._now()
        count, since = self._successes.get(route.target, (0, now))
        self._successes[route.target] = (count + 1, since) if now - since < WINDOW else (1, now)
        for name in self._tripped(route) if self._circuits else ():
            self._probes.discard(name)
            self._change(name, lambda circuit: CLOSED)

    async def idle(self) -> None:
        """Wait until nothing is read or written any more."""
        await self._background.idle()

    def _tripped(self, route: Route) -> list[str]:
        """Which circuits of a route are open, or half-open."""
        now, known = self._now(), self._circuits
        return [
            name
            for name in (route.target, route.account)
            if name in known and (known[name].is_open(now) or known[name].is_half_open(now))
        ]

    def _change(self, name: str, change: Callable[[Circuit], Circuit]) -> None:
        """Change a circuit at once for this process, and in the background for the others."""
        before = self._circuits.get(name, CLOSED)
        after = self._circuits[name] = change(before)
        if after != before:
            self._changed.add(name)
            self._background.start(self._write(name, change))

    async def _read(self) -> None:
        self._changed.clear()
        found = await self._documents.read_all(COLLECTION)
        own = {name: self._circuits[name] for name in self._changed}
        self._circuits = {name: _circuit(document) for name, document in found.items()} | own

    async def _write(self, name: str, change: Callable[[Circuit], Circuit]) -> None:
        for _ in range(MAX_TRIES):
            document = await self._documents.read(COLLECTION, name)
            circuit = change(_circuit(document))
            if circuit == _circuit(document) or await self._replace(name, circuit, document):
                self._circuits[name] = circuit
                return

    async def _claim_probe(self, name: str, circuit: Circuit) -> None:
        """Of all instances that find the cooldown over, the one whose write succeeds tries the route."""
        document = await self._documents.read(COLLECTION, name)
        is_same = document is not None and _circuit(document) == circuit
        if is_same and await self._replace(name, circuit.as_probed(self._now()), document):
            self._probes.add(name)

    async def _replace(self, name: str, circuit: Circuit, document: Document | None) -> bool:
        body, until = json.dumps(asdict(circuit)).encode(), self._now() + FORGOTTEN
        return await self._documents.write(COLLECTION, name, body, until, document)


def _circuit(document: Document | None) -> Circuit:
    """The circuit in a document; one that another version wrote in another shape counts as closed."""
    try:
        return CLOSED if document is None else Circuit(**json.loads(document.body))
    except (TypeError, ValueError):
        return CLOSED
