"""The fixtures of a module whose gateway has providers of its own: scripted ones, at one address."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from support.running_gateway import RunningGateway, run_gateway
from support.upstream import Script, ScriptedUpstream, scripted_upstream


def scripted_gateway(
    scripts: Mapping[str, Script | Callable[[Any], Script]],
    overlay: Callable[[str], str],
    env: Mapping[str, str] | None = None,
) -> tuple[Any, Any]:
    """The fixtures `provider` and `gateway`, to be assigned to these names: the provider, which plays the script that
    a request names as its model, and a gateway of each kind with the catalog `overlay(url)`.
    """

    @pytest.fixture(scope="module")
    def provider() -> Iterator[ScriptedUpstream]:
        with scripted_upstream(scripts) as running:
            yield running

    @pytest.fixture(scope="module", params=["server", "function"])
    def gateway(
        request: pytest.FixtureRequest, provider: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[RunningGateway]:
        folder = tmp_path_factory.mktemp("gateway")
        with run_gateway(
            request.param, folder, overlay(provider.url), {"TOLLGATE_ECHO": "off", **(env or {})}
        ) as running:
            yield running

    return provider, gateway
