"""The owner's settings, read once from environment variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tollgate.gateway.errors import ConfigurationError

DEFAULT_MAX_BODY_MB = "32"
"""Lambda itself takes 6 MB (AWS Lambda quotas, "Invocation payload"); an upload may be larger there too."""

TRACES_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
"""The name of the credential with the headers for a collector of traces, as OpenTelemetry's own exporters call it."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process.

    `table` names the DynamoDB table; without one, `db` is the path of an SQLite file. `catalog` is a file whose rows
    replace those of the built-in catalog. `credentials_path` is the path of credentials in Parameter Store; without it
    they are environment variables. `echo` lets the echo provider answer. `dev_key` is a fixed key for offline runs,
    which an SQLite store accepts and a table never does. `metrics_namespace` turns EMF metrics on. `fail_open` lets
    requests through without limits while the store does not respond, if this process admitted their key recently; else
    they are refused with 503. `image_hosts` are hosts from which images are fetched although their addresses are not
    public. `cors_origins` are origins of web pages that may call the API; `*` means every page.
    `admin_api` turns on the admin API, which changes keys. `traces` is where traces are sent: `xray`, or the URL of an
    OTLP collector; without it there are none. `uploads_bucket` is the S3 bucket for what is too large for
    a request; without a table, uploads are files beside the SQLite file. A body or an upload has at most
    `max_body_bytes`.
    """

    table: str | None = None
    db: str = "tollgate.db"
    catalog: str | None = None
    credentials_path: str | None = None
    echo: bool = True
    dev_key: str | None = None
    metrics_namespace: str | None = None
    fail_open: bool = False
    image_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    admin_api: bool = True
    traces: str | None = None
    uploads_bucket: str | None = None
    max_body_bytes: int = 32 * 1024 * 1024
    log_level: str = "INFO"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings in TOLLGATE_* variables; an empty variable counts as not set. By default echo and the admin API are
    on without a table, and off with one.

    Raises ConfigurationError for an invalid value.
    """

    def get(name: str) -> str | None:
        return environ.get(f"TOLLGATE_{name}") or None

    local_only = "off" if get("TABLE") else "on"
    return Settings(
        table=get("TABLE"),
        db=get("DB") or "tollgate.db",
        catalog=get("CATALOG"),
        credentials_path=get("CREDENTIALS_PATH"),
        echo=_one_of("TOLLGATE_ECHO", get("ECHO") or local_only, ("on", "off")) == "on",
        dev_key=get("DEV_KEY"),
        metrics_namespace=get("METRICS_NAMESPACE"),
        fail_open=_one_of("TOLLGATE_STORE_FAILURE", get("STORE_FAILURE") or "closed", ("closed", "open")) == "open",
        image_hosts=_list(get("IMAGE_HOSTS")),
        cors_origins=_list(get("CORS_ORIGINS")),
        admin_api=_one_of("TOLLGATE_ADMIN_API", get("ADMIN_API") or local_only, ("on", "off")) == "on",
        traces=_traces(get("TRACES")),
        uploads_bucket=get("UPLOADS_BUCKET"),
        max_body_bytes=_megabytes("TOLLGATE_MAX_BODY_MB", get("MAX_BODY_MB") or DEFAULT_MAX_BODY_MB),
        log_level=_one_of("TOLLGATE_LOG_LEVEL", get("LOG_LEVEL") or "INFO", LOG_LEVELS),
    )


def _traces(value: str | None) -> str | None:
    if value is None or value == "xray" or re.fullmatch(r"https?://[!-~]+", value):
        return value
    raise ConfigurationError(f"TOLLGATE_TRACES must be xray or the URL of a collector, not {value!r}.")


def _megabytes(name: str, value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value):
        raise ConfigurationError(f"{name} must be a whole number of megabytes, not {value!r}.")
    return int(value) * 1024 * 1024


def _list(value: str | None) -> tuple[str, ...]:
    return tuple((value or "").replace(",", " ").split())


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value
