"""The command line, as its user finds it, on an SQLite file and on a DynamoDB table."""

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

Where = tuple[list[str], Mapping[str, str | None]]
CLEAN: Mapping[str, str | None] = {name: None for name in os.environ if name.startswith(("TOLLGATE_", "AWS_"))} | {
    "COLUMNS": "160"
}
"""Changes of the environment, so that a test sees only what it sets."""


@pytest.fixture(params=["sqlite", "dynamodb"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    if request.param == "sqlite":
        return ["--db", str(tmp_path / "keys.db")], CLEAN
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    return ["--table", request.getfixturevalue("table")], {**CLEAN, **dynamodb.environment}


def run(where: Where, *words: str, fails: bool = False) -> Result:
    place, env = where
    done = CliRunner().invoke(app, [*words, *place], env=env)
    assert (done.exit_code != 0) == fails, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_key_is_printed_once_listed_shown_and_revoked(where: Where) -> None:
    created = run(where, "keys", "create", "--name", "alice")
    key = created.stdout.strip()
    key_id = key.split("-")[2]
    assert key.startswith("sk-tg-")
    assert len(key.split("-")[3]) == 64
    for command in (("keys", "list"), ("keys", "show", key_id)):
        shown = run(where, *command).stdout
        assert key_id in shown
        assert "alice" in shown
        assert key.split("-")[3] not in shown
    assert json.loads(run(where, "keys", "show", key_id, "--json").stdout)["status"] == "active"
    assert "revoked" in run(where, "keys", "revoke", key_id).stdout
    listed = json.loads(run(where, "keys", "list", "--json").stdout)
    assert [(row["key_id"], row["status"]) for row in listed] == [(key_id, "revoked")]


def test_unknown_key_is_told_in_one_line(where: Where) -> None:
    for command in ("show", "revoke"):
        done = run(where, "keys", command, "ffffffffffff", fails=True)
        assert "ffffffffffff" in done.stderr


def test_both_places_at_once_are_a_contradiction(tmp_path: Path) -> None:
    place = ["--db", str(tmp_path / "x.db"), "--table", "t"]
    assert "two different stores" in run((place, CLEAN), "keys", "list", fails=True).stderr


def test_bad_catalog_stops_the_start_with_file_row_and_reason(tmp_path: Path) -> None:
    catalog = tmp_path / "mine.toml"
    catalog.write_text('[providers.mine]\nfamily = "telepathy"\nauth = "none"\n')
    place = ["--db", str(tmp_path / "x.db"), "--catalog", str(catalog)]
    message = run((place, CLEAN), "serve", "--port", "0", fails=True).stderr
    assert f"{catalog}: providers.mine: family: 'telepathy'" in message


def test_missing_folder_is_told_in_one_line(tmp_path: Path) -> None:
    place = ["--db", str(tmp_path / "nowhere" / "x.db")]
    assert "nowhere" in run((place, CLEAN), "keys", "list", fails=True).stderr


def shown(where: Where, key_id: str) -> dict[str, Any]:
    return json.loads(run(where, "keys", "show", key_id, "--json").stdout)


def test_a_key_is_given_limits_changed_rotated_and_deleted(where: Where) -> None:
    flags = "--owner ops --rpm 5 --tpm 900 --budget 5/day --models gpt-*,claude-* --expires 2030-01-01 --role admin"
    made = run(where, "keys", "create", "--name", "alice", *flags.split(), "--metadata", "team=blue").stdout.strip()
    key_id = made.split("-")[2]
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
    assert {name: shown(where, key_id)[name] for name in expected} == expected

    run(where, "keys", "update", key_id, "--rpm", "7", "--budget", "none", "--expires", "never")
    changed = shown(where, key_id)
    assert (changed["rpm"], changed["budget"], changed["expires_at"], changed["tpm"]) == (7, None, None, 900)
    run(where, "keys", "update", key_id, "--tier", "unlimited")
    assert shown(where, key_id)["rpm"] is None

    new = run(where, "keys", "rotate", key_id, "--overlap", "2h").stdout.strip()
    assert new.split("-")[2] == key_id
    assert new != made
    assert shown(where, key_id)["previous_secret_until"] is not None
    assert "still works" in run(where, "keys", "rotate", key_id, fails=True).stderr
    assert run(where, "keys", "rotate", key_id, "--overlap", "0m").stdout.strip() != new

    history = shown(where, key_id)["history"]
    assert [entry["action"] for entry in history] == ["create", "update", "update", "rotate", "rotate"]
    assert all(entry["by"].startswith("cli:") for entry in history)
    assert made not in json.dumps(history)
    run(where, "keys", "delete", key_id)
    assert json.loads(run(where, "keys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--budget", "5"], "5/day"),
        (["--budget", "-1/day"], "5/day"),
        (["--expires", "soon"], "2026-12-31"),
        (["--tier", "gold"], "gold"),
        (["--rpm", "0"], "rpm"),
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
def test_a_wrong_flag_is_told_and_makes_no_key(tmp_path: Path, flags: list[str], told: str) -> None:
    where = (["--db", str(tmp_path / "x.db")], CLEAN)
    assert told in run(where, "keys", "create", "--name", "x", *flags, fails=True).stderr
    assert json.loads(run(where, "keys", "list", "--json").stdout) == []


def test_names_and_globs_are_printed_as_they_are(where: Where) -> None:
    name, glob = "a[/b] [red]x[/red] :x:", "claude-[a-z]*"
    key_id = run(where, "keys", "create", "--name", name, "--models", glob).stdout.split("-")[2]
    for command in (("keys", "list"), ("keys", "show", key_id)):
        shown = run(where, *command).stdout
        assert name in shown
        assert glob in shown


def test_a_star_means_all_models(where: Where) -> None:
    key_id = run(where, "keys", "create", "--name", "x", "--models", "gpt-*").stdout.split("-")[2]
    run(where, "keys", "update", key_id, "--models", "*")
    assert shown(where, key_id)["models"] == []


def test_budgets_are_written_out(where: Where) -> None:
    key_id = run(where, "keys", "create", "--name", "x", "--budget", "1e3/day").stdout.split("-")[2]
    assert shown(where, key_id)["budget"] == "1000/day"
    assert "$1000/day" in run(where, "keys", "list").stdout


def test_an_overlap_is_not_over_before_it_begins(where: Where) -> None:
    key_id = run(where, "keys", "create", "--name", "x").stdout.split("-")[2]
    assert "in the past" in run(where, "keys", "rotate", key_id, "--overlap", "2020-01-01", fails=True).stderr
    assert [entry["action"] for entry in shown(where, key_id)["history"]] == ["create"]


def test_shares_are_checked_when_limits_change(where: Where) -> None:
    words = ["--tier", "unlimited", "--shards", "4", "--tpm", "4000"]
    key_id = run(where, "keys", "create", "--name", "x", *words).stdout.split("-")[2]
    message = run(where, "keys", "update", key_id, "--tpm", "3999", fails=True).stderr
    assert "limit tpm is too small for 4 shards: it must be 4000 at least" in message
    assert shown(where, key_id)["tpm"] == 4000


def test_usage_is_of_a_key_that_is_or_was(where: Where) -> None:
    key_id = run(where, "keys", "create", "--name", "x").stdout.split("-")[2]
    assert "total" in run(where, "usage", "--key", key_id, "--to", "9999-12-31").stdout
    run(where, "keys", "delete", key_id)
    assert "total" in run(where, "usage", "--key", key_id).stdout
    for nobody in ("nokey", "ffffffffffff"):
        assert f"There is no key {nobody}" in run(where, "usage", "--key", nobody, fails=True).stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AWS_DEFAULT_REGION": ""}, "There is no AWS region"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "There are no AWS credentials here"),
        ({}, "There is no table nowhere in the region us-east-1"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_why(dynamodb: DynamoDB, changes: dict[str, str], told: str) -> None:
    env = {**CLEAN, **dynamodb.environment, **{name: value or None for name, value in changes.items()}}
    where = (["--table", "nowhere"], env)
    for command in (("keys", "list"), ("usage",)):
        message = run(where, *command, fails=True).stderr
        assert message.startswith(told)
        assert len(message.splitlines()) == 1


def serve_key(db: Path, *flags: str) -> str:
    """The key that `tollgate serve` shows."""
    words = [str(TOLLGATE), "serve", "--port", "0", "--db", str(db), *flags]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
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
    words = [str(TOLLGATE), "keys", "list", "--json", "--db", str(db)]
    listed = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert [(key["name"], key["status"]) for key in listed] == [("development", "revoked"), ("development", "active")]


def test_a_corrupt_file_says_so(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    where = (["--db", str(db)], CLEAN)
    run(where, "keys", "create", "--name", "x")
    whole = db.read_bytes()
    db.write_bytes(whole[:100] + b"\x5a" * (len(whole) - 100))
    assert f"{db}: the file is corrupt" in run(where, "keys", "list", fails=True).stderr
    db.write_bytes(b"no database at all " * 100)
    assert f"{db}: the file is no SQLite" in run(where, "keys", "list", fails=True).stderr


@pytest.mark.parametrize("command", [[str(TOLLGATE)], [sys.executable, "-m", "tollgate"]])
def test_command_and_module_tell_their_version(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"tollgate {version('tollgate-gateway')}\n"


def test_help_imports_no_server_and_no_client(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tollgate.handler.cli.app import app\n"
        "app(['keys', '--help'], standalone_mode=False)\n"
        "print(sorted({'fastapi', 'httpx', 'botocore', 'uvicorn', 'sqlite3'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_usage_of_nobody_is_an_empty_table_with_a_total(where: Where) -> None:
    assert "total" in run(where, "usage", "--by", "day,model").stdout
    assert json.loads(run(where, "usage", "--json").stdout)["total"]["requests"] == 0
    assert run(where, "usage", "--csv", "--by", "model").stdout.startswith("model,requests,")
    assert "group_by" in run(where, "usage", "--by", "colour", fails=True).stderr
