"""`tollgate credentials`: the secrets of providers in AWS, and which of them are missing on this machine."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.gateway import keys
from tollgate.gateway.errors import ConfigurationError, GatewayError
from tollgate.handler.cli.output import (
    AsJson,
    CatalogFile,
    catalog_of,
    fail,
    fail_on_errors,
    print_json,
    print_table,
    require_id,
)
from tollgate.handler.settings import TRACES_HEADERS

if TYPE_CHECKING:
    from tollgate.gateway.catalog import Catalog, Provider

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The credentials of providers.")

DEFAULT_PATH = "/tollgate/credentials"
Name = Annotated[str, typer.Argument(help="The credential's name in the catalog, such as OPENAI_API_KEY.")]
Path = Annotated[
    str,
    typer.Option(
        help="Where the deployed functions read them: the output CredentialsPath of the stack.",
        envvar="TOLLGATE_CREDENTIALS_PATH",
    ),
]
Region = Annotated[str | None, typer.Option(help="The AWS region; by default that of your AWS configuration.")]
Check = Annotated[bool, typer.Option("--check", help="Ask the provider for its models first, which costs nothing.")]
OfKey = Annotated[
    str | None,
    typer.Option(
        "--key", help="The id of the key whose own credential it is.", callback=require_id("key", keys.is_key_id)
    ),
]
Local = Annotated[bool, typer.Option("--local", help="Those of this machine: environment variables.")]


@app.command("set")
def set_credential(
    name: Name,
    path: Path = DEFAULT_PATH,
    region: Region = None,
    check: Check = False,
    key: OfKey = None,
    catalog: CatalogFile = None,
) -> None:
    """Store a credential, encrypted; the secret is read from the standard input, or asked for without an echo."""
    from tollgate.handler.cli.secret_store import secret_store

    with fail_on_errors():
        providers = _providers_with(name, catalog_of(catalog))
        if not providers and name != TRACES_HEADERS:
            raise ConfigurationError(f"No provider of the catalog has a credential named {name!r}.")
        secret = _read_secret(name)
        if check:
            for provider in providers:
                _require_accepted(provider, secret)
        stored = keys.own_name(name, key) if key else name
        secret_store(path, region).put(stored, secret)
    typer.echo(f"{stored} is stored under {path}. The functions use it within five minutes, or at the next refusal.")
    if key:
        typer.echo(f"The key uses it after: tollgate keys update {key} --credential {name}")


@app.command("list")
def list_credentials(
    path: Path = DEFAULT_PATH,
    region: Region = None,
    local: Local = False,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """Every credential that the catalog names: who needs it, and whether it is there. No secret is shown."""
    from tollgate.handler.cli.secret_store import secret_store

    with fail_on_errors():
        rows = catalog_of(catalog)
        stored: Mapping[str, str] = (
            {name: "environment" for name, value in os.environ.items() if value}
            if local
            else secret_store(path, region).changed()
        )
    needed: dict[str, list[str]] = {}
    for provider in rows.providers.values():
        for each, _ in provider.by_credential():
            if each.credential:
                needed.setdefault(each.credential, []).append(provider.name)
    own = {name: needed[base] for name in stored if (base := keys.read_own_name(name)) in needed}
    needed |= own
    names = sorted({*needed, *(stored if not local else ())})
    table = [(name, ", ".join(needed.get(name, ())) or "-", stored.get(name, "missing")) for name in names]
    if as_json:
        print_json([{"name": name, "providers": needed.get(name, []), "stored": stored.get(name)} for name in names])
    else:
        print_table(("name", "providers", "stored"), table)


@app.command("remove")
def remove_credential(name: Name, path: Path = DEFAULT_PATH, region: Region = None, key: OfKey = None) -> None:
    """Delete a credential. Its provider is then refused as one without a credential, within five minutes."""
    from tollgate.handler.cli.secret_store import secret_store

    with fail_on_errors():
        stored = keys.own_name(name, key) if key else name
        secret_store(path, region).remove(stored)
    typer.echo(f"{stored} is removed from {path}.")
    if key:
        typer.echo(f"The key still asks for it until: tollgate keys update {key} --credential none")


def _providers_with(name: str, catalog: "Catalog") -> "list[Provider]":
    every = (each for provider in catalog.providers.values() for each, _ in provider.by_credential())
    return [each for each in every if each.credential == name]


def _read_secret(name: str) -> str:
    """The secret, without the newline that files and consoles add. Raises ConfigurationError for none."""
    text = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    secret = str(text).strip()
    if not secret:
        raise ConfigurationError("The secret is empty.")
    if not (secret.isascii() and secret.isprintable()):
        raise ConfigurationError("The secret has characters that no header can carry.")
    return secret


def _require_accepted(provider: "Provider", secret: str) -> None:
    """Ends the command if the provider refuses the secret."""
    from tollgate.handler.components import check_credential

    try:
        status = asyncio.run(check_credential(provider, secret))
    except GatewayError as error:
        fail(f"{provider.name} does not answer: {error}")
    if status is None:
        typer.echo(f"{provider.name}: no free request tells whether the credential is valid.", err=True)
    elif status in (401, 403):
        fail(f"{provider.name} refuses the credential (HTTP {status}); nothing is stored.")
    else:
        typer.echo(f"{provider.name} accepts the credential (HTTP {status}).", err=True)
