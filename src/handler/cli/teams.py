"""`tollgate teams`: create, list, show, update and delete teams, whose limits apply to all their keys together.

Modules that take long to import are imported by the commands that need them, so that `--help` is quick.
"""

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.gateway import keys
from tollgate.gateway.key_edits import NO_RULES, KeyEdit, edit_key, new_team
from tollgate.gateway.keys import KeyRecord
from tollgate.handler.cli.keys import AllowUnpriced, BudgetText, Concurrency, Owner, Rpm, Shards, Tpm
from tollgate.handler.cli.output import (
    AsJson,
    Db,
    TableName,
    actor,
    fail_on_errors,
    print_history,
    print_json,
    print_table,
    require_id,
    run,
    store_settings,
)

if TYPE_CHECKING:
    from tollgate.gateway.admission import Account
    from tollgate.gateway.store_ports import Store

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Teams: limits that several keys share.")

TeamId = Annotated[
    str,
    typer.Argument(help="The id of the team, as `teams list` shows it.", callback=require_id("team", keys.is_team_id)),
]


@app.command("create")
def create_team(
    name: Annotated[str, typer.Option(help="Which team it is.")],
    owner: Owner = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budget: BudgetText = None,
    shards: Shards = 1,
    allow_unpriced: AllowUnpriced = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Create a team and print its id. Without limits it only groups keys."""
    edit = KeyEdit(name, owner, None, rpm, tpm, concurrency, budget, allow_unpriced=allow_unpriced)
    with fail_on_errors():
        record = new_team(edit, shards, secrets.token_bytes, int(time.time()))
    run(store_settings(db, table), lambda store: store.create(record, actor()))
    print_json(_team_json(record)) if as_json else typer.echo(record.key_id)


@app.command("update")
def update_team(
    team_id: TeamId,
    name: Annotated[str | None, typer.Option(help="Which team it is.")] = None,
    owner: Owner = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budget: BudgetText = None,
    allow_unpriced: AllowUnpriced = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Change the fields that are given. What is used of a limit stays used."""
    now = int(time.time())
    edit = KeyEdit(name, owner, None, rpm, tpm, concurrency, budget, allow_unpriced=allow_unpriced)
    settings = store_settings(db, table)
    record = run(settings, lambda store: store.update(team_id, lambda old: edit_key(old, edit, NO_RULES, now), actor()))
    _show([record], as_json)


@app.command("list")
def list_teams(db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Every team, oldest first."""
    _show(run(store_settings(db, table), lambda store: store.teams()), as_json)


@app.command("show")
def show_team(team_id: TeamId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """One team: what is left of its limits, its keys, and the history of its changes."""
    from tollgate.gateway.key_report import history_json, team_and_members, whole_team_json

    async def read(store: "Store") -> "tuple[Account, Sequence[KeyRecord], Sequence[keys.AuditEntry]]":
        account, members = await team_and_members(store, store, team_id, time.time())
        return account, members, await store.audit(team_id)

    account, members, entries = run(store_settings(db, table), read)
    if as_json:
        print_json({**whole_team_json(account, members), "history": history_json(entries)})
        return
    _show([account.record], as_json)
    if account.record.limits.budget is not None:
        typer.echo(f"Left of the budget: ${account.balance.budget_left / 1_000_000:.6f}")
    print_table(("key_id", "name", "owner"), [(each.key_id, each.name, each.owner or "-") for each in members])
    print_history(entries)


@app.command("reset")
def reset_team(team_id: TeamId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Refill the limits and the budget of a team and drop its open holds. Usage records stay."""
    run(store_settings(db, table), lambda store: store.reset(team_id, actor()))
    print_json({"team_id": team_id, "reset": True}) if as_json else typer.echo(f"Team {team_id} is reset.")


@app.command("delete")
def delete_team(team_id: TeamId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Delete a team that has no keys. Its history stays."""
    run(store_settings(db, table), lambda store: store.delete(team_id, actor()))
    print_json({"team_id": team_id, "deleted": True}) if as_json else typer.echo(f"Team {team_id} is deleted.")


def _team_json(record: KeyRecord) -> dict[str, object]:
    from tollgate.gateway.key_report import team_json

    return team_json(record)


def _show(records: Sequence[KeyRecord], as_json: bool) -> None:
    if as_json:
        print_json([_team_json(record) for record in records])
        return
    rows = [(record.key_id, record.name, record.owner or "-", str(record.limits)) for record in records]
    print_table(("team_id", "name", "owner", "limits"), rows)
