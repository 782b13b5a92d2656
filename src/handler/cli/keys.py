"""`tollgate keys`: make, list, show, update, rotate, revoke, reset and delete API keys."""

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tollgate.gateway import keys
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.errors import ConfigurationError, KeyNotFoundError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import MAX_LIMIT, MAX_OPEN, iso
from tollgate.gateway.ports import Store
from tollgate.handler.cli.key_fields import edited, given, moment
from tollgate.handler.cli.output import (
    AsJson,
    CatalogFile,
    Db,
    TableName,
    fail,
    place,
    print_json,
    print_table,
    run,
    who,
)
from tollgate.handler.components import read_catalog

app = typer.Typer(no_args_is_help=True, help="API keys: who may ask, and how much.")

DEFAULT_TIER = "default"
KeyId = Annotated[str, typer.Argument(help="The key's id: the part between sk-tg- and the secret.")]
Name = Annotated[str, typer.Option(help="What the key is for.")]
Owner = Annotated[str | None, typer.Option(help="Who answers for it.")]
Tier = Annotated[str | None, typer.Option(help="The catalog's bundle of limits it begins with.")]
Rpm = Annotated[int | None, typer.Option(min=1, max=MAX_LIMIT, help="Requests per minute.")]
Tpm = Annotated[int | None, typer.Option(min=1, max=MAX_LIMIT, help="Tokens per minute.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help=f"Requests at once: {MAX_OPEN} for each shard at most.")]
BudgetText = Annotated[str | None, typer.Option("--budget", help="USD per day, month or total: 5/day, or none.")]
Models = Annotated[str | None, typer.Option(help="Models it may use, as globs: gpt-*,claude-*; * is all.")]
Expires = Annotated[str | None, typer.Option(help="A day, a time (ISO 8601), a while from now (30d, 12h), or never.")]
RoleName = Annotated[Literal["user", "admin"] | None, typer.Option("--role", help="An admin reads every key's usage.")]
Shards = Annotated[
    int, typer.Option(min=1, max=20, help="Items that share its limits, for keys with hundreds of requests a second.")
]
AllowUnpriced = Annotated[
    bool | None, typer.Option("--allow-unpriced/--refuse-unpriced", help="With a budget: models without a price.")
]
MetadataPairs = Annotated[list[str] | None, typer.Option("--metadata", help="NAME=VALUE, as often as needed.")]


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
    catalog: CatalogFile = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: once, and never again."""
    fields = given(name, owner, models, expires, role, allow_unpriced, metadata)
    text, key = keys.generate(secrets.token_bytes)
    blank = KeyRecord(key.key_id, key.key_hash, name, "active", int(time.time()), shards=shards)
    record = edited(
        blank,
        _catalog(catalog),
        tier,
        rpm,
        tpm,
        concurrency,
        budget,
        fields,
    )
    run(place(db, table), lambda store: store.create(record, who()))
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
    catalog: CatalogFile = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given and leave the rest. What was taken of a limit stays taken."""
    rows = _catalog(catalog)
    fields = given(name, owner, models, expires, role, allow_unpriced, metadata)
    record = run(
        place(db, table),
        lambda store: store.update(
            key_id, lambda old: edited(old, rows, tier, rpm, tpm, concurrency, budget, fields), who()
        ),
    )
    _show([record], as_json)


@app.command("rotate")
def rotate_key(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old secret still works: 24h, 7d, or a time.")] = "24h",
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it; the old one works until the overlap is over."""
    until, now = moment(overlap), int(time.time())
    text, key = keys.generate(secrets.token_bytes, key_id)
    record = run(
        place(db, table), lambda store: store.update(key_id, lambda old: keys.rotated(old, key, until, now), who())
    )
    _print_secret(text, record, as_json)


@app.command("list")
def list_keys(db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Every key, oldest first."""
    _show(run(place(db, table), lambda store: store.list()), as_json)


@app.command("show")
def show_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """One key, and what was done to it."""

    async def read(store: Store) -> tuple[KeyRecord, Sequence[keys.AuditEntry]]:
        account = await store.get(key_id)
        if account is None:
            raise KeyNotFoundError(f"There is no key {key_id}.")
        return account.record, await store.audit(key_id)

    record, entries = run(place(db, table), read)
    history = [{"at": iso(entry.at), "by": entry.by, "action": entry.action, **entry.changed} for entry in entries]
    if as_json:
        print_json({**public(record), "history": history})
        return
    _show([record], as_json)
    rows = [
        (iso(entry.at), entry.by, entry.action, ", ".join(f"{name}: {value}" for name, value in entry.changed.items()))
        for entry in entries
    ]
    print_table(("when", "who", "what", "changed"), rows)


@app.command("revoke")
def revoke_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Make a key useless, from its next request on."""
    record = run(place(db, table), lambda store: store.update(key_id, keys.revoked, who()))
    print_json(public(record)) if as_json else typer.echo(f"Key {record.key_id} ({record.name}) is revoked.")


@app.command("reset")
def reset_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Fill a key's limits and budget again, and forget what it holds open. Its usage records stay."""
    run(place(db, table), lambda store: store.reset(key_id, who()))
    print_json({"key_id": key_id, "reset": True}) if as_json else typer.echo(f"Key {key_id} is full again.")


@app.command("delete")
def delete_key(key_id: KeyId, db: Db = None, table: TableName = None, as_json: AsJson = False) -> None:
    """Forget a key. Its usage records and its history stay."""
    run(place(db, table), lambda store: store.delete(key_id, who()))
    print_json({"key_id": key_id, "deleted": True}) if as_json else typer.echo(f"Key {key_id} is deleted.")


def public(record: KeyRecord) -> dict[str, Any]:
    """A key as it may be shown; not its hash."""
    of = record.limits
    return {
        "key_id": record.key_id,
        "name": record.name,
        "owner": record.owner,
        "status": _status(record),
        "role": record.role,
        "tier": record.tier,
        "rpm": of.rpm,
        "tpm": of.tpm,
        "concurrency": of.concurrency,
        "budget": of.budget and str(of.budget),
        "models": list(record.models),
        "allow_unpriced": record.allow_unpriced,
        "shards": record.shards,
        "metadata": dict(record.metadata),
        "created_at": iso(record.created_at),
        "expires_at": None if record.expires_at is None else iso(record.expires_at),
        "previous_secret_until": None if record.previous_until is None else iso(record.previous_until),
    }


def _catalog(overlay: Path | None) -> Catalog:
    try:
        return read_catalog(None if overlay is None else str(overlay))
    except ConfigurationError as error:
        fail(str(error))


def _print_secret(text: str, record: KeyRecord, as_json: bool) -> None:
    if as_json:
        print_json({**public(record), "key": text})
        return
    typer.echo(text)
    note = f"Key {record.key_id} ({record.name}). Keep it now: it is not stored and cannot be shown again."
    typer.secho(note, err=True)


def _show(records: Sequence[KeyRecord], as_json: bool) -> None:
    if as_json:
        print_json([public(record) for record in records])
        return
    rows = [
        (record.key_id, record.name, record.owner or "-", _status(record), str(record.limits), _models(record))
        for record in records
    ]
    print_table(("key_id", "name", "owner", "status", "limits", "models"), rows)


def _models(record: KeyRecord) -> str:
    return ", ".join(record.models) or "*"


def _status(record: KeyRecord) -> str:
    if record.status == "active" and not keys.is_usable(record, time.time()):
        return "expired"
    return record.status
