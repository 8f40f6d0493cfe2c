"""The browser and the site that it visits."""

import os
import shutil

import pytest

from tests.e2e.site import Site

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Quiet: without these the browser itself asks its maker's servers for this and that.
QUIET = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update")

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation",
    event => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`))
"""


def pytest_collection_modifyitems(items):
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    named = os.environ.get("HINDSIGHT_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if named is None:
        pytest.skip("Chromium is not here: make test INSTALL=1 installs it")
    return {**browser_type_launch_args, "executable_path": named, "args": [*QUIET, "--disable-sync", "--no-first-run"]}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A site that has just been set up and started for the first time."""
    site = Site(tmp_path_factory.mktemp("e2e") / "a home")
    try:
        site.start()
        yield site
    finally:
        if site.process is not None and site.process.poll() is None:
            site.interrupt()
    assert "[error" not in site.output, site.output


@pytest.fixture
def faults(page, site):
    """What no page may cause: console errors, policy violations, requests to elsewhere. Checked after the test."""
    found = []
    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"script: {error}"))

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # a poll or a chart that the next page made needless
            found.append(f"failed: {request.url} {request.failure}")

    def note(request):
        if not request.url.startswith((site.url, "data:", "blob:")):
            found.append(f"elsewhere: {request.url}")

    page.on("requestfailed", note_failure)
    page.on("request", note)
    page.add_init_script(REPORT_VIOLATIONS)
    yield found
    assert not found
