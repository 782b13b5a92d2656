"""A gateway of each kind for aimock, which speaks the protocol of every family."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from support.aimock import KEY, AimockServer, aimock_server, overlay
from support.http import openai_client
from support.image_host import ImageHost, image_host, page
from support.node import NODE
from support.running_gateway import RunningGateway, run_gateway


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AimockServer]:
    if not NODE:
        pytest.skip("no Node.js with npm on this machine: aimock was not tested")
    with aimock_server(tmp_path_factory.mktemp("aimock")) as server:
        yield server


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageHost]:
    with image_host(tmp_path_factory.mktemp("host"), {"/image.png": page()}) as running:
        yield running


@pytest.fixture(scope="module", params=["server", "function"])
def gateway(
    request: pytest.FixtureRequest, aimock: AimockServer, host: ImageHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    env = {
        "TOLLGATE_ECHO": "off",
        "TOLLGATE_IMAGE_HOSTS": "localhost",
        "SSL_CERT_FILE": str(host.authority),
        "AIMOCK_API_KEY": KEY,
        "WRONG_API_KEY": "aimock-key-2",
    }
    with run_gateway(request.param, tmp_path_factory.mktemp("gateway"), overlay(aimock.url), env) as running:
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with openai_client(gateway) as openai:
        yield openai
