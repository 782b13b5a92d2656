"""The command line, on an SQLite file and on a DynamoDB table."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from support.dynamodb_local import DynamoDB
from support.running_gateway import TOLLGATE
from tollgate.handler.cli.app import app

StoreOptions = tuple[list[str], Mapping[str, str | None]]
CLEAN: Mapping[str, str | None] = {name: None for name in os.environ if name.startswith(("TOLLGATE_", "AWS_"))} | {
    "COLUMNS": "160"
}
"""Changes of the environment, so that a test has only the variables that it sets."""


@pytest.fixture(params=["sqlite", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    if request.param == "sqlite":
        return ["--db", str(tmp_path / "keys.db")], CLEAN
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    return ["--table", request.getfixturevalue("table")], {**CLEAN, **dynamodb.environment}


def run_cli(store: StoreOptions, *arguments: str, expect_failure: bool = False) -> Result:
    options, env = store
    result = CliRunner().invoke(app, [*arguments, *options], env=env)
    assert (result.exit_code != 0) == expect_failure, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_key_is_created_listed_shown_and_revoked(store: StoreOptions) -> None:
    created = run_cli(store, "keys", "create", "--name", "alice")
    key = created.stdout.strip()
    key_id = key.split("-")[2]
    assert key.startswith("sk-tg-")
    assert len(key.split("-")[3]) == 64
    for command in (("keys", "list"), ("keys", "show", key_id)):
        shown = run_cli(store, *command).stdout
        assert key_id in shown
        assert "alice" in shown
        assert key.split("-")[3] not in shown
    assert json.loads(run_cli(store, "keys", "show", key_id, "--json").stdout)["status"] == "active"
    assert "revoked" in run_cli(store, "keys", "revoke", key_id).stdout
    listed = json.loads(run_cli(store, "keys", "list", "--json").stdout)
    assert [(row["key_id"], row["status"]) for row in listed] == [(key_id, "revoked")]


def test_unknown_key_is_an_error_that_names_it(store: StoreOptions) -> None:
    for command in ("show", "revoke"):
        result = run_cli(store, "keys", command, "ffffffffffff", expect_failure=True)
        assert "ffffffffffff" in result.stderr


def test_file_and_table_together_are_refused(tmp_path: Path) -> None:
    options = ["--db", str(tmp_path / "x.db"), "--table", "t"]
    assert "two different stores" in run_cli((options, CLEAN), "keys", "list", expect_failure=True).stderr


def test_invalid_catalog_stops_the_start_with_file_row_and_reason(tmp_path: Path) -> None:
    catalog = tmp_path / "mine.toml"
    catalog.write_text('[providers.mine]\nfamily = "telepathy"\nauth = "none"\n')
    options = ["--db", str(tmp_path / "x.db"), "--catalog", str(catalog)]
    message = run_cli((options, CLEAN), "serve", "--port", "0", expect_failure=True).stderr
    assert f"{catalog}: providers.mine: family: 'telepathy'" in message


def test_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    options = ["--db", str(tmp_path / "nowhere" / "x.db")]
    assert "nowhere" in run_cli((options, CLEAN), "keys", "list", expect_failure=True).stderr


def key_fields(store: StoreOptions, key_id: str) -> dict[str, Any]:
    return json.loads(run_cli(store, "keys", "show", key_id, "--json").stdout)


def test_key_is_created_with_limits_changed_rotated_and_deleted(store: StoreOptions) -> None:
    flags = "--owner ops --rpm 5 --tpm 900 --budget 5/day --models gpt-*,claude-* --expires 2030-01-01 --role admin"
    created_key = run_cli(
        store, "keys", "create", "--name", "alice", *flags.split(), "--metadata", "team=blue"
    ).stdout.strip()
    key_id = created_key.split("-")[2]
    expected = {
        "name": "alice",
        "owner": "ops",
        "role": "admin",
        "tier": "default",
        "rpm": 5,
        "tpm": 900,
        "concurrency": 10,  # the default tier's
        "budget": "5/day",
        "models": ["gpt-*", "claude-*"],
        "metadata": {"team": "blue"},
        "expires_at": "2030-01-01T00:00:00Z",
    }
    assert {name: key_fields(store, key_id)[name] for name in expected} == expected

    run_cli(store, "keys", "update", key_id, "--rpm", "7", "--budget", "none", "--expires", "never")
    changed = key_fields(store, key_id)
    assert (changed["rpm"], changed["budget"], changed["expires_at"], changed["tpm"]) == (7, None, None, 900)
    run_cli(store, "keys", "update", key_id, "--tier", "unlimited")
    assert key_fields(store, key_id)["rpm"] is None

    new = run_cli(store, "keys", "rotate", key_id, "--overlap", "2h").stdout.strip()
    assert new.split("-")[2] == key_id
    assert new != created_key
    assert key_fields(store, key_id)["previous_secret_until"] is not None
    assert "still works" in run_cli(store, "keys", "rotate", key_id, expect_failure=True).stderr
    assert run_cli(store, "keys", "rotate", key_id, "--overlap", "0m").stdout.strip() != new

    history = key_fields(store, key_id)["history"]
    assert [entry["action"] for entry in history] == ["create", "update", "update", "rotate", "rotate"]
    assert all(entry["by"].startswith("cli:") for entry in history)
    assert created_key not in json.dumps(history)
    run_cli(store, "keys", "delete", key_id)
    assert json.loads(run_cli(store, "keys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--budget", "5"], "5/day"),
        (["--budget", "-1/day"], "5/day"),
        (["--expires", "soon"], "2026-12-31"),
        (["--tier", "gold"], "gold"),
        (["--rpm", "-1"], "rpm"),
        (["--role", "king"], "role"),
        (["--metadata", "team"], "NAME=VALUE"),
        (["--metadata", "team=\x1b[2J"], "NAME=VALUE"),
        (["--models", ""], "name at least one model"),
        (["--models", "gpt-*,,"], "name at least one model"),
        (["--budget", "1e30/day"], "10000000 at most"),
        (["--budget", "10000000.01/day"], "10000000 at most"),
        (["--rpm", "99999999999999999999"], "1000000000"),
        (["--tpm", "1000000001"], "1000000000"),
        (["--concurrency", "1000000001"], "1000000000"),
        (["--expires", "99999999999d"], "after the year 9999"),
        (["--expires", "9" * 5000 + "d"], "2026-12-31"),
        (["--expires", "9999-12-31T23:59:59-12:00"], "after the year 9999"),
        (["--expires", "2020-01-01"], "in the past"),
        (["--shards", "11"], "limit concurrency is too small for 11 shards: it must be 11 at least"),
    ],
)
def test_invalid_flag_is_an_error_and_creates_no_key(tmp_path: Path, flags: list[str], message: str) -> None:
    store = (["--db", str(tmp_path / "x.db")], CLEAN)
    assert message in run_cli(store, "keys", "create", "--name", "x", *flags, expect_failure=True).stderr
    assert json.loads(run_cli(store, "keys", "list", "--json").stdout) == []


def test_limit_of_zero_is_none(store: StoreOptions) -> None:
    key_id = run_cli(store, "keys", "create", "--name", "x", "--tier", "default", "--rpm", "5").stdout.split("-")[2]
    run_cli(store, "keys", "update", key_id, "--rpm", "0")
    assert json.loads(run_cli(store, "keys", "show", key_id, "--json").stdout)["rpm"] is None


def test_names_and_globs_are_printed_unchanged(store: StoreOptions) -> None:
    name, glob = "a[/b] [red]x[/red] :x:", "claude-[a-z]*"
    key_id = run_cli(store, "keys", "create", "--name", name, "--models", glob).stdout.split("-")[2]
    for command in (("keys", "list"), ("keys", "show", key_id)):
        shown = run_cli(store, *command).stdout
        assert name in shown
        assert glob in shown


def test_star_allows_all_models(store: StoreOptions) -> None:
    key_id = run_cli(store, "keys", "create", "--name", "x", "--models", "gpt-*").stdout.split("-")[2]
    run_cli(store, "keys", "update", key_id, "--models", "*")
    assert key_fields(store, key_id)["models"] == []


def test_budgets_are_printed_without_exponents(store: StoreOptions) -> None:
    key_id = run_cli(store, "keys", "create", "--name", "x", "--budget", "1e3/day").stdout.split("-")[2]
    assert key_fields(store, key_id)["budget"] == "1000/day"
    assert "$1000/day" in run_cli(store, "keys", "list").stdout


def test_team_is_created_with_keys_shown_changed_and_deleted(store: StoreOptions) -> None:
    created = run_cli(store, "teams", "create", "--name", "research", "--budget", "500/month", "--rpm", "100")
    team = created.stdout.strip()
    key_id = run_cli(store, "keys", "create", "--name", "alice", "--team", team).stdout.split("-")[2]
    assert json.loads(run_cli(store, "keys", "show", key_id, "--json").stdout)["team"] == team
    assert team in run_cli(store, "keys", "list").stdout
    shown = run_cli(store, "teams", "show", team).stdout
    assert all(text in shown for text in ("research", "100 rpm, $500/month", "$500.000000", "alice", "create"))
    run_cli(store, "teams", "update", team, "--budget", "600/month", "--owner", "eve")
    state = json.loads(run_cli(store, "teams", "show", team, "--json").stdout)
    assert (state["budget"], state["limit_remaining"], state["owner"], state["keys"]) == (
        "600/month",
        600.0,
        "eve",
        [key_id],
    )
    assert [entry["action"] for entry in state["history"]] == ["create", "update"]
    assert "total" in run_cli(store, "usage", "--team", team).stdout
    assert "has one key" in run_cli(store, "teams", "delete", team, expect_failure=True).stderr
    run_cli(store, "keys", "update", key_id, "--team", "none")
    assert "is reset" in run_cli(store, "teams", "reset", team).stdout
    run_cli(store, "teams", "delete", team)
    assert json.loads(run_cli(store, "teams", "list", "--json").stdout) == []


def test_ids_of_teams_and_keys_are_not_taken_for_each_other(store: StoreOptions) -> None:
    team = run_cli(store, "teams", "create", "--name", "research").stdout.strip()
    key_id = run_cli(store, "keys", "create", "--name", "alice").stdout.split("-")[2]
    for command in ("show", "revoke", "reset", "delete"):
        assert f"There is no key {team}" in run_cli(store, "keys", command, team, expect_failure=True).stderr
    for command in ("show", "reset", "delete"):
        assert f"There is no team {key_id}" in run_cli(store, "teams", command, key_id, expect_failure=True).stderr
    unknown = "team-ffffffffffff"
    for arguments in (("teams", "show", unknown), ("teams", "delete", unknown), ("usage", "--team", unknown)):
        assert f"There is no team {unknown}" in run_cli(store, *arguments, expect_failure=True).stderr
    refused = run_cli(store, "keys", "create", "--name", "x", "--team", unknown, expect_failure=True)
    assert f"There is no team {unknown}" in refused.stderr
    assert "'team'" in run_cli(store, "keys", "update", key_id, "--team", "research", expect_failure=True).stderr
    assert "--team" in run_cli(store, "usage", "--team", team, "--key", key_id, expect_failure=True).stderr


def test_overlap_that_ends_in_the_past_is_refused(store: StoreOptions) -> None:
    key_id = run_cli(store, "keys", "create", "--name", "x").stdout.split("-")[2]
    assert (
        "in the past" in run_cli(store, "keys", "rotate", key_id, "--overlap", "2020-01-01", expect_failure=True).stderr
    )
    assert [entry["action"] for entry in key_fields(store, key_id)["history"]] == ["create"]


def test_limits_per_shard_are_checked_when_limits_change(store: StoreOptions) -> None:
    flags = ["--tier", "unlimited", "--shards", "4", "--tpm", "4000"]
    key_id = run_cli(store, "keys", "create", "--name", "x", *flags).stdout.split("-")[2]
    message = run_cli(store, "keys", "update", key_id, "--tpm", "3999", expect_failure=True).stderr
    assert "limit tpm is too small for 4 shards: it must be 4000 at least" in message
    assert key_fields(store, key_id)["tpm"] == 4000


def test_usage_is_shown_for_existing_and_deleted_keys_only(store: StoreOptions) -> None:
    key_id = run_cli(store, "keys", "create", "--name", "x").stdout.split("-")[2]
    assert "total" in run_cli(store, "usage", "--key", key_id, "--to", "9999-12-31").stdout
    run_cli(store, "keys", "delete", key_id)
    assert "total" in run_cli(store, "usage", "--key", key_id).stdout
    for unknown in ("nokey", "ffffffffffff"):
        assert f"There is no key {unknown}" in run_cli(store, "usage", "--key", unknown, expect_failure=True).stderr


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AWS_DEFAULT_REGION": ""}, "There is no AWS region"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "There are no AWS credentials here"),
        ({}, "There is no table nowhere in the region us-east-1"),
    ],
)
def test_unreadable_table_is_an_error_with_its_reason(
    dynamodb: DynamoDB, changes: dict[str, str], expected: str
) -> None:
    env = {**CLEAN, **dynamodb.environment, **{name: value or None for name, value in changes.items()}}
    store = (["--table", "nowhere"], env)
    for command in (("keys", "list"), ("usage",)):
        message = run_cli(store, *command, expect_failure=True).stderr
        assert message.startswith(expected)
        assert len(message.splitlines()) == 1


def serve_key(db: Path, *flags: str) -> str:
    """The key that `tollgate serve` prints."""
    command = [str(TOLLGATE), "serve", "--port", "0", "--db", str(db), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.terminate()
    assert lines[3].strip().endswith("(for development: no limits; --fresh-key replaces it)")
    return lines[3].split()[2]


def test_serve_keeps_one_development_key_per_file(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    first, second = serve_key(db), serve_key(db)
    assert first == second
    assert (tmp_path / "x.db.key").stat().st_mode & 0o777 == 0o600
    fresh = serve_key(db, "--fresh-key")
    assert fresh != first
    command = [str(TOLLGATE), "keys", "list", "--json", "--db", str(db)]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [(key["name"], key["status"]) for key in listed] == [("development", "revoked"), ("development", "active")]


def test_corrupt_file_is_an_error(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    store = (["--db", str(db)], CLEAN)
    run_cli(store, "keys", "create", "--name", "x")
    content = db.read_bytes()
    db.write_bytes(content[:100] + b"\x5a" * (len(content) - 100))
    assert f"{db}: the file is corrupt" in run_cli(store, "keys", "list", expect_failure=True).stderr
    db.write_bytes(b"no database at all " * 100)
    assert f"{db}: the file is no SQLite" in run_cli(store, "keys", "list", expect_failure=True).stderr


@pytest.mark.parametrize("command", [[str(TOLLGATE)], [sys.executable, "-m", "tollgate"]])
def test_command_and_module_print_their_version(command: list[str], tmp_path: Path) -> None:
    result = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"tollgate {version('tollgate-gateway')}\n"


def test_help_imports_no_server_and_no_client(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tollgate.handler.cli.app import app\n"
        "app(['keys', '--help'], standalone_mode=False)\n"
        "print(sorted({'fastapi', 'httpx', 'botocore', 'uvicorn', 'sqlite3'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.endswith("\n[]\n")


def test_usage_without_requests_is_an_empty_table_with_a_total(store: StoreOptions) -> None:
    assert "total" in run_cli(store, "usage", "--by", "day,model").stdout
    assert json.loads(run_cli(store, "usage", "--json").stdout)["total"]["requests"] == 0
    assert run_cli(store, "usage", "--csv", "--by", "model").stdout.startswith("model,requests,")
    assert "group_by" in run_cli(store, "usage", "--by", "colour", expect_failure=True).stderr
