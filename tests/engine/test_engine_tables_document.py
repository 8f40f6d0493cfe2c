"""The page of the engine's tables names exactly their columns and codes."""

import re
from pathlib import Path

import pytest

from backtests.engine.kernels import types

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "engine-tables.md").read_text()
TABLES = {
    "orders": types.ORDER,
    "fills": types.FILL,
    "trades": types.TRADE,
    "equity": types.EQUITY,
    "funding": types.FUNDING,
    "liquidations": types.LIQUIDATION,
    "commands": types.COMMAND,
}
CODES = (types.OrderKind, types.SizeKind, types.OrderStatus, types.Reason, types.ExitReason, types.CommandKind)


def first_cells(section):
    rows = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^\| ([^|]+?) \|", rows, re.MULTILINE)[1:]


@pytest.mark.parametrize("name", TABLES)
def test_the_page_names_the_columns_in_their_order(name):
    assert ", ".join(first_cells(name)).split(", ") == list(TABLES[name].names)


@pytest.mark.parametrize("codes", CODES, ids=lambda codes: codes.__name__)
def test_the_page_names_the_codes_with_their_numbers(codes):
    row = re.search(rf"^\| {codes.__name__} \| (.*) \|$", PAGE, re.MULTILINE)[1]
    assert row == ", ".join(f"{code.value} {code.name}" for code in codes)


def test_the_page_names_all_of_them():
    assert set(first_cells("Codes")) == {codes.__name__ for codes in CODES}


def test_the_glossary_lists_the_reasons():
    text = (REFERENCE / "glossary.md").read_text().partition("## Reasons of refused orders")[2]
    assert re.findall(r"`([A-Z_]+)`", text) == [reason.name for reason in types.Reason if reason]
