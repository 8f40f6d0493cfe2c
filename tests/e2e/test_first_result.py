"""From nothing to a result: what a new user does, in a real browser."""

import re
import time

from playwright.sync_api import Page, expect

RUN_S = 120_000
CHECK_S = 120


def sign_up(page: Page, url: str, email: str) -> None:
    page.goto(f"{url}/accounts/signup/")
    page.get_by_label(re.compile("e-?mail", re.IGNORECASE)).fill(email)
    for field in page.locator("input[type=password]").all():
        field.fill("correct horse battery")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_sign_up_run_the_sample_and_read_the_result(page: Page, site, faults):
    sign_up(page, site.url, "first@example.org")
    page.get_by_role("button", name=re.compile("Run the sample")).first.click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/"))
    page.wait_for_selector(".figure-strip .figure-main", timeout=RUN_S)
    expect(page.locator(".badge-ok")).to_contain_text("Succeeded")
    expect(page.get_by_text("Synthetic data.")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    page.get_by_role("link", name=re.compile("^Trades")).first.click()
    expect(page.locator("table").first).to_be_visible()


def test_what_was_saved_is_checked_for_look_ahead_by_itself(page: Page, site, faults):
    sign_up(page, site.url, "checked@example.org")
    page.get_by_role("button", name=re.compile("Run the sample")).first.click()
    page.wait_for_selector(".figure-strip .figure-main", timeout=RUN_S)
    address = page.url
    give_up_at = time.monotonic() + CHECK_S
    while page.get_by_text("no look-ahead").count() == 0:
        assert time.monotonic() < give_up_at, site.output
        page.wait_for_timeout(1_000)
        page.goto(address)


def test_a_stranger_gets_404_for_the_run_of_another(page: Page, site, browser):
    sign_up(page, site.url, "owner@example.org")
    page.get_by_role("button", name=re.compile("Run the sample")).first.click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/"))
    address = page.url
    context = browser.new_context()
    other = context.new_page()
    sign_up(other, site.url, "stranger@example.org")
    assert other.goto(address).status == 404
    context.close()


def test_staff_sees_the_admin(page: Page, site, faults):
    email, password = site.staff_account()
    page.goto(f"{site.url}/accounts/login/?next=/admin/")
    page.get_by_label(re.compile("e-?mail", re.IGNORECASE)).fill(email)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=re.compile("Site administration"))).to_be_visible()
