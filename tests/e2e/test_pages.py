"""Every page, light and dark, wide and narrow: nothing overflows, axe finds nothing, the console stays empty."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.audit import find_faults
from tests.e2e.test_first_result import RUN_S, sign_up

PUBLIC = ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/api/docs/", "/nowhere/")
PRIVATE = (
    "/",
    "/strategies/",
    "/strategies/new/",
    "/runs/",
    "/data/",
    "/data/upload/",
    "/account/",
    "/accounts/email/",
    "/accounts/logout/",
)
SCREENS = [(theme, width) for theme in ("dark", "light") for width in (1366, 390)]
ANSWERED_404 = "console: Failed to load resource: the server responded with a status of 404 (Not Found)"


@pytest.fixture(scope="session")
def member(site, browser):
    """A signed-in user with one finished run: the browser's state and the run's address."""
    context = browser.new_context()
    page = context.new_page()
    sign_up(page, site.url, "member@example.org")
    page.get_by_role("button", name=re.compile("Run the sample")).first.click()
    page.wait_for_selector(".figure-strip .figure-main", timeout=RUN_S)
    state, run = context.storage_state(), page.url.removeprefix(site.url)
    context.close()
    return state, run


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen[0]}-{screen[1]}")
def browser_context_args(request, browser_context_args):
    theme, width = request.param
    size = {"width": width, "height": 844 if width < 800 else 768}
    return {**browser_context_args, "color_scheme": theme, "viewport": size}


@pytest.fixture
def signed_in(context, member):
    context.add_cookies(member[0]["cookies"])


def visit(page: Page, address: str) -> list[str]:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return find_faults(page)


def test_public_pages_fit_and_are_open_to_all(page: Page, site, faults):
    found = [fault for path in PUBLIC for fault in visit(page, site.url + path)]
    faults[:] = [fault for fault in faults if fault != ANSWERED_404]  # of /nowhere/, on purpose
    assert not found


def test_private_pages_fit_and_are_open_to_all(page: Page, site, member, signed_in, faults):
    assert not [fault for path in PRIVATE for fault in visit(page, site.url + path)]


def test_editor_and_run_form_fit_and_are_open_to_all(page: Page, site, member, signed_in, faults):
    page.goto(f"{site.url}/strategies/")
    page.get_by_role("link", name=re.compile("SMA")).first.click()
    expect(page.locator(".cm-editor")).to_be_visible()
    found = visit(page, page.url)
    found += visit(page, f"{site.url}/runs/new/")
    assert not found


def test_a_series_fits_and_is_open_to_all(page: Page, site, member, signed_in, faults):
    page.goto(f"{site.url}/data/")
    page.locator(".data-table tbody a").first.click()
    page.wait_for_selector("[data-chart][data-ready]")
    assert not visit(page, page.url)


def test_every_tab_of_a_result_fits_and_is_open_to_all(page: Page, site, member, signed_in, faults):
    found = visit(page, site.url + member[1])
    for address in page.locator(".tabs a").evaluate_all("links => links.map(link => link.href)"):
        found += visit(page, address)
    assert not found
