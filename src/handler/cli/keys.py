"""`tollgate keys`: create, list, show, update, rotate, revoke, reset and delete API keys.

Modules that take long to import are imported by the commands that need them, so that `--help` is quick.
"""

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.gateway import keys
from tollgate.gateway.errors import KeyNotFoundError
from tollgate.gateway.key_edits import DEFAULT_TIER, KeyEdit, Rules, edit_key, new_key, rotation, rules_of
from tollgate.gateway.keys import KeyRecord, Role
from tollgate.gateway.limits import MAX_LIMIT, MAX_OPEN
from tollgate.gateway.replay import MAX_CACHE_SECONDS
from tollgate.handler.cli.output import (
    AsJson,
    CatalogFile,
    Db,
    TableName,
    actor,
    catalog_of,
    fail_on_errors,
    print_history,
    print_json,
    print_table,
    require_id,
    run,
    store_settings,
)

if TYPE_CHECKING:
    from tollgate.gateway.store_ports import Store

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="API keys and their limits.")

KeyId = Annotated[
    str,
    typer.Argument(
        help="The id of the key: the part between sk-tg- and the secret.", callback=require_id("key", keys.is_key_id)
    ),
]
Name = Annotated[str, typer.Option(help="What the key is for.")]
Owner = Annotated[str | None, typer.Option(help="Who is responsible for it.")]
Tier = Annotated[str | None, typer.Option(help="The tier of the catalog whose limits it gets.")]
Rpm = Annotated[int | None, typer.Option(min=0, max=MAX_LIMIT, help="Requests per minute; 0 is no limit.")]
Tpm = Annotated[int | None, typer.Option(min=0, max=MAX_LIMIT, help="Tokens per minute; 0 is no limit.")]
Concurrency = Annotated[
    int | None, typer.Option(min=0, help=f"Requests at once: {MAX_OPEN} for each shard at most; 0 is no limit.")
]
BudgetText = Annotated[str | None, typer.Option("--budget", help="USD per day, month or total: 5/day, or none.")]
Models = Annotated[str | None, typer.Option(help="Models that it may use, as globs: gpt-*,claude-*; * is all.")]
Expires = Annotated[
    str | None, typer.Option(help="A day, a time (ISO 8601), a duration from now (30d, 12h), or never.")
]
RoleName = Annotated[Role | None, typer.Option("--role", help="An admin reads the usage of every key.")]
Shards = Annotated[
    int,
    typer.Option(
        min=1, max=20, help="Table items that share its limits, for keys with hundreds of requests per second."
    ),
]
AllowUnpriced = Annotated[
    bool | None,
    typer.Option(
        "--allow-unpriced/--refuse-unpriced", help="Whether a key with a budget may use models without a price."
    ),
]
TeamName = Annotated[str | None, typer.Option("--team", help="The id of the team it belongs to, or none.")]
Guardrails = Annotated[
    list[str] | None,
    typer.Option("--guardrail", help="A guardrail of the catalog for its requests; repeat it for more, or none."),
]
CacheSeconds = Annotated[
    int | None,
    typer.Option("--cache", min=0, max=MAX_CACHE_SECONDS, help="Seconds for which equal requests get one response."),
]
Credentials = Annotated[
    list[str] | None,
    typer.Option(
        "--credential", help="A credential of the catalog for which the key has a secret of its own; or none."
    ),
]
MetadataPairs = Annotated[list[str] | None, typer.Option("--metadata", help="NAME=VALUE; repeat it for more.")]


