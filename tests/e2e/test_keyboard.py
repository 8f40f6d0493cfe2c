"""Sign up, run the sample and read the result without a pointer."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.test_first_result import RUN_S

FOCUSED = "() => (document.activeElement.innerText || document.activeElement.name || '').trim()"


def tab_to(page: Page, name: str, at_most: int = 40) -> None:
    for _ in range(at_most):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED).startswith(name):
            return
    raise AssertionError(f"{at_most} presses of Tab never reached {name!r} on {page.url}")


def test_from_sign_up_to_the_result_by_keyboard_alone(page: Page, site, faults):
    page.goto(site.url)
    tab_to(page, "Create an account")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts/signup/")
    for name, text in (
        ("email", "keys@example.org"),
        ("password1", "correct horse 7"),
        ("password2", "correct horse 7"),
    ):
        if page.evaluate(FOCUSED) != name:
            tab_to(page, name)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    tab_to(page, "Run the sample")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/"))
    page.wait_for_selector(".figure-strip .figure-main", timeout=RUN_S)
    tab_to(page, "Trades")
    page.keyboard.press("Enter")
    expect(page.locator("table").first).to_be_visible()


def test_the_first_tab_offers_to_skip_the_navigation(page: Page, site, faults):
    page.goto(f"{site.url}/accounts/login/")
    page.locator("body").press("Tab")
    page.evaluate("() => { document.activeElement.blur() }")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_visible()
