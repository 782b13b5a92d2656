"""Writes the pictures of docs/dashboard.md in docs/images: a gateway with sample usage in headless Chromium
(`make screenshots`)."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from support.browser import PHONE, Dashboard, chromium, open_context
from support.one_model import one_model
from support.running_gateway import run_gateway
from support.sample_usage import SampleKeys, write_sample
from support.upstream import Script, scripted_upstream

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MODEL = "example-model"
STORY = (
    "The harbour had one gate, and the gate had one keeper. Each ship said who had sent it and how far it wished to "
    "go; the keeper looked into a book, wrote one line, and lifted the bar. By evening the line said what it cost."
)
FAILURE = {"error": {"message": "The table does not respond.", "code": "store_unavailable"}}
FAILURE_HEADERS = {"x-request-id": "req_019ac0ffee000000000000000000beef", "content-type": "application/json"}


def _event(text: str, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **more})}\n\n".encode()


def story() -> Script:
    """The story, word by word, with its usage."""
    usage = {"prompt_tokens": 21, "completion_tokens": 53, "total_tokens": 74}
    steps: list[bytes | float] = [0.2]
    for word in STORY.split():
        steps += [_event(f"{word} "), 0.01]
    return Script(
        [*steps, _event("", "stop", usage=usage), b"data: [DONE]\n\n"], headers={"content-type": "text/event-stream"}
    )


class Photographer:
    """Opens pages of one gateway and saves pictures of them."""

    def __init__(self, browser: Browser, root: str, keys: SampleKeys) -> None:
        self._browser = browser
        self._root = root
        self._keys = keys

    def open(self, scheme: str = "light", size: tuple[int, int] = (1280, 820)) -> Dashboard:
        """A page that nobody has signed in to."""
        return Dashboard(open_context(self._browser, size, color_scheme=scheme).new_page(), self._root).open()

    def user(self, scheme: str = "light", size: tuple[int, int] = (1280, 820)) -> Dashboard:
        """The page of a user with usage, over 30 days."""
        dashboard = self.open(scheme, size).sign_in(self._keys.user)
        dashboard.page.get_by_role("button", name="30 days").click()
        dashboard.loaded()
        return dashboard

    def admin(self, view: str, scheme: str = "light") -> Dashboard:
        """A view of an admin."""
        return self.open(scheme).sign_in(self._keys.admin).go(view)

    def signed_out(self) -> Page:
        return self.open(size=(1280, 620)).page

    def overview(self) -> Page:
        return self.user(size=(1280, 1230)).page

    def overview_dark(self) -> Page:
        page = self.user("dark", (1280, 1230)).page
        page.get_by_role("slider").first.hover()
        return page

    def phone(self) -> Page:
        return self.user(size=(PHONE[0], 1240)).page

    def empty(self) -> Page:
        return self.open(size=(1280, 620)).sign_in(self._keys.unused).page

    def error(self) -> Page:
        page = self.user(size=(1280, 620)).page
        page.route("**/v1/requests*", lambda route: route.fulfill(status=503, json=FAILURE, headers=FAILURE_HEADERS))
        page.get_by_role("link", name="Requests").click()
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        return page

    def requests(self) -> Page:
        page = self.user().go("Requests").page
        page.locator("tr:has(.badge):has-text('bedrock') .expand").first.click()
        return page

    def playground(self) -> Page:
        page = self.user().go("Playground").page
        page.get_by_label("Model").fill(MODEL)
        page.get_by_label("System prompt").fill("You write very short stories.")
        page.get_by_label("Message").fill("Tell me a story about a gateway.")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("First token", exact=True)).to_be_visible()
        return page

    def keys(self) -> Page:
        return self.admin("Keys").page

    def key(self) -> Page:
        dashboard = self.admin("Keys", "dark")
        dashboard.page.get_by_role("link", name="alice").click()
        dashboard.heading("Key")
        return dashboard.page

    def spend(self) -> Page:
        dashboard = self.admin("Spend")
        dashboard.page.get_by_role("button", name="Model", exact=True).click()
        dashboard.loaded()
        return dashboard.page


def main() -> None:
    """Take every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, scripted_upstream({MODEL: story()}) as provider:
        overlay = one_model(MODEL, f"{provider.url}/v1", usd_per_mtok=15)
        with run_gateway("server", Path(folder), overlay) as gateway:
            keys = write_sample(gateway.db)
            with chromium() as browser:
                at = Photographer(browser, gateway.base_url.removesuffix("/v1"), keys)
                views: tuple[Callable[[], Page], ...] = (
                    *(at.signed_out, at.overview, at.overview_dark, at.phone, at.requests, at.playground),
                    *(at.keys, at.key, at.spend, at.empty, at.error),
                )
                for view in views:
                    page = view()
                    page.screenshot(path=IMAGES / f"dashboard-{view.__name__.replace('_', '-')}.png")
                    page.context.close()


if __name__ == "__main__":
    main()
