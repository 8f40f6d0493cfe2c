import base64
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.charts import ChartView, detail, draw_run
from backtests.charts.detail import format_duration, merge_bars, thin_points
from backtests.engine.kernels.types import ExitReason
from backtests.engine.request import Bars
from backtests.run_report import BENCHMARK, POINT, DrawnSeries
from tests.metrics.result_rows import bars_of, request_of, result_of, trade_rows_of

START_MS = 1_735_689_600_000


def walk(n, seed=1):
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def report_of(n_bars, trades=None, timeframe="1h"):
    """The part of a report that a chart needs."""
    request = request_of(n_bars, timeframe)
    bars = bars_of(walk(n_bars), request)
    result = result_of(walk(n_bars, 2) * 100, request, trades=trades)
    held = np.zeros(n_bars, BENCHMARK)
    held["time_ms"], held["equity"] = result.equity["time_ms"], walk(n_bars, 3) * 100
    indicators = np.zeros(n_bars, [("time_ms", "i8"), ("c0", "f8")])
    indicators["time_ms"], indicators["c0"] = result.equity["time_ms"], np.where(np.arange(n_bars) < 5, np.nan, 100.0)
    report = SimpleNamespace(
        request=request,
        initial_balance=request.initial_balance,
        drawn=(DrawnSeries("sma", "price", column="c0"), DrawnSeries("mine", "own pane", i_series=0)),
        tables={
            "trades": result.trades,
            "equity": result.equity,
            "benchmark": held,
            "indicators": indicators,
            "points": np.zeros(0, POINT),
        },
    )
    return report, bars


def draw(n_bars, trades=None, px=1200, **view):
    report, bars = report_of(n_bars, trades)
    span = {"from_ms": report.request.from_ms, "to_ms": report.request.to_ms, **view}
    return json.loads(json.dumps(draw_run(report, bars, ChartView(px=px, **span)))), report


def read(array):
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])
    return np.array(array)


def trace(answer, name):
    return next(found for found in answer["figure"]["data"] if found["name"] == name)


@given(st.integers(1, 3_000), st.integers(60, 1_200), st.sampled_from(["1m", "5m", "1h", "1d"]))
def test_merged_candles_keep_the_extremes_the_volume_and_both_ends(n_bars, max_candles, timeframe):
    request = request_of(n_bars, timeframe)
    bars = bars_of(walk(n_bars), request)
    candles = merge_bars(bars, request.timeframe_ms, max_candles)
    assert 1 <= len(candles) <= max_candles
    assert candles.high.max() == bars.high.max()
    assert candles.low.min() == bars.low.min()
    assert candles.volume.sum() == pytest.approx(bars.volume.sum())
    assert (candles.open[0], candles.close[-1]) == (bars.open[0], bars.close[-1])
    assert (np.diff(candles.open_ms) > 0).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()


def test_few_bars_are_drawn_as_they_are():
    request = request_of(100)
    bars = bars_of(walk(100), request)
    candles = merge_bars(bars, request.timeframe_ms, 1_200)
    assert candles.bucket_ms == request.timeframe_ms
    assert (candles.close == bars.close).all()


def test_buckets_have_round_lengths_on_the_utc_grid():
    request = request_of(10_000, "5m")
    candles = merge_bars(bars_of(walk(10_000), request), 300_000, 400)
    assert format_duration(candles.bucket_ms) == "3 h"
    assert (candles.open_ms[1:] % candles.bucket_ms == 0).all()


def test_bars_with_gaps_are_merged_by_time_not_by_count():
    request = request_of(2_000, "1m")
    bars = bars_of(walk(2_000), request)
    kept = np.r_[0:500, 1500:2000]
    gapped = Bars(*(getattr(bars, name)[kept] for name in ("open_ms", "open", "high", "low", "close", "volume")))
    candles = merge_bars(gapped, 60_000, 100)
    assert len(candles) <= 100
    assert candles.volume.sum() == 1_000


