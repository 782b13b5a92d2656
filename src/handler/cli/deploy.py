"""`tollgate deploy`: a folder that SAM deploys, and SAM's commands in it."""

from pathlib import Path
from typing import Annotated

import typer

from tollgate import __version__
from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.output import fail_on_errors

DEFAULT_FOLDER = Path("tollgate-deployment")


def deploy(
    options: Annotated[list[str] | None, typer.Argument(help="Options for `sam deploy`, behind --.")] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"The folder to write.  [default: {DEFAULT_FOLDER}; in a clone, the clone]")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Build and deploy: run `sam build` and `sam deploy`.")] = False,
    arch: Annotated[
        str | None, typer.Option(help="The functions' processor, arm64 or x86_64, the first time; arm64 by default.")
    ] = None,
) -> None:
    """Deploy to your AWS account: write what SAM needs into a folder, and say which commands remain, or run them."""
    from tollgate.handler.cli import sam

    with fail_on_errors():
        if arch not in (None, "arm64", "x86_64"):
            raise ConfigurationError("--arch must be arm64 or x86_64.")
        folder = _folder(out)
        missing = sam.missing_tools()
        if not run:
            typer.echo("What remains, with AWS credentials:")
            for command in sam.remaining_commands(folder):
                typer.echo(f"  {command}")
            typer.echo("With --run this command does it.")
            for words in missing:
                typer.echo(f"Not on the PATH: {words}.")
            return
        if missing:
            raise ConfigurationError(f"Not on the PATH: {'; '.join(missing)}.")
        code = sam.deploy_folder(folder, arch, options or ())
    raise typer.Exit(code)


def _folder(out: Path | None) -> Path:
    """The folder to deploy: the clone, or one that is written now. Raises ConfigurationError."""
    from tollgate.handler.cli.deployment_folder import clone, write_folder

    cloned = clone()
    if cloned is not None:
        if out is not None:
            raise ConfigurationError(f"{cloned} is a clone, which is deployed where it is: leave --out away.")
        return cloned
    folder = out or DEFAULT_FOLDER
    write_folder(folder)
    typer.echo(f"Tollgate {__version__} is in {folder}.")
    return folder
