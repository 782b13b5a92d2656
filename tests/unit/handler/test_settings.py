"""Settings: what each variable means, and what holds without it."""

import pytest

from tollgate.handler.settings import Settings, from_environment


def test_without_variables_it_is_a_laptop() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"PATH": "/bin", "TABLE": "t"}) == Settings()


def test_every_variable_is_read() -> None:
    names = ["TABLE", "DB", "CATALOG", "CREDENTIALS_PATH", "DEV_KEY", "METRICS_NAMESPACE"]
    environ = {f"TOLLGATE_{name}": f"a {name}" for name in names} | {
        "TOLLGATE_ECHO": "on",
        "TOLLGATE_STORE_FAILURE": "open",
        "TOLLGATE_LOG_LEVEL": "DEBUG",
    }
    assert from_environment(environ) == Settings(
        table="a TABLE",
        db="a DB",
        catalog="a CATALOG",
        credentials_path="a CREDENTIALS_PATH",
        echo=True,
        dev_key="a DEV_KEY",
        metrics_namespace="a METRICS_NAMESPACE",
        fail_open=True,
        log_level="DEBUG",
    )


def test_empty_variable_is_not_set() -> None:
    names = ["TABLE", "DB", "CATALOG", "CREDENTIALS_PATH", "ECHO", "DEV_KEY", "METRICS_NAMESPACE", "STORE_FAILURE"]
    names.append("LOG_LEVEL")
    assert from_environment({f"TOLLGATE_{name}": "" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("table", "echo", "answers"), [("", "", True), ("t", "", False), ("t", "on", True), ("", "off", False)]
)
def test_echo_answers_by_default_only_where_there_is_no_table(table: str, echo: str, answers: bool) -> None:
    assert from_environment({"TOLLGATE_TABLE": table, "TOLLGATE_ECHO": echo}).echo is answers
