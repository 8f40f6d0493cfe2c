"""`manage.py run_backtest`: what it prints, writes, stores, and how it exits."""

import csv
import json
import shlex

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from backtests import reports
from backtests.models import BacktestRun
from backtests.presentation.facts import list_assumptions, list_data_facts, write_command
from backtests.presentation.numbers import NBSP
from tests.builders import build_candles

pytestmark = pytest.mark.django_db
SPAN = ("--market", "usdm", "--symbol", "BTCUSDT", "--timeframe", "1h", "--from", "2025-01-05", "--to", "2025-01-20")
CROSS = """
class Cross(Strategy):
    fast = Param(5, min=2, max=50)

    def initialize(self):
        self.a = self.indicator(ta.sma, "close", length=self.fast)
        self.b = self.indicator(ta.sma, "close", length=20)

    def on_data(self, data):
        if crossed_above(self.a, self.b):
            self.buy(equity_ratio=0.9)
        elif crossed_below(self.a, self.b):
            self.close_position()
"""
BOTH = """
class Both(Strategy):
    def initialize(self):
        pass

    def on_data(self, data):
        if self.i_bar % 10 == 5:
            for symbol in self.symbols:
                self.close_position(symbol=symbol)
                self.buy(notional=1000, symbol=symbol)
"""
RAISES = """
class Raises(Strategy):
    def initialize(self):
        self.log("ready")

    def on_data(self, data):
        if self.i_bar == 100:
            raise ValueError("no such level")
"""


@pytest.fixture
def candles(hindsight_home):
    return build_candles()


@pytest.fixture
def strategy_file(tmp_path):
    def write(source, name="cross.py"):
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return str(path)

    return write


def call(capsys, *arguments):
    """(exit code, what went to stdout, what went to stderr) of the command."""
    code = 0
    try:
        call_command("run_backtest", *arguments)
    except SystemExit as end:
        code = end.code
    out = capsys.readouterr()
    return code, out.out, out.err


