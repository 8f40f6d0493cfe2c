"""The pages about the engine say what it does: their examples run, and their numbers are the functions'."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from backtests.engine import MarginTier, RunRequest, funding_payment, liquidation_price, maintenance_margin

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENGINE_API = DOCS / "reference" / "engine-api.md"
ACCOUNTING = DOCS / "concepts" / "accounting-and-margin.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_examples(page):
    """Run the page's Python in one namespace, with the page's own line numbers in a traceback. Returns how many."""
    text = page.read_text()
    namespace = {"__name__": "example"}
    examples = list(EXAMPLE.finditer(text))
    for example in examples:
        n_lines_before = text.count("\n", 0, example.start(1))
        exec(compile("\n" * n_lines_before + example[1], str(page), "exec"), namespace)
    return len(examples)


@pytest.mark.parametrize("document", [ENGINE_API, ACCOUNTING], ids=lambda document: document.stem)
def test_every_example_of_the_page_runs_and_there_are_some(document):
    assert run_examples(document) > 0


def test_the_page_names_every_setting_of_a_request_in_its_order():
    table = ENGINE_API.read_text().partition("| setting | default | meaning |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    named = [(name, default) for names, default, _ in rows for name in names.split(", ")]
    assert [name for name, _ in named] == [field.name for field in fields(RunRequest)]
    for field in fields(RunRequest):
        if field.default is MISSING or field.name.endswith("_fee"):
            continue
        said = dict(named)[field.name].strip("`").replace(",", "")
        if field.default is True:
            assert said == "yes"
        elif field.default in (None, ""):
            assert said == "none"
        else:
            assert said == (f"{field.default:g}" if isinstance(field.default, float) else str(field.default))


def test_a_page_without_examples_has_none_to_run(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```\nnot python\n```\n")
    assert run_examples(page) == 0


def test_a_wrong_example_fails_with_the_line_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nassert 1 == 1\nassert 1 == 2\n```\n")
    with pytest.raises(AssertionError) as failure:
        run_examples(page)
    assert failure.traceback[-1].lineno + 1 == 5


def test_numbers_of_the_worked_example_are_those_of_the_functions():
    tiers = (
        MarginTier(0, 50_000, 0.004, 125, 0),
        MarginTier(50_000, 250_000, 0.005, 100, 50),
        MarginTier(250_000, 1_000_000, 0.01, 50, 1_300),
    )
    position = {"qty": 10, "entry_price": 10_000, "wallet_balance": 5_000}
    long_level = liquidation_price(side=1, tiers=tiers, **position)
    short_level = liquidation_price(side=-1, tiers=tiers, **position)
    needed = maintenance_margin(notional=10 * long_level, tiers=tiers)
    fee = 10 * long_level * 0.0125
    lost = 10 * (10_000 - long_level)
    paid = -funding_payment(position_qty=10, mark_price=10_000, rate=0.0003)
    later = liquidation_price(side=1, tiers=tiers, **{**position, "wallet_balance": 5_000 - paid})
    assert 5_000 - lost == pytest.approx(needed)
    text = ACCOUNTING.read_text()
    for number in (long_level, short_level, needed, lost, fee, lost + fee - 5_000, paid, later):
        assert f"{number:,.2f}" in text
