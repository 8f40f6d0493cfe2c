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
STAFF = ("/data/", "/data/fetch/", "/data/jobs/", "/operations/")
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


@pytest.fixture(scope="session")
def operator(site, browser):
    """The first account, which is staff, with a fetch that failed since the archive does not answer."""
    context = browser.new_context()
    page = context.new_page()
    address, password = site.staff_account()
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=login]", address)
    page.fill("input[name=password]", password)
    page.locator("main").get_by_role("button", name="Sign in").click()
    page.goto(f"{site.url}/data/fetch/")
    page.get_by_label("Symbols").fill("BTCUSDT")
    page.get_by_label("From").fill("2025-01")
    page.get_by_role("button", name="Start without a plan").click()
    expect(page.locator("#job-live").get_by_text("Failed", exact=True)).to_be_visible(timeout=RUN_S)
    state, job = context.storage_state(), page.url.removeprefix(site.url)
    context.close()
    return state, job


@pytest.fixture(scope="session")
def own_series(site, browser, member, tmp_path_factory):
    """Addresses of a member's upload and of the series that came of it."""
    file = tmp_path_factory.mktemp("upload") / "mine.csv"
    rows = (f"{1_735_689_600_000 + 60_000 * i},10,11,9,10,{5 if i else 0}" for i in range(500) if i != 90)
    file.write_text("time,open,high,low,close,volume\n" + "\n".join(rows))
    context = browser.new_context(storage_state=member[0])
    page = context.new_page()
    page.goto(f"{site.url}/data/upload/")
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Symbol").fill("MINE")
    page.get_by_role("button", name="Upload").click()
    link = page.get_by_role("link", name="Look at the series")
    expect(link).to_be_visible(timeout=RUN_S)
    found = (page.url, f"{site.url}{link.get_attribute('href')}")
    context.close()
    return found


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


def test_candles_of_ones_own_fit_and_are_open_to_all(page: Page, site, own_series, signed_in, faults):
    upload, series = own_series
    assert not [fault for address in (upload, series, f"{series}rename/") for fault in visit(page, address)]


def test_pages_of_staff_fit_and_are_open_to_all(page: Page, site, context, operator, faults):
    state, job = operator
    context.add_cookies(state["cookies"])
    found = [fault for path in (*STAFF, job) for fault in visit(page, site.url + path)]
    page.goto(f"{site.url}/data/fetch/")
    page.get_by_label("Symbols").fill("BTCUSDT")
    page.get_by_label("From").fill("2025-01")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("heading", name="Plan")).to_be_visible(timeout=30_000)
    found += find_faults(page)
    assert not found


def test_every_tab_of_a_result_fits_and_is_open_to_all(page: Page, site, member, signed_in, faults):
    found = visit(page, site.url + member[1])
    for address in page.locator(".tabs a").evaluate_all("links => links.map(link => link.href)"):
        found += visit(page, address)
    assert not found
