"""What a page must never do, at any width and in any theme: overflow its screen, or shut people out (axe's rules)."""

from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "static" / "node_modules" / "axe-core" / "axe.min.js"
TOLERATED = {"minor"}

FIND_OVERFLOW = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll("body *")].filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 5).map(element => element.outerHTML.slice(0, 120))"""
# Swagger UI's own markup is not ours to mend; it brings a second main, too.
RUN_AXE = """async () => (await axe.run({exclude: ["#swagger-ui"]}, {resultTypes: ["violations"],
    rules: {"landmark-no-duplicate-main": {enabled: !document.querySelector("#swagger-ui")}}})).violations.map(
    rule => [rule.impact, rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 160))])"""


def find_faults(page: Page) -> list[str]:
    """Sentences about what is wrong with the page as it stands; empty when nothing is."""
    faults = [f"{page.url} overflows: {html}" for html in page.evaluate(FIND_OVERFLOW)]
    assert AXE.is_file(), "axe is not here: .venv/bin/python deploy/build_assets.py --force brings it"
    page.evaluate(AXE.read_text())
    violations = [violation for violation in page.evaluate(RUN_AXE) if violation[0] not in TOLERATED]
    return faults + [f"{page.url} {impact} {rule}: {html}" for impact, rule, html in violations]
