"""The gateway as a person finds it: freshly served, no credential anywhere, so that echo answers."""

from collections.abc import Iterator

import pytest

from support.running_gateway import RunningGateway, run_gateway


@pytest.fixture(scope="session", params=["asgi", "lambda"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway(request.param, tmp_path_factory.mktemp("served")) as gateway:
        yield gateway