def refusal(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("run_backtest", *arguments)
    assert caught.value.returncode == 2
    return str(caught.value)


def test_it_prints_one_json_object_and_writes_every_table(candles, strategy_file, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ("--param", "fast=7", "--leverage", "3", "--fill", "next_open", "--json", "--out", str(out))
    code, printed, complaints = call(capsys, strategy_file(CROSS), *SPAN, *arguments)
    assert (code, complaints) == (0, "")
    facts = json.loads(printed)
    assert facts["status"] == "succeeded"
    assert facts["n_bars"] == 360
    assert facts["n_trades"] == facts["metrics"]["total_trades"] > 0
    assert facts["metrics"]["max_leverage"] == 3
    assert facts["n_orders_rejected"] >= 0
    assert len(facts["result_hash"]) == 64
    for name, n_rows in (("fills", facts["n_fills"]), ("equity", 360), ("orders", facts["n_orders"]), ("trades", None)):
        with open(out / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        table = pq.read_table(out / f"{name}.parquet")
        assert len(rows) == table.num_rows
        assert n_rows is None or len(rows) == n_rows
        assert list(rows[0]) == table.column_names
    assert float(rows[0]["leverage"]) == 3  # of the trades
    assert rows[0]["symbol"] == "BTCUSDT"


def test_without_json_it_prints_for_people(candles, strategy_file, capsys):
    code, printed, _ = call(capsys, strategy_file(CROSS), *SPAN)
    assert code == 0
    assert "cross on BTCUSDT 1h: 360 bars" in printed
    assert "total_return" in printed
    assert "buy and hold" in printed


def test_a_run_that_fails_says_where_and_exits_with_1(candles, strategy_file, capsys):
    file = strategy_file(RAISES)
    code, printed, complaints = call(capsys, file, *SPAN)
    assert (code, printed) == (1, "")
    assert f"Failed (strategy_error): {file}:8: ValueError: no such level" in complaints
    assert 'raise ValueError("no such level")' in complaints
    assert "2025-01-09 04:00" in complaints
    assert "ready" in complaints
    code, printed, _ = call(capsys, file, *SPAN, "--json")
    facts = json.loads(printed)
    assert (code, facts["status"], facts["failure"]["code"], facts["failure"]["line"]) == (
        *(1, "failed", "strategy_error", 8),
    )


def test_a_syntax_error_fails_before_any_process_is_started(candles, strategy_file, capsys, monkeypatch):
    monkeypatch.setattr("backtests.management.foreground.execute", None)
    code, printed, _ = call(
        capsys, strategy_file("class S(Strategy):\n    def on_data(self data): pass"), *SPAN, "--json"
    )
    failure = json.loads(printed)["failure"]
    assert (code, failure["code"], failure["line"]) == (1, "strategy_source", 2)


def test_the_run_can_be_stored_as_a_user_s(candles, strategy_file, capsys, owner):
    code, printed, _ = call(capsys, strategy_file(CROSS), *SPAN, "--json", "--save-for", "OWNER@example.org")
    facts = json.loads(printed)
    run = BacktestRun.objects.get(pk=facts["run"])
    assert (code, run.owner, run.status, run.result_hash) == (0, owner, "succeeded", facts["result_hash"])
    assert run.strategy_version.strategy.name == "cross"
    assert run.summary["metrics"] == facts["metrics"]
    assert reports.load_report(run).result_hash == facts["result_hash"]
    code, printed, _ = call(capsys, strategy_file(RAISES), *SPAN, "--json", "--save-for", owner.email)
    failed = BacktestRun.objects.get(pk=json.loads(printed)["run"])
    assert (code, failed.status, failed.failure_code, failed.failure["line"]) == (1, "failed", "strategy_error", 8)
    assert failed.strategy_version.number == 2  # the same name: the next version


def test_every_setting_has_an_option_and_the_page_s_command_repeats_them(candles, strategy_file, capsys, owner):
    build_candles(timeframe="15m", n_bars=4 * 24 * 31)
    file = strategy_file(CROSS)
    options = ("--intrabar", "15m", "--limit-fill", "through", "--path", "optimistic", "--maker-fee", "0.0001")
    more = ("--max-leverage", "20", "--warmup-bars", "30", "--slippage-bps", "1.5", "--margin-mode", "cross")
    more += ("--participation-cap", "0.25")
    code, printed, _ = call(capsys, file, *SPAN, *options, *more, "--json", "--save-for", owner.email)
    facts = json.loads(printed)
    run = BacktestRun.objects.get(pk=facts["run"])
    asked = {
        name: run.request[name] for name in ("intrabar_timeframe", "limit_fill", "path", "maker_fee", "warmup_bars")
    }
    assert (code, asked) == (0, {"intrabar_timeframe": "15m", "limit_fill": "through", "path": "optimistic",
                                 "maker_fee": 0.0001, "warmup_bars": 30})  # fmt: skip
    report = reports.load_report(run)
    words = shlex.split(write_command(report))
    assert words[:4] == ["python", "manage.py", "run_backtest", "strategy.py"]
    assert [word for word in (*options, *more) if word not in words] == []
    _, printed, _ = call(capsys, file, *words[4:], "--json")
    assert json.loads(printed)["result_hash"] == facts["result_hash"]
    assert isinstance(facts["n_ambiguous_bars"], int)
    assert ("Share of a bar's volume", f"at most 25{NBSP}%") in list_assumptions(report)
    assert ("Path inside a bar", "from 15m candles; in each, favourable extreme first") in list_assumptions(report)
    assert ("BTCUSDT finer candles", "15m, for the path inside a bar") in list_data_facts(report)


def test_finer_candles_decide_whether_a_position_was_liquidated(candles, strategy_file, capsys):
    """With 15m candles the run reads them: their extremes differ from those of the hours."""
    build_candles(timeframe="15m", n_bars=4 * 24 * 31)
    hashes = set()
    for more in ((), ("--intrabar", "15m")):
        code, printed, _ = call(capsys, strategy_file(CROSS), *SPAN, *more, "--leverage", "50", "--json")
        assert code == 0
        hashes.add(json.loads(printed)["result_hash"])
    assert len(hashes) == 2


def test_two_symbols_share_one_account_and_one_may_lack_bars(candles, strategy_file, tmp_path, capsys):
    holes = np.r_[200:230, 300]
    build_candles(symbol="ETHUSDT", missing=holes)
    out = tmp_path / "out"
    code, printed, complaints = call(
        capsys, strategy_file(BOTH), *SPAN, "--symbol", "ETHUSDT", "--json", "--out", str(out)
    )
    facts = json.loads(printed)
    assert (code, complaints, facts["n_bars"]) == (0, "", 360)
    assert "31 candles of ETHUSDT are missing, in 2 stretches" in " ".join(w["message"] for w in facts["warnings"])
    with open(out / "fills.csv", newline="") as file:
        fills = list(csv.DictReader(file))
    assert {fill["symbol"] for fill in fills} == {"BTCUSDT", "ETHUSDT"}
    filled_at = {4 * 24 + int(fill["i_bar"]) for fill in fills if fill["symbol"] == "ETHUSDT"}  # hours of the month
    assert 230 in filled_at  # what was ordered in the gap waited for the next bar
    assert not filled_at & set(holes.tolist())


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (("--market", "moon"), "--market: 'moon' is not one of: spot, usdm"),
        (("--timeframe", "7m"), "--timeframe: '7m' is not a timeframe"),
        (("--symbol", "???"), "--symbol: '???' is not a symbol"),
        (("--from", "yesterday"), "--from: 'yesterday' is not a date"),
        (("--to", "2025-01-01"), "--to: The end must come after the start"),
        (("--to", "2031-01-01"), "held"),
        (("--leverage", "500"), "--leverage: 500 must lie between 1 and 125"),
        (("--initial-balance", "much"), "--initial-balance: 'much' is not a number"),
        (("--fill", "sometimes"), "--fill: 'sometimes' is not one of: close, next_open"),
        (("--param", "fast"), "--param 'fast' is not NAME=VALUE"),
        (("--param", "fast=500"), "--param fast: fast = 500 must be between 2 and 50"),
        (("--param", "speed=1"), "--param speed: The strategy has no parameter 'speed'"),
        (("--save-for", "nobody@example.org"), "--save-for: there is no user nobody@example.org"),
        (("--intrabar", "1m"), "--intrabar: No finer candles of BTCUSDT at 1m are held. BTCUSDT is held at 1h."),
        (("--intrabar", "2h"), "--intrabar: Finer bars must be shorter"),
        (("--margin-mode", "mixed"), "--margin-mode: 'mixed' is not one of: isolated, cross"),
        (("--participation-cap", "2"), "--participation-cap: 2 must lie between"),
        (("--limit-fill", "never"), "--limit-fill: 'never' is not one of: touch, through"),
        (("--path", "random"), "--path: 'random' is not one of: pessimistic, optimistic"),
        (("--slippage-bps", "-1"), "--slippage-bps: -1 must lie between"),
    ],
)
def test_a_bad_argument_is_named_with_what_would_do(candles, strategy_file, changed, text):
    arguments = list(SPAN)
    if changed[0] in arguments:
        arguments[arguments.index(changed[0]) + 1] = changed[1]
    else:
        arguments += changed
    assert text in refusal(strategy_file(CROSS), *arguments)


def test_a_file_that_is_no_source_is_refused(candles, strategy_file, tmp_path):
    assert "cannot be read: No such file" in refusal(str(tmp_path / "nothing.py"), *SPAN)
    assert "cannot be read: Is a directory" in refusal(str(tmp_path), *SPAN)
    assert "is not UTF-8 text" in refusal(strategy_file(b"x = '\xff'"), *SPAN)
    assert "bytes; 200,000 are allowed" in refusal(strategy_file("#" * 300_000), *SPAN)


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(candles, strategy_file):
    file = strategy_file(CROSS)
    assert "--out: " in refusal(file, *SPAN, "--out", f"{file}/out")
