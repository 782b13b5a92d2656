"""`tollgate import`: a catalog from the configuration of another gateway."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.litellm_config import Imported, read_config
from tollgate.handler.cli.output import catalog_of, fail_on_errors

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="A catalog from another gateway's configuration.")


@app.callback()
def options() -> None:
    """A catalog from another gateway's configuration."""


@app.command("litellm")
def import_litellm(config: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")]) -> None:
    """Print a catalog for LiteLLM's config.yaml, and to the standard error what it cannot carry over."""
    with fail_on_errors():
        imported = read_config(_load(config), catalog_of(None).providers)
    typer.echo(_as_toml(imported), nl=False)
    for note in imported.notes:
        typer.secho(f"not carried over: {note}", err=True, fg=typer.colors.YELLOW)


def _load(config: Path) -> dict[str, Any]:
    """The configuration. Raises ConfigurationError for a file that is none."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{config}: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"{config}: it is not a configuration of LiteLLM")
    return cast("dict[str, Any]", loaded)


def _as_toml(imported: Imported) -> str:
    tables = [("providers", imported.providers), ("models", imported.models)]
    lines: list[str] = []
    for kind, rows in tables:
        for name, columns in rows.items():
            lines.append(f"[{kind}.{json.dumps(name)}]")
            lines += [f"{column} = {_value(value)}" for column, value in columns.items()]
            lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    """A value in TOML, whose strings, numbers and arrays are written like JSON's here."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in cast("dict[str, Any]", value).items()) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, cast("list[Any]", value))) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)