@app.command("create")
def create_key(
    name: Name,
    owner: Owner = None,
    tier: Tier = DEFAULT_TIER,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budget: BudgetText = None,
    models: Models = None,
    expires: Expires = None,
    role: RoleName = None,
    shards: Shards = 1,
    allow_unpriced: AllowUnpriced = None,
    metadata: MetadataPairs = None,
    team: TeamName = None,
    guardrail: Guardrails = None,
    cache: CacheSeconds = None,
    credential: Credentials = None,
    catalog: CatalogFile = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is shown only once."""
    pairs, rules, own = (None if texts is None else tuple(texts) for texts in (metadata, guardrail, credential))
    edit = KeyEdit(
        *(name, owner, tier, rpm, tpm, concurrency, budget, models, expires, role, allow_unpriced, pairs),
        team,
        rules,
        cache,
        own,
    )
    rules = _rules(catalog)
    with fail_on_errors():
        text, record = new_key(edit, shards, rules, secrets.token_bytes, int(time.time()))
    run(store_settings(db, table), lambda store: store.create(record, actor()))
    _print_secret(text, record, as_json)


@app.command("update")
def update_key(
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    owner: Owner = None,
    tier: Tier = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budget: BudgetText = None,
    models: Models = None,
    expires: Expires = None,
    role: RoleName = None,
    allow_unpriced: AllowUnpriced = None,
    metadata: MetadataPairs = None,
    team: TeamName = None,
    guardrail: Guardrails = None,
    cache: CacheSeconds = None,
    credential: Credentials = None,
    catalog: CatalogFile = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Change the fields that are given. What is used of a limit stays used."""
    pairs, rules, own = (None if texts is None else tuple(texts) for texts in (metadata, guardrail, credential))
    edit = KeyEdit(
        *(name, owner, tier, rpm, tpm, concurrency, budget, models, expires, role, allow_unpriced, pairs),
        team,
        rules,
        cache,
        own,
    )
    now, rules = int(time.time()), _rules(catalog)
    settings = store_settings(db, table)
    record = run(settings, lambda store: store.update(key_id, lambda old: edit_key(old, edit, rules, now), actor()))
    _show([record], as_json)


@app.command("rotate")
def rotate_key(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old secret still works: 24h, 7d, or a time.")] = "24h",
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it. The old secret works until the overlap ends."""
    with fail_on_errors():
        text, change = rotation(key_id, overlap, secrets.token_bytes, int(time.time()))
    record = run(store_settings(db, table), lambda store: store.update(key_id, change, actor()))
    _print_secret(text, record, as_json)


@app.command("list")
def list_keys(db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Every key, oldest first."""
    _show(run(store_settings(db, table), lambda store: store.list()), as_json)


@app.command("show")
def show_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """One key and the history of its changes."""

    async def read(store: "Store") -> tuple[KeyRecord, Sequence[keys.AuditEntry]]:
        account = await store.get(key_id)
        if account is None:
            raise KeyNotFoundError(f"There is no key {key_id}.")
        return account.record, await store.audit(key_id)

    record, entries = run(store_settings(db, table), read)
    if as_json:
        from tollgate.gateway.key_report import history_json

        print_json({**_key_json(record), "history": history_json(entries)})
        return
    _show([record], as_json)
    print_history(entries)


@app.command("revoke")
def revoke_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Revoke a key: its next request is refused."""
    record = run(store_settings(db, table), lambda store: store.update(key_id, keys.revoked, actor()))
    print_json(_key_json(record)) if as_json else typer.echo(f"Key {record.key_id} ({record.name}) is revoked.")


@app.command("reset")
def reset_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Refill the limits and the budget of a key and drop its open holds. Its usage records stay."""
    run(store_settings(db, table), lambda store: store.reset(key_id, actor()))
    print_json({"key_id": key_id, "reset": True}) if as_json else typer.echo(f"Key {key_id} is reset.")


@app.command("delete")
def delete_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Delete a key. Its usage records and its history stay."""
    run(store_settings(db, table), lambda store: store.delete(key_id, actor()))
    print_json({"key_id": key_id, "deleted": True}) if as_json else typer.echo(f"Key {key_id} is deleted.")


def _rules(overlay: Path | None) -> Rules:
    """What the catalog has for keys to name."""
    with fail_on_errors():
        return rules_of(catalog_of(overlay))


def _key_json(record: KeyRecord) -> dict[str, object]:
    from tollgate.gateway.key_report import key_json

    return key_json(record, time.time())


def _print_secret(text: str, record: KeyRecord, as_json: bool) -> None:
    if as_json:
        print_json({**_key_json(record), "key": text})
        return
    typer.echo(text)
    note = f"Key {record.key_id} ({record.name}). Save it now: it is not stored and cannot be shown again."
    typer.secho(note, err=True)


def _show(records: Sequence[KeyRecord], as_json: bool) -> None:
    if as_json:
        print_json([_key_json(record) for record in records])
        return
    rows = [
        (
            record.key_id,
            record.name,
            record.owner or "-",
            record.team or "-",
            str(_key_json(record)["status"]),
            str(record.limits),
            _models(record),
        )
        for record in records
    ]
    print_table(("key_id", "name", "owner", "team", "status", "limits", "models"), rows)


def _models(record: KeyRecord) -> str:
    return ", ".join(record.models) or "*"
