"""Schemathesis reads the OpenAPI document and sends what it describes: no 5xx, no undocumented status or content."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.answering_provider import answering_provider
from support.python_packages import python_packages
from support.running_gateway import RunningGateway, run_gateway

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "100")
"""Generated examples of each operation in each phase."""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)


@pytest.fixture(params=["server", "function"])
def described(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway whose echo answers chat, and whose other models have a provider that answers anything."""
    with answering_provider() as url:
        rows = "".join(
            f'[providers.{name}]\nbase_url = "{url}"\nauth = "none"\n'
            for name in ("openai", "cohere", "jina", "voyage")
        )
        env = {"TOLLGATE_ECHO": "on"}
        with run_gateway(request.param, tmp_path, rows, env) as running:
            yield running


def test_every_endpoint_does_what_the_document_says(described: RunningGateway, tmp_path: Path) -> None:
    programs = python_packages(Path(__file__).parent / "schemathesis")
    url = described.base_url.removesuffix("/v1")
    command = [
        *(str(programs / "schemathesis"), "run", f"{url}/openapi.json", "--url", url, "-n", EXAMPLES),
        *("-H", f"Authorization: Bearer {described.api_key}", "--checks", CHECKS),
        *("--suppress-health-check", "all", "--seed", "1"),
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    print(ended.stdout)  # `pytest -s` shows how many examples there were
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
