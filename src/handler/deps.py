"""The composition root: which store, which credentials, which catalog; the only room that knows every edge."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from adapters import FAMILIES
from gateway import keys
from gateway.catalog import Catalog, CatalogError, load
from gateway.chat import Edges, Gateway
from gateway.errors import AuthenticationError, ConfigurationError
from gateway.keys import KeyRecord
from gateway.ports import KeyStore, Store, UsageStore
from handler.credentials import EnvironmentCredentials, ParameterStoreCredentials
from handler.settings import Settings
from handler.telemetry import Telemetry
from stores.fail_open import FailOpenLedger
from stores.patient import PatientLedger
from upstream.client import Clocks, UpstreamClient
from upstream.images import ImageFetcher

BUILT_IN_CATALOG = Path(__file__).parent.parent / "catalog.toml"


class SystemClock:
    """The machine's own time."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


@dataclass(frozen=True, slots=True)
class House:
    """Everything one process needs, built once. `close` it where the process outlives it."""

    gateway: Gateway
    keys: KeyStore
    usage: UsageStore
    telemetry: Telemetry
    clock: SystemClock
    close: Callable[[], Awaitable[None]]


def build(settings: Settings) -> House:
    """Put the gateway together. Raises CatalogError, and whatever the store says of its file."""
    catalog = read_catalog(settings.catalog)
    stand_in = catalog.models.get("echo") if settings.echo else None
    if not settings.echo:
        catalog = catalog.without_family("echo")
    store = open_store(settings)
    if settings.credentials_path is None:
        credentials = EnvironmentCredentials(os.environ)
    else:
        credentials = ParameterStoreCredentials(settings.credentials_path)
    upstream = UpstreamClient(credentials, Clocks())
    clock = SystemClock()
    ledger = PatientLedger(FailOpenLedger(store, clock.now) if settings.fail_open else store)
    images = ImageFetcher(settings.image_hosts)
    edges = Edges(FAMILIES, upstream, images, keys=store, ledger=ledger, clock=clock)
    gateway = Gateway(catalog, edges, stand_in)

    async def close() -> None:
        await upstream.aclose()
        await images.aclose()
        store.close()

    return House(gateway, store, store, Telemetry(settings.log_level, settings.metrics_namespace), clock, close)


def read_catalog(overlay: str | None) -> Catalog:
    """The built-in catalog with the owner's file laid over it. Raises CatalogError, naming file, row and reason."""
    layers: list[tuple[str, str]] = []
    for path in (BUILT_IN_CATALOG, *([Path(overlay)] if overlay else [])):
        try:
            layers.append((str(path), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: cannot be read: {error}") from error
    return load(layers, FAMILIES)


def open_store(settings: Settings) -> Store:
    """The deployed table where one is named, else the SQLite file, which takes in the development key if there is one.

    Only the library of the store that is used is imported: it is a third of a cold start.
    """
    if settings.table is not None:
        from stores.dynamodb import DynamoDBStore

        return DynamoDBStore(settings.table)
    from stores.sqlite import SQLiteStore

    known: list[KeyRecord] = []
    if settings.dev_key is not None:
        try:
            key = keys.read(settings.dev_key)
        except AuthenticationError as error:
            raise ConfigurationError("TOLLGATE_DEV_KEY has not the form of a key.") from error
        known.append(KeyRecord(key.key_id, key.key_hash, "development", "active", int(time.time())))
    return SQLiteStore(settings.db, known)
