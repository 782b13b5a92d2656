"""The command line in this process: a process of its own for each command takes most of a second."""

import os
from collections.abc import Mapping

from typer.testing import CliRunner, Result

from tollgate.handler.cli.app import app

SETTINGS = ("TOLLGATE_", "AWS_")


def cleared() -> dict[str, str | None]:
    """Changes of the environment that leave no setting in it."""
    return {name: None for name in os.environ if name.startswith(SETTINGS)}


def run_command(*words: str, env: Mapping[str, str | None] | None = None, stdin: str | None = None) -> Result:
    """Run `tollgate` with these words, in an environment without settings but those given."""
    return CliRunner().invoke(app, [*words], env={**cleared(), "COLUMNS": "160", **(env or {})}, input=stdin)


def create_key(*flags: str, env: Mapping[str, str | None] | None = None) -> str:
    """The text of a new key, created with these flags."""
    return create("keys", *flags, env=env)


def create(group: str, *flags: str, env: Mapping[str, str | None] | None = None) -> str:
    """What `tollgate keys create`, or that of another group, prints."""
    created = run_command(group, "create", "--name", "test", *flags, env=env)
    if "not available" in created.output:  # a busy machine exceeds the timeouts of the store
        created = run_command(group, "create", "--name", "test", *flags, env=env)
    assert created.exit_code == 0, created.output
    return created.stdout.strip()
