"""A gateway of each kind with sample usage and a scripted provider, and a browser."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from e2e.dashboard.stories import SCRIPTS, overlay
from support.browser import CHROMIUM, DESKTOP, NAMES, Dashboard, chromium, open_context
from support.running_gateway import RunningGateway, run_gateway
from support.sample_usage import SampleKeys, write_sample
from support.upstream import scripted_upstream

OpenPage = Callable[..., Dashboard]


@dataclass(frozen=True)
class Sampled:
    """A running gateway, and keys of it."""

    gateway: RunningGateway
    keys: SampleKeys

    @property
    def root(self) -> str:
        return self.gateway.base_url.removesuffix("/v1")


@pytest.fixture(scope="module", params=["server", "function"])
def sampled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    folder = tmp_path_factory.mktemp("dashboard")
    with scripted_upstream(SCRIPTS) as provider, run_gateway(request.param, folder, overlay(provider.url)) as gateway:
        with ThreadPoolExecutor(1) as thread:  # the loop of the browser runs in this one
            yield Sampled(gateway, thread.submit(write_sample, gateway.db).result())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(f"no browser on this machine ({', '.join(NAMES)}): the dashboard was not tested")
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, sampled: Sampled) -> Iterator[OpenPage]:
    """Opens pages of the gateway with a window of this size; none may have a fault in the end."""
    opened: list[Dashboard] = []

    def open_one(size: tuple[int, int] = DESKTOP, root: str | None = None) -> Dashboard:
        dashboard = Dashboard(open_context(browser, size).new_page(), root or sampled.root)
        opened.append(dashboard)
        return dashboard

    yield open_one
    for dashboard in opened:
        dashboard.page.context.close()
        assert dashboard.faults == []


@pytest.fixture
def user(open_page: OpenPage, sampled: Sampled) -> Dashboard:
    return open_page().sign_in(sampled.keys.user)


@pytest.fixture
def admin(open_page: OpenPage, sampled: Sampled) -> Dashboard:
    return open_page().sign_in(sampled.keys.admin)
