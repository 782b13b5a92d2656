"""What an admin does: keys, teams, the spend of all, and what is shown while the admin API is off."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from e2e.dashboard.conftest import OpenPage, Sampled
from support.browser import Dashboard
from support.http import HTTP
from support.running_gateway import run_gateway
from support.sample_usage import write_sample

MODEL = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}


def status_of(sampled: Sampled, key: str) -> int:
    """What a chat request with this key gets."""
    headers = {"authorization": f"Bearer {key}"}
    return HTTP.post(f"{sampled.gateway.base_url}/chat/completions", json=MODEL, headers=headers).status_code


def secret_shown(dashboard: Dashboard, title: str) -> str:
    """The new key in the dialog with this title, which is closed."""
    dialog = dashboard.page.get_by_role("dialog", name=title)
    secret = dialog.get_by_label("Key", exact=True).input_value()
    dashboard.assert_accessible()
    dialog.get_by_role("button", name="Done").click()
    expect(dashboard.page.locator("dialog")).to_have_count(0)  # a closed one has no role, but is there for a moment
    dashboard.loaded()
    assert secret not in dashboard.page.content()
    return secret


def confirm(dashboard: Dashboard, action: str) -> None:
    """Press a button and confirm the question."""
    dashboard.page.get_by_role("button", name=action, exact=True).click()
    dialog = dashboard.page.get_by_role("dialog", name=re.compile(f"^{action} "))
    dashboard.assert_accessible()
    dialog.get_by_role("button", name=action, exact=True).click()
    expect(dialog).to_have_count(0)
    dashboard.loaded()


@pytest.fixture
def made(admin: Dashboard) -> Dashboard:
    """The list of keys, with the dialog for a new one filled in."""
    admin.go("Keys")
    admin.page.get_by_role("button", name="New key").click()
    dialog = admin.page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Name").fill("carol")
    dialog.get_by_label("Owner").fill("carol@example.com")
    dialog.get_by_label("Team").select_option("research")
    dialog.get_by_label("Requests a minute").fill("50")
    dialog.get_by_label("Budget in USD").fill("7.50")
    dialog.get_by_label("Models").fill("ec*, gpt-*")
    admin.assert_accessible()
    return admin


def test_key_lives_from_its_creation_to_its_deletion(made: Dashboard, sampled: Sampled) -> None:
    page = made.page
    page.get_by_role("button", name="Create").click()
    first = secret_shown(made, "Key carol")
    assert status_of(sampled, first) == 200
    row = page.get_by_role("row").filter(has_text=first.split("-")[2])
    expect(row).to_contain_text("50 requests/min, 10 at once")
    expect(row).to_contain_text("7.50/month")
    row.get_by_role("link").click()
    made.heading("Key")
    expect(page.get_by_role("heading", name="Team research")).to_be_visible()
    made.assert_accessible()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit carol")
    dialog.get_by_label("Requests a minute").fill("")
    dialog.get_by_label("Models").fill("")
    dialog.get_by_label("Expires").fill("30d")
    dialog.get_by_text("More").click()
    dialog.get_by_label("Seconds in the cache").fill("60")
    dialog.get_by_label("OPENAI_API_KEY", exact=True).check()
    made.assert_accessible()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    made.loaded()
    changes = page.get_by_role("region", name="Changes").get_by_role("row")
    expect(changes.nth(1)).to_contain_text("update")
    for change in ("models: *", "cache_seconds: 60", "credentials: OPENAI_API_KEY"):
        expect(changes.nth(1)).to_contain_text(change)
    expect(changes.nth(1)).not_to_contain_text("allow_unpriced")
    expect(page.get_by_role("meter", name="Requests this minute")).to_have_count(1)  # the team's is left
    _rotate_and_end(made, sampled, first, changes)


def _rotate_and_end(dashboard: Dashboard, sampled: Sampled, first: str, changes: Locator) -> None:
    page = dashboard.page
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    second = secret_shown(dashboard, "New secret of carol")
    assert [status_of(sampled, key) for key in (first, second)] == [200, 200]
    expect(page.get_by_text("the former secret works until")).to_be_visible()
    confirm(dashboard, "Reset")
    confirm(dashboard, "Revoke")
    assert [status_of(sampled, key) for key in (first, second)] == [401, 401]
    expect(page.locator(".badge", has_text="revoked")).to_be_visible()
    expect(changes).to_have_count(6)
    confirm(dashboard, "Delete")
    dashboard.heading("Keys")
    expect(page.get_by_text(first.split("-")[2])).to_have_count(0)


def test_wrong_field_is_named_and_focused(made: Dashboard) -> None:
    dialog = made.page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Budget in USD").fill("much")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("budget")
    expect(dialog.get_by_label("Budget in USD")).to_be_focused()
    made.assert_accessible()
    made.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(made.page.get_by_role("button", name="New key")).to_be_focused()


def test_copied_key_is_on_the_clipboard(made: Dashboard) -> None:
    made.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    made.page.get_by_role("button", name="Create").click()
    dialog = made.page.get_by_role("dialog", name="Key carol")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    secret = dialog.get_by_label("Key", exact=True).input_value()
    assert made.page.evaluate("navigator.clipboard.readText()") == secret


def test_team_lives_from_its_creation_to_its_deletion(admin: Dashboard) -> None:
    page = admin.go("Teams").page
    page.get_by_role("button", name="New team").click()
    dialog = page.get_by_role("dialog", name="New team")
    dialog.get_by_label("Name").fill("finance")
    dialog.get_by_label("Budget in USD").fill("10")
    dialog.get_by_label("Per").select_option("a day")
    admin.assert_accessible()
    dialog.get_by_role("button", name="Create").click()
    row = page.get_by_role("row").filter(has_text="finance")
    row.filter(has_text="10/day").get_by_role("link").click()
    admin.heading("Team")
    expect(page.get_by_text("No key belongs to this team.")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit finance")
    dialog.get_by_label("Budget in USD").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(
        page.get_by_text("No limit of requests this minute, tokens this minute, requests at once, spend.")
    ).to_be_visible()
    admin.assert_accessible()
    confirm(admin, "Reset")
    confirm(admin, "Delete")
    admin.heading("Teams")
    expect(page.get_by_role("link", name="finance")).to_have_count(0)


def test_team_with_keys_is_not_deleted(admin: Dashboard) -> None:
    page = admin.go("Teams").page
    page.get_by_role("link", name="research").click()
    admin.heading("Team")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete research?")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text("key")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="research", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("group", "name"),
    [("Key", "batch-jobs"), ("Team", "research"), ("Model", "gpt-4o"), ("Provider", "anthropic")],
)
def test_spend_of_all_by_group(admin: Dashboard, group: str, name: str) -> None:
    page = admin.go("Spend").page
    page.get_by_role("button", name=group, exact=True).click()
    admin.loaded()
    rows = page.get_by_role("region", name=f"Spend by {group.lower()}", exact=True).get_by_role("row")
    row = rows.filter(has=page.get_by_role("rowheader", name=re.compile(rf"^{name}\b")))
    assert float(row.first.get_by_role("cell").last.inner_text().removesuffix(" %")) > 0
    admin.assert_accessible()


def test_csv_is_that_of_the_api(admin: Dashboard, sampled: Sampled) -> None:
    page = admin.go("Spend").page
    page.get_by_role("button", name="Provider").click()
    admin.loaded()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download CSV").click()
    name = downloading.value.suggested_filename
    days = re.fullmatch(r"usage-by-provider-(\d{4}-\d\d-\d\d)-to-(\d{4}-\d\d-\d\d)\.csv", name)
    assert days
    query = {"key_id": "*", "group_by": "day,provider", "format": "csv", "from": days[1], "to": days[2]}
    headers = {"authorization": f"Bearer {sampled.keys.admin}"}
    expected = HTTP.get(f"{sampled.gateway.base_url}/usage", params=query, headers=headers).text
    assert Path(downloading.value.path()).read_bytes().decode() == expected
    assert expected.startswith("day,provider,requests")


def test_requests_of_another_key(admin: Dashboard, sampled: Sampled) -> None:
    page = admin.go("Requests").page
    expect(page.get_by_text("No requests yet")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(sampled.keys.user.split("-")[2])
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".expand")).to_have_count(20)
    page.get_by_label("Key", exact=True).fill("000000000000")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("There is no key 000000000000.").first).to_be_visible()


@pytest.fixture(scope="module")
def without_admin_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The root of a gateway without the admin API, and an admin's key."""
    with run_gateway("server", tmp_path_factory.mktemp("off"), env={"TOLLGATE_ADMIN_API": "off"}) as gateway:
        with ThreadPoolExecutor(1) as thread:
            yield gateway.base_url.removesuffix("/v1"), thread.submit(write_sample, gateway.db).result().admin


