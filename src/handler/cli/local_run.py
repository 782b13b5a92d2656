"""What every run on this machine begins with: its settings, its development key, and the lines that show both."""

import dataclasses
import json
import os
from pathlib import Path

import typer

from tollgate.handler.cli.development_key import development_key
from tollgate.handler.cli.output import actor, print_json, run
from tollgate.handler.settings import Settings, from_environment


def local_run(db: Path | None, catalog: Path | None, fresh_key: bool) -> tuple[Settings, str]:
    """The settings of a run on an SQLite file, and the development key of that file. Raises ConfigurationError.

    A deployed table named by TOLLGATE_TABLE is not used: it belongs to the deployed functions.
    """
    settings = from_environment({**os.environ, "TOLLGATE_TABLE": ""})
    settings = dataclasses.replace(
        settings, **({"db": str(db)} if db else {}), **({"catalog": str(catalog)} if catalog else {})
    )
    kept_in = Path(f"{settings.db}.key")
    return settings, run(settings, lambda store: development_key(store, kept_in, actor(), fresh=fresh_key))


def announce(base_url: str, api_key: str, as_json: bool) -> None:
    """Print where the gateway listens and the key to call it with."""
    if as_json:
        print_json({"base_url": base_url, "api_key": api_key})
        return
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hello, Tollgate!"}]})
    typer.echo(
        f"Tollgate is running.\n\n"
        f"  base URL   {base_url}\n"
        f"  API key    {api_key}   (for development: no limits; --fresh-key replaces it)\n\n"
        f"  curl {base_url}/chat/completions -H 'Authorization: Bearer {api_key}' \\\n"
        f"    -H 'Content-Type: application/json' -d '{body}'\n"
    )
