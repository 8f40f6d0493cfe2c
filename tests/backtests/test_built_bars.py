"""Runs on bars that are built: the same as on held ones, from page, API and command, and each says from what."""

import json
from dataclasses import asdict
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command

from backtests import services, tasks
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.presentation.facts import list_data_facts
from backtests.reports import load_bars, load_report
from backtests.runner.feed import build_feed
from marketdata.home import candle_store
from marketdata.models import Series
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import resolve_run_data
from tests.builders import build_candles, build_version
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

HOUR = 3_600_000
DAY = 24 * HOUR
CROSS = """
class Cross(Strategy):
    def initialize(self):
        self.a = self.indicator(ta.sma, "close", length=5)
        self.b = self.indicator(ta.sma, "close", length=20)

    def on_data(self, data):
        if crossed_above(self.a, self.b):
            self.buy(equity_ratio=0.9, stop_loss=data.close * 0.99)
        elif crossed_below(self.a, self.b):
            self.close_position()
"""


def hold(rows, timeframe, symbol="BTCUSDT", kind="trade"):
    key = SeriesKey("usdm", symbol, kind, timeframe)
    store_rows(candle_store(), key, [(Source("made", "0" * 64, len(rows)), rows)])


def feed_of(**change):
    raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-05", "to": "2025-01-20"}
    request = RunRequest.parse({**raw, **change})
    data = resolve_run_data(
        request.market,
        request.symbols,
        request.timeframe,
        request.from_ms,
        request.to_ms,
        request.warmup_bars,
        intrabar_timeframe=request.intrabar_timeframe,
    )
    return data, build_feed(data, request, candle_store())


def columns_of(bars):
    return {name: column.tolist() for name, column in asdict(bars).items()}


def test_built_bars_are_the_held_ones():
    minutes = make_candles(31 * 1440, "1m")
    hold(minutes, "1m")
    built_data, built = feed_of(warmup_bars=30)
    Series.objects.all().delete()
    in_hours = {name: column.reshape(-1, 60) for name, column in minutes.columns().items()}
    hold(
        type(minutes)(
            open_ms=in_hours["open_ms"][:, 0],
            open=in_hours["open"][:, 0],
            high=in_hours["high"].max(axis=1),
            low=in_hours["low"].min(axis=1),
            close=in_hours["close"][:, -1],
            volume=in_hours["volume"].sum(axis=1),
            quote_volume=in_hours["quote_volume"].sum(axis=1),
            n_trades=in_hours["n_trades"].sum(axis=1),
            taker_buy_volume=in_hours["taker_buy_volume"].sum(axis=1),
        ),
        "1h",
    )
    held_data, held = feed_of(warmup_bars=30)
    assert (built_data.symbols[0].source_timeframe, held_data.symbols[0].source_timeframe) == ("1m", "1h")
    assert columns_of(built.symbols[0].bars) == columns_of(held.symbols[0].bars)
    assert len(built.symbols[0].bars) == 15 * 24 + 30


def test_finer_bars_and_marks_go_with_built_bars():
    hold(make_candles(31 * 1440, "1m"), "1m")
    hold(make_candles(31 * 1440, "1m"), "1m", kind="mark")
    hold(make_funding(93), "", kind="funding")
    _, feed = feed_of(timeframe="4h", intrabar_timeframe="15m")
    symbol = feed.symbols[0]
    assert (len(symbol.bars), len(symbol.fine_bars), len(symbol.mark_bars)) == (15 * 6, 15 * 96, 15 * 1440)
    assert symbol.fine_bars.high[:16].max() == symbol.bars.high[0]
    assert symbol.fine_bars.volume[:16].sum() == symbol.bars.volume[0]
    assert len(symbol.funding) == 45
    with pytest.raises(ValueError, match="read-only"):
        symbol.bars.close[0] = 1.0