def test_admin_api_that_is_off_is_explained(
    browser: Browser, open_page: OpenPage, without_admin_api: tuple[str, str]
) -> None:
    root, key = without_admin_api
    dashboard = open_page(root=root).sign_in(key)
    for name in ("Keys", "Teams"):
        dashboard.go(name)
        expect(dashboard.page.get_by_text("The admin API is off", exact=True)).to_be_visible()
        dashboard.page.get_by_role("button", name=f"New {name[:-1].lower()}").click()
        dialog = dashboard.page.locator("dialog")
        expect(dialog).to_be_visible()
        dashboard.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        dashboard.assert_accessible()
    dashboard.go("Spend")
    expect(dashboard.page.get_by_role("slider")).to_have_count(1)


def key_of(sampled: Sampled, name: str) -> dict[str, Any]:
    """A key as the admin API lists it."""
    headers = {"authorization": f"Bearer {sampled.keys.admin}"}
    listed = HTTP.get(f"{sampled.root}/admin/v1/keys", headers=headers).json()["data"]
    (found,) = [each for each in listed if each["name"] == name]
    return found


def test_budget_of_nothing_is_a_budget_and_stays_one_when_another_field_is_edited(
    made: Dashboard, sampled: Sampled
) -> None:
    page = made.page
    dialog = page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Name").fill("dave")
    dialog.get_by_label("Budget in USD").fill("0")
    page.get_by_role("button", name="Create").click()
    secret_shown(made, "Key dave")
    before = key_of(sampled, "dave")
    assert before["budget"] == "0/month"
    page.get_by_role("link", name="dave", exact=True).click()
    made.heading("Key")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Owner").fill("dave@example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert key_of(sampled, "dave") == {**before, "owner": "dave@example.com"}


def test_admin_who_ends_the_own_secret_sees_the_new_one_and_stays_signed_in(
    open_page: OpenPage, sampled: Sampled
) -> None:
    headers = {"authorization": f"Bearer {sampled.keys.admin}"}
    chief = {"name": "chief", "role": "admin"}
    own = HTTP.post(f"{sampled.root}/admin/v1/keys", json=chief, headers=headers).json()["key"]
    dashboard = open_page().sign_in(own).go("Keys")
    dashboard.page.get_by_role("link", name="chief", exact=True).click()
    dashboard.heading("Key")
    dashboard.page.get_by_role("button", name="Rotate").click()
    dialog = dashboard.page.get_by_role("dialog")
    dialog.get_by_label("The former secret works for").fill("0m")
    dialog.get_by_role("button", name="Rotate").click()
    second = secret_shown(dashboard, "New secret of chief")
    assert [status_of(sampled, key) for key in (own, second)] == [401, 200]
    dashboard.go("Keys")
    expect(dashboard.page.get_by_role("link", name="chief", exact=True)).to_be_visible()
