"""docs/reference/run-settings.md names every setting of a run, its option and its default."""

import re
from dataclasses import fields
from pathlib import Path

from backtests.engine.request import RunRequest
from backtests.management.commands.run_backtest import Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "run-settings.md"
ROWS = [line.split("|")[1:5] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]


def test_the_page_names_every_setting_and_nothing_else():
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {field.name for field in fields(RunRequest)} - {"from_ms", "to_ms"} | {"from", "to"}


def test_the_page_names_every_option_of_the_request():
    parser = Command().create_parser("manage.py", "run_backtest")
    options = {word for action in parser._actions for word in action.option_strings}
    named = {option for row in ROWS for option in re.findall(r"(--[\w-]+)", row[1])}
    assert named <= options
    of_the_command = {"--help", "--json", "--out", "--save-for"}
    of_django = {
        "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
        "--skip-checks",
    }  # fmt: skip
    assert {option for option in options if option.startswith("--")} - named == of_the_command | of_django


def test_the_defaults_are_those_of_a_request():
    least = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
    request = RunRequest.parse(least).to_json()
    stated = {row[0].strip(" `"): row[2].strip() for row in ROWS}
    for name in ("initial_balance", "leverage", "max_leverage", "maker_fee", "taker_fee", "slippage_bps", "seed"):
        assert float(stated[name].split(";")[0]) == request[name]
    for name in ("margin_mode", "fill", "limit_fill", "path"):
        assert stated[name].strip("`") == request[name]
    for name in ("intrabar_timeframe", "participation_cap"):
        assert (stated[name], request[name]) == ("none", None)