def test_a_bar_that_is_not_wholly_held_never_reaches_the_engine():
    hold(make_candles(20 * 1440, "1m"), "1m")  # to Tuesday, the 21st
    data, feed = feed_of(timeframe="1w", **{"from": "2025-01-01", "to": "2025-01-21"})
    assert [(stamp - JANUARY_MS) // DAY for stamp in feed.symbols[0].bars.open_ms.tolist()] == [5, 12]
    assert "cut_bars" in [warning.code for warning in data.warnings]


def test_a_bar_without_any_trade_stays_one():
    rows = make_candles(31 * 1440, "1m")
    volume = np.where(
        (rows.open_ms >= JANUARY_MS + 6 * DAY) & (rows.open_ms < JANUARY_MS + 6 * DAY + HOUR), 0, rows.volume
    )
    columns = rows.columns() | {"volume": volume}
    hold(type(rows)(**columns), "1m")
    data, feed = feed_of()
    bars = feed.symbols[0].bars
    assert bars.open_ms[bars.volume == 0].tolist() == [JANUARY_MS + 6 * DAY]
    assert "1 bars of BTCUSDT are without trades" in next(w.message for w in data.warnings if w.code == "no_trade_bars")


def test_bars_that_hold_an_outage_are_counted():
    rows = make_candles(31 * 1440, "1m")
    is_idle = (rows.open_ms >= JANUARY_MS + 6 * DAY + HOUR // 2) & (rows.open_ms < JANUARY_MS + 6 * DAY + 3 * HOUR)
    hold(type(rows)(**rows.columns() | {"volume": np.where(is_idle, 0.0, rows.volume)}), "1m")
    data, _ = feed_of()
    said = {warning.code: warning.message for warning in data.warnings}
    assert said["no_trade_bars"].startswith("2 bars of BTCUSDT")
    assert said["part_idle_bars"] == "1 bars of BTCUSDT hold 1m candles without trades."


def test_symbols_built_from_different_series_share_a_timeline():
    hold(make_candles(31 * 1440, "1m"), "1m")
    hold(make_candles(31 * 288, "5m", price=50.0), "5m", "ETHUSDT")
    data, feed = feed_of(symbols=["BTCUSDT", "ETHUSDT"], symbol=None)
    assert [symbol.source_timeframe for symbol in data.symbols] == ["1m", "5m"]
    assert feed.symbols[0].bars.open_ms.tolist() == feed.symbols[1].bars.open_ms.tolist()


@pytest.mark.django_db(transaction=True)  # the run's heartbeat looks at its row from a thread
def test_page_api_and_command_say_what_the_bars_are_built_from(owner, owner_client, tmp_path, capsys):
    build_candles(timeframe="15m", n_bars=31 * 96)
    version = build_version(owner, CROSS)
    raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-05", "to": "2025-01-20"}
    run = services.request_run(owner, {**raw, "intrabar_timeframe": "30m"}, strategy_version=version)
    tasks.run_backtest(str(run.id))
    run = BacktestRun.objects.get(pk=run.pk)
    assert run.status == "succeeded", run.failure
    facts = dict(list_data_facts(load_report(run)))
    assert facts["BTCUSDT bars"] == "1h bars built from 15m candles"
    assert facts["BTCUSDT finer candles"] == "30m built from 15m candles, for the path inside a bar"
    assert "1h bars built from 15m candles" in owner_client.get(f"/runs/{run.id}/?tab=reproducibility").content.decode()
    expected = {"symbol": "BTCUSDT", "series": "BTCUSDT USD-M futures Last price 15m", "built_from": "15m"}
    assert owner_client.get(f"/api/v1/backtests/{run.id}/").json()["summary"]["sources"] == [expected]
    bars = load_bars(load_report(run))  # what the chart draws
    assert set(np.diff(bars.open_ms).tolist()) == {HOUR}
    assert len(bars) == 15 * 24

    file = tmp_path / "cross.py"
    file.write_text(CROSS)
    call_command("run_backtest", str(file), *(f"--{name}={value}" for name, value in raw.items()))
    out = capsys.readouterr().out
    assert "BTCUSDT: 1h bars built from 15m candles (BTCUSDT USD-M futures Last price 15m)" in out


@pytest.mark.parametrize("timeframe", ["1h", "4h"])
def test_a_month_of_the_exchange_gives_the_same_result_built_or_held(shared_data, tmp_path, settings, timeframe):
    """January 2025: the exchange's 5m candles alone, and its longer ones alone."""
    file = tmp_path / "cross.py"
    file.write_text(CROSS)
    results = []
    for held in ("5m", timeframe):
        settings.HOME = tmp_path / held
        Series.objects.all().delete()
        folder = shared_data / "binance/futures/BTCUSDT" / held
        call_command("import_candles", str(folder), "--json", stdout=StringIO())
        out = StringIO()
        options = ("--market=usdm", "--symbol=BTCUSDT", "--from=2025-01-03", "--to=2025-01-31", "--json")
        call_command("run_backtest", str(file), f"--timeframe={timeframe}", *options, stdout=out)
        results.append(json.loads(out.getvalue()))
    built, own = results
    assert (built["sources"][0]["built_from"], own["sources"][0]["built_from"]) == ("5m", None)
    assert built["n_fills"] > 5
    for name in ("result_hash", "n_fills", "final_equity", "metrics"):
        assert built[name] == own[name]
