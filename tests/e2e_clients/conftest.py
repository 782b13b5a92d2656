"""A gateway of each kind before the scripted provider of agents."""

from collections.abc import Iterator

import pytest

from support.agent_provider import AgentProvider, agent_provider
from support.running_gateway import RunningGateway, run_gateway

FAMILIES = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
"""The families that the provider speaks, and the path of each."""


@pytest.fixture(scope="session")
def provider() -> Iterator[AgentProvider]:
    with agent_provider() as running:
        yield running


@pytest.fixture(scope="session", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest, provider: AgentProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    rows = "".join(
        f'[providers.p-{family}]\nfamily = "{family}"\nbase_url = "{provider.url}{path}"\nauth = "none"\n'
        f'[models.{family}-agent]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 200_000\n'
        f'routes = [{{ provider = "p-{family}", model = "upstream-{family}" }}]\n'
        for family, path in FAMILIES.items()
    )
    folder = tmp_path_factory.mktemp("agents")
    with run_gateway(request.param, folder, rows, {"TOLLGATE_ECHO": "off"}) as running:
        yield running


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """The family of the provider behind the agent."""
    return request.param
