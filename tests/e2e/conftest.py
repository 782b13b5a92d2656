"""A gateway as a new user starts it: no credential is set, so that echo serves every model."""

from collections.abc import Iterator

import pytest

from support.running_gateway import RunningGateway, run_gateway


@pytest.fixture(scope="session", params=["server", "function"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway(request.param, tmp_path_factory.mktemp("served")) as gateway:
        yield gateway
