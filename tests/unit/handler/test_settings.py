"""Settings: the meaning and the default of each variable."""

import pytest

from tollgate.handler.settings import Settings, from_environment


def test_no_variables_mean_local_defaults() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"PATH": "/bin", "TABLE": "t"}) == Settings()


def test_every_variable_is_read() -> None:
    names = ["TABLE", "DB", "CATALOG", "CREDENTIALS_PATH", "DEV_KEY", "METRICS_NAMESPACE"]
    environ = {f"TOLLGATE_{name}": f"a {name}" for name in names} | {
        "TOLLGATE_ECHO": "on",
        "TOLLGATE_ADMIN_API": "on",
        "TOLLGATE_STORE_FAILURE": "open",
        "TOLLGATE_LOG_LEVEL": "DEBUG",
    }
    assert from_environment(environ) == Settings(
        table="a TABLE",
        db="a DB",
        catalog="a CATALOG",
        credentials_path="a CREDENTIALS_PATH",
        echo=True,
        admin_api=True,
        dev_key="a DEV_KEY",
        metrics_namespace="a METRICS_NAMESPACE",
        fail_open=True,
        log_level="DEBUG",
    )


def test_empty_variable_counts_as_unset() -> None:
    names = ["TABLE", "DB", "CATALOG", "CREDENTIALS_PATH", "ECHO", "DEV_KEY", "METRICS_NAMESPACE", "STORE_FAILURE"]
    names += ["LOG_LEVEL", "ADMIN_API"]
    assert from_environment({f"TOLLGATE_{name}": "" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("table", "value", "enabled"), [("", "", True), ("t", "", False), ("t", "on", True), ("", "off", False)]
)
def test_echo_and_admin_api_are_on_by_default_only_without_a_table(table: str, value: str, enabled: bool) -> None:
    assert from_environment({"TOLLGATE_TABLE": table, "TOLLGATE_ECHO": value}).echo is enabled
    assert from_environment({"TOLLGATE_TABLE": table, "TOLLGATE_ADMIN_API": value}).admin_api is enabled
