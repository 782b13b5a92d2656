"""The composition root: it chooses and connects the store, the credentials, the catalog and the network."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate.adapters import FAMILIES
from tollgate.gateway import keys
from tollgate.gateway.catalog import Catalog, CatalogError, Provider
from tollgate.gateway.catalog_reader import load, read_generated
from tollgate.gateway.documents import Documents
from tollgate.gateway.errors import AuthenticationError, ConfigurationError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.large_bodies import Uploads
from tollgate.gateway.ports import Dependencies, TimeLimits
from tollgate.gateway.serving import Gateway
from tollgate.gateway.store_ports import KeyStore, Store, UsageStore
from tollgate.handler.credentials import EnvironmentCredentials, ParameterStoreCredentials
from tollgate.handler.settings import TRACES_HEADERS, Settings
from tollgate.handler.telemetry import Telemetry
from tollgate.stores.fail_open import FailOpenLedger
from tollgate.stores.retrying import RetryingLedger
from tollgate.stores.shared_health import SharedHealth
from tollgate.stores.shared_speeds import SharedSpeeds
from tollgate.upstream.auth import Credentials
from tollgate.upstream.client import Timeouts, UpstreamClient
from tollgate.upstream.images import ImageFetcher

if TYPE_CHECKING:
    from tollgate.handler.traces import Traces
    from tollgate.upstream.otlp import OtlpClient

BUILT_IN_CATALOG = Path(__file__).parent.parent / "catalog.toml"
COMPILED_CATALOG = BUILT_IN_CATALOG.with_suffix(".json")
"""The built-in catalog as the build of the functions writes it, instead of the TOML."""
GENERATED_CATALOG = BUILT_IN_CATALOG.with_name("catalog_generated.json")
"""What `make catalog` writes: models that no row of the built-in catalog has."""


class SystemClock:
    """The system's time."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Components:
    """Everything one process needs, built once. Call `close` if the process outlives it."""

    gateway: Gateway
    keys: KeyStore
    usage: UsageStore
    documents: Documents
    telemetry: Telemetry
    clock: SystemClock
    settings: Settings
    uploads: Uploads | None
    traces: "Traces | None"
    close: Callable[[], Awaitable[None]]


def build(settings: Settings) -> Components:
    """Build the gateway. Raises CatalogError, and the errors of opening the store."""
    catalog = read_catalog(settings.catalog)
    substitute = catalog.models.get("echo") if settings.echo else None
    if not settings.echo:
        catalog = catalog.without_family("echo")
    store = open_store(settings)
    if settings.credentials_path is None:
        credentials = EnvironmentCredentials(os.environ)
    else:
        credentials = ParameterStoreCredentials(settings.credentials_path)
    upstream = UpstreamClient(credentials, Timeouts())
    clock = SystemClock()
    ledger = RetryingLedger(FailOpenLedger(store, clock.now) if settings.fail_open else store)
    images = ImageFetcher(settings.image_hosts)
    health = SharedHealth(store, clock.now)
    speeds = SharedSpeeds(store, clock.now)
    dependencies = Dependencies(FAMILIES, upstream, images, store, ledger, clock, health, speeds)
    gateway = Gateway(catalog, dependencies, substitute)

    collector = None if settings.traces is None else open_collector(settings.traces, credentials)
    traces = None if collector is None else open_traces(collector)

    async def close() -> None:
        if collector is not None:
            await collector.aclose()
        await upstream.aclose()
        await images.aclose()
        await health.idle()
        await speeds.idle()
        store.close()

    telemetry = Telemetry(settings.log_level, settings.metrics_namespace)
    return Components(gateway, store, store, store, telemetry, clock, settings, open_uploads(settings), traces, close)


async def check_credential(provider: Provider, secret: str) -> int | None:
    """The HTTP status of a free request to the provider with this secret; None if it has no such request.

    Raises UpstreamError if the provider does not answer.
    """
    from tollgate.adapters.credential_check import credential_check

    request = credential_check(provider)
    if request is None:
        return None
    upstream = UpstreamClient(EnvironmentCredentials({provider.credential or "": secret}), Timeouts(first_byte=30))
    try:
        response = await upstream.send(request, provider, TimeLimits())
        await response.aclose()
        return response.status
    finally:
        await upstream.aclose()


def read_catalog(overlay: str | None) -> Catalog:
    """The built-in catalog with the rows of the owner's file. Raises CatalogError, naming file, row and reason."""
    layers: list[tuple[str, str]] = []
    built_in = COMPILED_CATALOG if COMPILED_CATALOG.exists() else BUILT_IN_CATALOG
    for path in (built_in, *([Path(overlay)] if overlay else [])):
        try:
            layers.append((str(path), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: cannot be read: {error}") from error
    return load(layers, FAMILIES, read_generated(GENERATED_CATALOG.read_bytes()))


def open_collector(target: str, credentials: Credentials) -> "OtlpClient":
    """Where traces are sent, imported only where there are any."""
    from tollgate.upstream.otlp import OtlpClient

    return OtlpClient(target, credentials, TRACES_HEADERS)


def open_traces(collector: "OtlpClient") -> "Traces":
    """The traces of this process."""
    from tollgate.handler.traces import Traces

    return Traces(collector.send)


def open_uploads(settings: Settings) -> Uploads | None:
    """Where uploads are kept; None if the owner of a table has no bucket for them."""
    if settings.uploads_bucket is not None:
        from tollgate.stores.s3_uploads import S3Uploads

        return S3Uploads(settings.uploads_bucket)
    if settings.table is not None:
        return None
    from tollgate.stores.disk_uploads import DiskUploads

    return DiskUploads(Path(f"{settings.db}.uploads"))


def open_store(settings: Settings) -> Store:
    """The DynamoDB table if the settings name one, else the SQLite file, with the fixed development key if there is
    one.

    Only the chosen store is imported, which saves time at the start.
    """
    if settings.table is not None:
        from tollgate.stores.dynamodb.client import connect
        from tollgate.stores.dynamodb.store import DynamoDBStore

        return DynamoDBStore(settings.table, connect())
    from tollgate.stores.sqlite.store import SQLiteStore

    known: list[KeyRecord] = []
    if settings.dev_key is not None:
        try:
            key = keys.read(settings.dev_key)
        except AuthenticationError as error:
            raise ConfigurationError("TOLLGATE_DEV_KEY does not have the form of a key.") from error
        known.append(KeyRecord(key.key_id, key.key_hash, "development", "active", int(time.time())))
    return SQLiteStore(settings.db, known)