@given(st.integers(2, 20_000), st.lists(st.integers(0, 1), max_size=2))
def test_thinned_points_keep_both_ends_and_what_must_be_kept(n, picks):
    x, y = np.arange(n, dtype=np.int64), walk(n)
    keep = [int(np.argmin(y)) if pick else n // 2 for pick in picks]
    kept = thin_points(x, y, keep, max_points=500)
    assert len(kept) <= 500
    assert {0, n - 1, *keep} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_a_year_of_minutes_stays_small():
    answer, _ = draw(100_000)
    assert len(read(trace(answer, "BTCUSDT")["x"])) <= detail.MAX_CANDLES
    for name in ("Strategy", "Buy and hold", "Drawdown", "sma"):
        assert len(read(trace(answer, name)["x"])) <= detail.MAX_POINTS
    assert len(json.dumps(answer)) < 300_000


def test_the_deepest_drawdown_and_the_last_point_are_always_drawn():
    answer, report = draw(50_000)
    equity = report.tables["equity"]["margin_balance"]
    depth = equity / np.maximum(np.maximum.accumulate(equity), report.initial_balance) - 1
    assert read(trace(answer, "Drawdown")["y"]).min() == depth.min()
    assert read(trace(answer, "Strategy")["y"])[-1] == equity[-1]
    assert read(trace(answer, "Strategy")["x"])[-1] == report.tables["equity"]["time_ms"][-1]


def test_drawdown_in_a_zoomed_view_is_still_that_of_the_whole_run():
    report, bars = report_of(1_000)
    equity = report.tables["equity"]["margin_balance"]
    from_ms = report.request.from_ms + 500 * 3_600_000
    answer = draw_run(report, bars, ChartView(from_ms, report.request.to_ms))
    drawn = next(found for found in answer["figure"]["data"] if found["name"] == "Drawdown")
    depth = equity / np.maximum(np.maximum.accumulate(equity), report.initial_balance) - 1
    assert read(drawn["y"])[-1] == depth[-1]


def test_up_to_120_trades_are_marked_and_more_become_a_strip_and_a_sentence():
    marked, _ = draw(300, trade_rows_of([1.0] * 120))
    assert marked["note"] == "120 trades in view."
    assert len(read(trace(marked, "Long entry")["x"])) == 120
    strip, _ = draw(300, trade_rows_of([1.0] * 121))
    assert strip["note"].startswith("121 trades in view. Zoom in")
    assert not any(found["name"] == "Long entry" for found in strip["figure"]["data"])
    assert read(trace(strip, "Entries")["y"]).sum() == 121


def test_a_narrow_screen_marks_fewer_trades():
    narrow, _ = draw(300, trade_rows_of([1.0] * 60), px=400)
    assert "40 or fewer" in narrow["note"]


def test_wins_losses_and_liquidations_differ_in_shape_not_only_in_colour():
    trades = trade_rows_of([1.0, -1.0, -5.0, 2.0], side=[1, -1, 1, 1], is_open=(3,))
    trades["exit_reason"][2] = 6
    answer, _ = draw(100, trades)
    symbols = {found["name"]: found["marker"]["symbol"] for found in answer["figure"]["data"] if "marker" in found}
    assert len(set(symbols.values())) == len(symbols) == 5
    assert "PnL +1.00" in trace(answer, "Exit with a win")["text"][0]


def test_stops_targets_and_trailing_stops_have_marks_of_their_own():
    trades = trade_rows_of([1.0, -1.0] * 6)
    trades["exit_reason"] = np.repeat([ExitReason.ORDER, ExitReason.FLIP, *list(ExitReason)[2:5], 6], 2)
    trades["is_ambiguous"][4] = True
    answer, _ = draw(100, trades)
    marks = {found["name"]: found["marker"]["symbol"] for found in answer["figure"]["data"] if "text" in found}
    assert set(marks) == {"Long entry", "Liquidation"} | {
        f"{exit_} with a {end}"
        for exit_ in ("Exit", "Stop loss", "Take profit", "Trailing stop")
        for end in ("win", "loss")
    }
    assert len(set(marks.values())) == len(marks)
    assert [len(read(trace(answer, name)["x"])) for name in ("Exit with a win", "Stop loss with a win")] == [2, 1]
    assert "ambiguous bar" in trace(answer, "Stop loss with a win")["text"][0]


def test_trades_of_other_symbols_are_counted_not_drawn():
    trades = trade_rows_of([1.0] * 5)
    trades["i_symbol"][3:] = 1
    answer, _ = draw(100, trades)
    assert answer["note"] == "3 trades in view. 2 of other symbols are in the Trades tab."


def test_trades_outside_the_view_are_not_counted():
    hour = 3_600_000
    answer, _ = draw(100, trade_rows_of([1.0] * 50), from_ms=START_MS + 80 * hour, to_ms=START_MS + 90 * hour)
    assert answer["note"] == "No trade in view."


def test_an_indicator_starts_where_it_has_values_and_plots_have_a_pane_of_their_own():
    answer, _ = draw(100)
    assert len(read(trace(answer, "sma")["x"])) == 95
    assert trace(answer, "sma")["yaxis"] == "y"
    assert trace(answer, "mine")["yaxis"] == "y2"
    assert any(note["text"] == "own pane" for note in answer["figure"]["layout"]["annotations"])


def test_colours_are_left_to_the_page():
    answer, _ = draw(100, trade_rows_of([1.0, -1.0]))
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb", json.dumps(answer["figure"]["layout"]))
    assert all(found["meta"]["role"] for found in answer["figure"]["data"])


def test_a_strategy_s_texts_reach_the_chart_as_text():
    report, bars = report_of(50)
    report.drawn = (DrawnSeries("<img src=x>", "price", column="c0"),)
    answer = draw_run(report, bars, ChartView(report.request.from_ms, report.request.to_ms))
    assert all("<img" not in str(found.get("name")) for found in answer["figure"]["data"])


@pytest.mark.parametrize(
    ("ms", "text"),
    [(60_000, "1 min"), (5_400_000, "90 min"), (14_400_000, "4 h"), (172_800_000, "2 d"), (1_500, "1.5 s")],
)
def test_durations_in_words(ms, text):
    assert format_duration(ms) == text
