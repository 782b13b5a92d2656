"""What the owner decides: settings, read once from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from tollgate.gateway.errors import ConfigurationError

MAX_BODY_BYTES = 6 * 1024 * 1024
"""Lambda's own limit for one request (AWS Lambda quotas, "Invocation payload"); local runs keep to it as well."""


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings.

    `table` names the DynamoDB table; where there is none, `db` is the path of an SQLite file. `catalog` is a file laid
    over the built-in catalog. `credentials_path` is where Parameter Store keeps credentials; without it they are
    environment variables. `echo` lets the echo provider answer. `dev_key` is a key known beforehand, for offline runs:
    SQLite stores take it in, a table never does. `metrics_namespace` turns EMF metrics on.
    `fail_open` lets requests through without limits while the store does not answer, if this process has seen their
    key admitted shortly before; else they are refused with 503. `image_hosts` are hosts from which images are fetched
    although their addresses are not public.
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
    log_level: str = "INFO"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """TOLLGATE_* variables; an empty one counts as not set. Echo answers by default only where there is no table.

    Raises ConfigurationError for a value that is none.
    """

    def get(name: str) -> str | None:
        return environ.get(f"TOLLGATE_{name}") or None

    return Settings(
        table=get("TABLE"),
        db=get("DB") or "tollgate.db",
        catalog=get("CATALOG"),
        credentials_path=get("CREDENTIALS_PATH"),
        echo=_one_of("TOLLGATE_ECHO", get("ECHO") or ("off" if get("TABLE") else "on"), ("on", "off")) == "on",
        dev_key=get("DEV_KEY"),
        metrics_namespace=get("METRICS_NAMESPACE"),
        fail_open=_one_of("TOLLGATE_STORE_FAILURE", get("STORE_FAILURE") or "closed", ("closed", "open")) == "open",
        image_hosts=tuple((get("IMAGE_HOSTS") or "").replace(",", " ").split()),
        log_level=_one_of("TOLLGATE_LOG_LEVEL", get("LOG_LEVEL") or "INFO", LOG_LEVELS),
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value
