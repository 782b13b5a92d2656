"""`tollgate doctor`: what is wrong with a deployment, and what to do about it."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.gateway.errors import ConfigurationError
from tollgate.gateway.keys import read_own_name
from tollgate.handler.cli.deployment_checks import Finding, check_clock, check_stack, check_table
from tollgate.handler.cli.output import AsJson, CatalogFile, catalog_of, fail, fail_on_errors, print_json, print_table
from tollgate.handler.cli.role_checks import check_role
from tollgate.handler.cli.url_checks import check_url
from tollgate.handler.settings import TRACES_HEADERS

if TYPE_CHECKING:
    from tollgate.gateway.catalog import Catalog, Provider


def doctor(
    stack: Annotated[str | None, typer.Option(help="The deployed stack, whose outputs say the rest.")] = None,
    table: Annotated[str | None, typer.Option(help="The table, without a stack.")] = None,
    url: Annotated[str | None, typer.Option(help="The base URL, without a stack; it ends in /v1.")] = None,
    path: Annotated[str | None, typer.Option(help="The path of the credentials, without a stack.")] = None,
    api_key: Annotated[str, typer.Option("--api-key", help="A key, to try a stream.", envvar="TOLLGATE_API_KEY")] = "",
    model: Annotated[str, typer.Option(help="The model of that stream, which costs some tokens.")] = "auto",
    check: Annotated[bool, typer.Option("--check", help="Ask providers whether they accept the credentials.")] = False,
    region: Annotated[str | None, typer.Option(help="The AWS region; by default that of your configuration.")] = None,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """Examine a deployment: clock, stack, table, permissions, credentials, URL. Ends with 1 if something is broken."""
    if stack is None and table is None and url is None and path is None:
        fail("Say what to examine: --stack, or --table, --path, --url.")
    findings: list[Finding] = []
    outputs: Mapping[str, str] = {}
    in_aws = stack is not None or table is not None or path is not None
    with fail_on_errors():
        if in_aws:
            findings.append(check_clock(region))
        if stack is not None:
            found, outputs = check_stack(stack, region)
            findings += [*found, *(check_role(stack, outputs, region) if outputs else ())]
        table = table or outputs.get("TableName")
        path = path or outputs.get("CredentialsPath")
        url = url or outputs.get("StreamBaseUrl")
        if table is not None:
            findings += check_table(table, region)
        if path is not None:
            findings += _credentials(path, region, catalog_of(catalog), check)
        if url is not None:
            findings += check_url(url, api_key, model, compare_clock=not in_aws)
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        print_table(("what", "", "found", "what to do"), [finding.row() for finding in findings])
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _credentials(path: str, region: str | None, catalog: "Catalog", check: bool) -> list[Finding]:
    """Which credentials are stored, and whether their providers accept them. Nobody needs those of every provider."""
    from tollgate.handler.cli.secret_store import secret_store

    try:
        store = secret_store(path, region)
        stored = store.changed()
        if not stored:
            advice = "tollgate credentials set NAME. Only Bedrock needs none."
            return [Finding("credentials", "warning", f"none under {path}", advice)]
        found: list[Finding] = []
        for provider in catalog.providers.values():
            for each, _ in provider.by_credential():
                if each.credential and each.credential in stored:
                    asked = _accepted(each, store.get(each.credential)) if check else None
                    found.append(asked or Finding(f"credential of {each.name}", "ok", f"{each.credential} is stored"))
    except ConfigurationError as error:
        advice = "Your role must list and, for --check, read what is stored there."
        return [Finding("credentials", "broken", str(error), advice)]
    known = {*catalog.credentials, TRACES_HEADERS}
    unknown = sorted(name for name in stored if (read_own_name(name) or name) not in known)
    advice = (
        "Is the name right? Else name your catalog by --catalog. No provider reads it: tollgate credentials remove NAME"
    )
    return [
        *found,
        *(Finding(f"credential {name}", "warning", "no provider of the catalog", advice) for name in unknown),
    ]


def _accepted(provider: "Provider", secret: str) -> Finding:
    """Whether the provider accepts its credential."""
    from tollgate.gateway.errors import GatewayError
    from tollgate.handler.components import check_credential

    what = f"credential of {provider.name}"
    try:
        status = asyncio.run(check_credential(provider, secret))
    except GatewayError as error:
        return Finding(what, "warning", f"the provider does not answer: {error}", "Try again; look at its status page.")
    if status in (401, 403):
        return Finding(what, "broken", f"refused (HTTP {status})", f"tollgate credentials set {provider.credential}")
    if status is None:
        return Finding(what, "ok", "stored; no free request tells whether it is valid")
    return Finding(what, "ok", f"accepted (HTTP {status})")
