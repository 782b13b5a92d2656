"""Headless Chromium for tests of the dashboard, and what every page is watched for."""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from support.waiting import LIMIT_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
"""The browser of this machine, or None."""
AXE = Path(__file__).parents[1] / "e2e" / "dashboard" / "axe" / "axe.min.js"
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
DESKTOP = (1280, 860)
PHONE = (360, 740)

expect.set_options(timeout=LIMIT_SECONDS * 1000)


@contextlib.contextmanager
def chromium() -> Generator[Browser]:
    """The browser until the block ends. While it runs no other event loop can run in this thread."""
    with sync_playwright() as playwright:
        # Chromium's own sandbox cannot be set up by root, as whom containers run.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_context(browser: Browser, size: tuple[int, int] = DESKTOP, **options: Any) -> BrowserContext:
    """A context without cookies or storage. The local function URL has a certificate of its own."""
    viewport: Any = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, ignore_https_errors=True, reduced_motion="reduce", **options)
    context.set_default_timeout(LIMIT_SECONDS * 1000)
    return context


class Dashboard:
    """The dashboard of the gateway at `root` in a page, and what went wrong in it."""

    def __init__(self, page: Page, root: str) -> None:
        self.page = page
        self.root = root
        self.faults: list[str] = []
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._requested)

    def _said(self, kind: str, text: str) -> None:
        # Responses with an error status are reported too; all else counts, such as a violation of the policy.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.faults.append(f"{kind}: {text}")

    def _requested(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and f"{url.scheme}://{url.netloc}" != self.root:
            self.faults.append(f"request to another origin: {request.url}")

    def open(self) -> "Dashboard":
        self.page.goto(f"{self.root}/dashboard")
        return self

    def sign_in(self, key: str) -> "Dashboard":
        """Open the page and sign in; the overview is loaded then."""
        self.open()
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.heading("Overview")
        return self

    def go(self, name: str) -> "Dashboard":
        """Go to a view by its link."""
        self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        self.heading(name)
        return self

    def heading(self, name: str) -> None:
        """Wait until this view is shown, and what it loads."""
        expect(self.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()
        self.loaded()

    def loaded(self) -> None:
        """Wait until nothing is being loaded."""
        expect(self.page.locator("[aria-busy]")).to_have_count(0)

    def assert_accessible(self) -> None:
        """axe finds nothing serious in the state that is shown, neither in light nor in dark."""
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            self.page.evaluate(AXE.read_text())
            violations = self.page.evaluate("axe.run().then((results) => results.violations)")
            bad = [each for each in violations if each["impact"] in ("serious", "critical")]
            assert not bad, [(scheme, each["id"], [node["html"] for node in each["nodes"]][:3]) for each in bad]

    def assert_fits(self) -> None:
        """Nothing is wider than the window."""
        wide = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], wide
