"""What a user sees: usage, limits, requests with their attempts, and the playground."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.dashboard.conftest import OpenPage, Sampled
from e2e.dashboard.stories import MIDDLE
from support.browser import Dashboard

UNAVAILABLE = '{"error": {"message": "The table does not respond.", "code": "store_unavailable"}}'


@pytest.fixture
def playground(user: Dashboard) -> Dashboard:
    return user.go("Playground")


def fact(page: Page, name: str) -> str:
    """What stands beside a name."""
    return page.locator("dl div").filter(has=page.get_by_text(name, exact=True)).locator("dd").first.inner_text()


def test_overview_shows_usage_and_limits(user: Dashboard) -> None:
    user.page.get_by_role("button", name="30 days").click()
    user.loaded()
    expect(user.page.get_by_role("meter", name="Budget")).to_have_count(2)  # the key's and the team's
    assert re.fullmatch(
        r"\$\d+\.\d\d of \$25\.00",
        user.page.get_by_role("meter", name="Budget").first.get_attribute("aria-valuetext") or "",
    )
    assert int(fact(user.page, "Requests")) > 100
    assert fact(user.page, "Spend").startswith("$")
    assert user.page.locator("figure rect[class^=fill]").count() > 60


def test_chart_is_read_by_keyboard_and_as_a_table(user: Dashboard) -> None:
    chart = user.page.get_by_role("slider", name="Requests by model: days")
    chart.focus()
    last = chart.get_attribute("aria-valuetext")
    user.page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuenow", "6")
    text = chart.get_attribute("aria-valuetext") or ""
    assert text != last
    assert re.match(r"[A-Z][a-z]{2} \d+: \d+, ", text), text
    expect(user.page.locator(".tip:visible b").first).to_have_text(re.findall(r": (\d+)", text)[0])
    user.page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuenow", "1")
    user.page.keyboard.press("Escape")
    expect(user.page.locator(".tip:visible")).to_have_count(0)
    figure = user.page.get_by_role("figure", name="Requests by model")
    figure.get_by_text("Figures as a table").click()
    day = text.split(":")[0]
    expect(figure.get_by_role("row", name=day).get_by_role("cell").last).to_have_text(re.findall(r": (\d+)", text)[0])
    user.assert_accessible()


def test_chart_shows_figures_under_the_pointer(user: Dashboard) -> None:
    user.page.get_by_role("slider", name="Tokens: days").hover()
    expect(user.page.locator(".tip:visible")).to_contain_text("input")


def test_key_without_usage_has_an_empty_overview(open_page: OpenPage, sampled: Sampled) -> None:
    dashboard = open_page().sign_in(sampled.keys.unused)
    expect(dashboard.page.get_by_text("No requests in the last 7 days")).to_be_visible()
    dashboard.assert_accessible()
    dashboard.go("Requests")
    expect(dashboard.page.get_by_text("No requests yet")).to_be_visible()
    dashboard.assert_accessible()


def test_failure_says_why_and_can_be_tried_again(user: Dashboard) -> None:
    headers = {"x-request-id": "req_1", "content-type": "application/json"}
    user.page.route("**/v1/usage*", lambda route: route.fulfill(status=503, body=UNAVAILABLE, headers=headers))
    user.page.get_by_role("button", name="14 days").click()
    expect(user.page.get_by_text("The table does not respond.").first).to_be_visible()
    expect(user.page.get_by_text("Request req_1")).to_be_visible()
    expect(user.page.get_by_role("status").last).to_have_text("The table does not respond.")
    user.assert_accessible()
    user.page.unroute("**/v1/usage*")
    user.page.get_by_role("button", name="Try again").click()
    expect(user.page.get_by_role("slider")).to_have_count(3)


def test_loading_has_a_placeholder(user: Dashboard) -> None:
    held: list[Route] = []
    user.page.route("**/v1/requests*", lambda route: held.append(route))
    user.page.get_by_role("link", name="Requests").click()
    expect(user.page.locator("[aria-busy] .skeleton")).to_be_visible()
    user.assert_accessible()
    held[0].continue_()
    user.loaded()
    expect(user.page.locator(".expand")).to_have_count(20)


def test_being_offline_is_said(user: Dashboard) -> None:
    user.page.context.set_offline(True)
    expect(user.page.get_by_text("This device is offline. What is shown may be old.")).to_be_visible()
    user.page.get_by_role("button", name="30 days").click()
    expect(user.page.locator(".state").get_by_text("This device is offline.")).to_be_visible()
    user.assert_accessible()
    user.page.context.set_offline(False)
    user.page.get_by_role("button", name="Try again").click()
    user.loaded()
    expect(user.page.locator(".offline")).to_be_empty()


def test_requests_have_their_attempts_and_guardrails(user: Dashboard) -> None:
    user.go("Requests")
    rows = user.page.locator(".expand")
    expect(rows).to_have_count(20)
    user.page.get_by_role("button", name="Load older").click()
    expect(rows).to_have_count(40)
    for _ in range(3):
        shown = rows.count()
        user.page.get_by_role("button", name="Load older").click()
        expect(rows).to_have_count(shown + 20)
    for row in rows.all():
        row.click()
    attempts = [each.locator(".badge").all_inner_texts() for each in user.page.locator(".trace").all()]
    assert ["rate_limit_exceeded", "answered"] in attempts
    assert ["answered"] in attempts
    expect(user.page.get_by_text("card-numbers masked parts of the request").first).to_be_visible()
    user.assert_accessible()
    user.page.get_by_role("button", name="Failed").click()
    failed = user.page.locator("tr:has(.expand)")
    assert 0 < failed.count() < 100
    assert set(failed.locator(".badge").all_inner_texts()) == {"timeout"}


def test_playground_streams_and_says_what_it_took(playground: Dashboard) -> None:
    MIDDLE.hold()
    page = playground.page
    page.get_by_label("Model").fill("story")
    page.get_by_label("Message").fill("Tell me a story")
    page.get_by_label("Message").press("Control+Enter")
    answer = page.get_by_role("region", name="Answer").locator(".answer")
    expect(answer).to_have_text("Once upon")
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    playground.assert_accessible()
    MIDDLE.release()
    expect(answer).to_have_text("Once upon a time.")
    expect(page.get_by_role("status").last).to_have_text(re.compile(r"Finished after [\d.]+ m?s\."))
    assert (fact(page, "Cost"), fact(page, "Tokens")) == ("$0.004", "1,000 in, 3,000 out")
    assert (fact(page, "Provider"), fact(page, "Finish")) == ("story", "stop")
    assert re.fullmatch(r"[\d.]+ m?s", fact(page, "First token"))
    request_id = fact(page, "Request")
    playground.assert_accessible()
    playground.go("Requests")
    page.locator(".expand").first.click()
    assert fact(page, "Request") == request_id


def test_playground_stops(playground: Dashboard) -> None:
    page = playground.page
    page.get_by_label("Model").fill("endless")
    page.get_by_label("Message").fill("Tell me a story")
    page.get_by_role("button", name="Send").click()
    answer = page.get_by_role("region", name="Answer").locator(".answer")
    expect(answer).to_have_text("Once")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Stopped. What was generated until then is billed")).to_be_visible()
    expect(answer).to_have_text("Once")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    playground.assert_accessible()


def test_playground_shows_failures(playground: Dashboard) -> None:
    page = playground.page
    page.get_by_label("Message").fill("Tell me a story")
    for model, message in (("broken", "The connection to the provider broke."), ("no-such-model", "no-such-model")):
        page.get_by_label("Model").fill(model)
        page.get_by_role("button", name="Send").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(message)
        expect(alert).to_contain_text("Request req_")
    playground.assert_accessible()
