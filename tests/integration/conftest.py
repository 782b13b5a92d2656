"""Gateways of both kinds, server and function, for one scripted provider: the requested model names the script."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from support.http import openai_client
from support.instances import SharedStore, function, instance, make_store
from support.metered import USD_PER_MTOK, MeteredGateway, metered_provider
from support.one_model import one_model
from support.running_gateway import RunningGateway, run_gateway
from support.scenarios import SCRIPTS, overlay
from support.upstream import ScriptedUpstream, scripted_upstream
from support.waiting import LIMIT_SECONDS


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    with scripted_upstream(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="session", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    env = {"SCRIPTED_API_KEY": "sk-upstream-secret", "TOLLGATE_ECHO": "off", "TOLLGATE_MAX_BODY_MB": "6"}
    with run_gateway(request.param, tmp_path_factory.mktemp("gateway"), overlay(upstream.url), env) as running:
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with openai_client(gateway) as openai:
        yield openai


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    with httpx.Client(verify=False, base_url=gateway.base_url, headers=headers, timeout=LIMIT_SECONDS) as http_client:
        yield http_client


@pytest.fixture(params=["sqlite", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SharedStore:
    return make_store(request.param, request, tmp_path)


@pytest.fixture(
    scope="module",
    params=[
        "server-sqlite",
        "function-dynamodb",
        pytest.param("server-dynamodb", marks=pytest.mark.slow),
        pytest.param("function-sqlite", marks=pytest.mark.slow),
    ],
)
def metered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeteredGateway]:
    """A gateway of each kind on each store, for a provider that bills by the token."""
    kind, _, store_kind = request.param.partition("-")
    folder: Path = tmp_path_factory.mktemp("metered")
    shared_store, catalog = make_store(store_kind, request, folder), folder / "metered.toml"
    with metered_provider() as provider:
        catalog.write_text(one_model("metered", f"{provider.url}/v1", usd_per_mtok=USD_PER_MTOK))
        with instance(shared_store, catalog) if kind == "server" else function(shared_store, catalog) as base_url:
            yield MeteredGateway(base_url, shared_store, provider)
