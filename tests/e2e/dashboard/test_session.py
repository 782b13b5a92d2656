"""Signing in and out, where the key is kept, and what holds in every view."""

import pytest
from playwright.sync_api import Route, expect

from e2e.dashboard.conftest import OpenPage, Sampled
from support.browser import PHONE, Dashboard

STORED = """async () => [
  localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length,
  (await caches.keys()).length,
]"""
VIEWS = ("Overview", "Requests", "Playground", "Keys", "Teams", "Spend")


def test_wrong_key_is_refused_in_words(open_page: OpenPage) -> None:
    dashboard = open_page().open()
    expect(dashboard.page.get_by_label("Key", exact=True)).to_be_focused()
    dashboard.assert_accessible()
    dashboard.page.keyboard.type("sk-tg-wrong")
    dashboard.page.keyboard.press("Enter")
    alert = dashboard.page.get_by_role("alert")
    expect(alert).to_contain_text("API key")
    expect(alert).to_contain_text("Request req_")
    expect(dashboard.page.get_by_label("Key", exact=True)).to_be_focused()
    dashboard.assert_accessible()


def test_text_that_no_header_carries_is_refused_in_words(open_page: OpenPage) -> None:
    dashboard = open_page().open()
    dashboard.page.get_by_label("Key", exact=True).fill("sk-tg-…")
    dashboard.page.keyboard.press("Enter")
    expect(dashboard.page.get_by_role("alert")).to_contain_text("characters that no key has")


def test_key_is_in_memory_only(user: Dashboard, sampled: Sampled) -> None:
    page = user.page
    assert page.evaluate(STORED) == [0, 0, "", 0, 0]
    assert sampled.keys.user not in page.content()
    assert page.url == f"{sampled.root}/dashboard"
    page.reload()
    expect(page.get_by_label("Key", exact=True)).to_have_value("")


def test_sign_out_forgets(user: Dashboard) -> None:
    user.go("Requests")
    user.page.get_by_role("button", name="Sign out").click()
    expect(user.page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(user.page.get_by_role("navigation")).to_have_count(0)
    user.page.evaluate("location.hash = '#/requests'")
    expect(user.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert user.page.url.endswith("#/requests")


def test_revoked_key_ends_the_session(user: Dashboard) -> None:
    refused = '{"error": {"message": "Revoked.", "code": "invalid_api_key"}}'
    user.page.route("**/v1/requests*", lambda route: route.fulfill(status=401, body=refused))
    user.page.get_by_role("link", name="Requests").click()
    expect(user.page.get_by_role("alert")).to_have_text("The gateway no longer accepts the key.")
    expect(user.page.get_by_label("Key", exact=True)).to_have_value("")


@pytest.mark.parametrize("size", [(1280, 860), PHONE], ids=["desktop", "phone"])
def test_every_view_is_accessible_and_fits(open_page: OpenPage, sampled: Sampled, size: tuple[int, int]) -> None:
    dashboard = open_page(size).sign_in(sampled.keys.admin)
    for name in VIEWS:
        dashboard.go(name)
        dashboard.assert_fits()
        dashboard.assert_accessible()


def test_dialogs_and_details_fit_on_a_phone(open_page: OpenPage, sampled: Sampled) -> None:
    dashboard = open_page(PHONE).sign_in(sampled.keys.user)
    dashboard.go("Requests")
    dashboard.page.locator(".expand").first.click()
    dashboard.assert_fits()
    dashboard = open_page(PHONE).sign_in(sampled.keys.admin)
    dashboard.go("Keys")
    dashboard.page.get_by_role("button", name="New key").click()
    expect(dashboard.page.get_by_role("dialog")).to_be_visible()
    dashboard.assert_fits()
    dashboard.assert_accessible()


def test_users_see_no_views_of_admins(user: Dashboard) -> None:
    assert user.page.get_by_role("navigation").get_by_role("link").all_inner_texts() == list(VIEWS[:3])
    user.page.evaluate("location.hash = '#/keys'")
    user.heading("Overview")


def test_colours_can_be_changed(user: Dashboard) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    user.page.emulate_media(color_scheme="light")
    light = user.page.evaluate(background)
    user.page.get_by_role("button", name="Dark").click()
    assert user.page.evaluate(background) != light
    user.page.get_by_role("button", name="Light").click()
    assert user.page.evaluate(background) == light


def test_keyboard_leads_past_the_navigation(user: Dashboard) -> None:
    expect(user.page.get_by_role("heading", level=1)).to_be_focused()
    user.page.get_by_role("navigation").get_by_role("link").first.focus()
    user.page.keyboard.press("Shift+Tab")
    expect(user.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    user.page.keyboard.press("Enter")
    expect(user.page.get_by_role("main")).to_be_focused()
    user.page.keyboard.press("Tab")
    expect(user.page.get_by_role("button", name="7 days")).to_be_focused()


def test_page_works_behind_a_stage(open_page: OpenPage, sampled: Sampled) -> None:
    dashboard = open_page()

    def without_stage(route: Route) -> None:
        assert "/live/" in route.request.url, route.request.url
        route.fulfill(response=route.fetch(url=route.request.url.replace("/live/", "/")))

    dashboard.page.route("**/*", without_stage)
    dashboard.page.goto(f"{sampled.root}/live/dashboard")
    dashboard.page.get_by_label("Key", exact=True).fill(sampled.keys.user)
    dashboard.page.keyboard.press("Enter")
    dashboard.heading("Overview")
    expect(dashboard.page.get_by_role("slider")).to_have_count(3)
