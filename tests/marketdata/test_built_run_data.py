"""Runs whose bars are built: which series wins, what is pinned, and what a reader is told."""

from dataclasses import replace

import numpy as np
import pytest

from marketdata.home import candle_store
from marketdata.models import Series
from marketdata.reading import read_timeframe
from marketdata.run_data import RunData
from marketdata.samples import make_sample
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import DataUnavailable, resolve_run_data
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAME_MS, builds, next_open_ms
from tests.marketdata.candle_makers import JANUARY_MS, make_candles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

END_MS = JANUARY_MS + 31 * DAY_MS


def hold(rows, timeframe, symbol="BTCUSDT", market="spot", kind="trade"):
    key = SeriesKey(market, symbol, kind, timeframe)
    store_rows(candle_store(), key, [(Source("made", "0" * 64, len(rows)), rows)])


def resolve(timeframe="1h", from_ms=JANUARY_MS, to_ms=END_MS, market="spot", symbols=("BTCUSDT",), **kwargs):
    return resolve_run_data(market, symbols, timeframe, from_ms, to_ms, **kwargs)


def refuse(*args, **kwargs):
    with pytest.raises(DataUnavailable) as error:
        resolve(*args, **kwargs)
    return error.value.field, error.value.code, error.value.message


def opens(run_data, from_ms, to_ms):
    [symbol] = run_data.symbols
    return read_timeframe(candle_store(), symbol.bar_files, ("open_ms",), from_ms, to_ms).columns["open_ms"]


def codes(run_data):
    return [warning.code for warning in run_data.warnings]


@pytest.fixture
def minutes():
    rows = make_candles(31 * 1440, "1m")
    hold(rows, "1m")
    return rows


@pytest.mark.parametrize("timeframe", TIMEFRAME_MS)
def test_every_timeframe_runs_from_minutes_alone(minutes, timeframe):
    run_data = resolve(timeframe)
    [symbol] = run_data.symbols
    assert (symbol.timeframe, symbol.source_timeframe) == (timeframe, "1m")
    assert symbol.series_name == "BTCUSDT Spot Last price 1m"
    found = opens(run_data, JANUARY_MS, END_MS)
    first = next_open_ms(timeframe, JANUARY_MS)
    assert found.tolist() == list(range(first, END_MS - TIMEFRAME_MS[timeframe] + 1, TIMEFRAME_MS[timeframe]))
    assert symbol.n_rows_in_span == len(found)
    assert symbol.gaps == ()
    assert codes(run_data) == (["cut_bars"] if timeframe in ("3d", "1w") else [])


def test_the_finest_whole_series_wins(minutes):
    hold(make_candles(31 * 24), "1h")
    hold(make_candles(31 * 288, "5m"), "5m")
    assert [resolve(t).symbols[0].source_timeframe for t in ("1m", "3m", "5m", "1h", "1d")] == ["1m"] * 5
    Series.objects.get(timeframe="1m").delete()
    assert [resolve(t).symbols[0].source_timeframe for t in ("5m", "15m", "1h")] == ["5m"] * 3
    assert refuse("3m")[:2] == ("timeframe", "no_such_series")


def test_a_series_that_lacks_a_candle_loses_to_a_coarser_whole_one():
    rows = make_candles(31 * 1440, "1m")
    hold(rows.take(np.arange(len(rows)) != 5_000), "1m")
    hold(make_candles(31 * 24), "1h")
    assert resolve("1h").symbols[0].source_timeframe == "1h"
    assert resolve("1h", from_ms=JANUARY_MS + 5 * DAY_MS).symbols[0].source_timeframe == "1m"  # after the gap
    run_data = resolve("15m")  # nothing whole fits
    assert run_data.symbols[0].source_timeframe == "1m"
    assert codes(run_data) == ["incomplete_bars"]
    assert "1 15m bars of BTCUSDT lack some of their 1m candles" in run_data.warnings[0].message


def test_a_gap_that_every_series_has_costs_the_finest_nothing():
    minutes, hours = make_candles(31 * 1440, "1m"), make_candles(31 * 24)
    hold(minutes.take((minutes.open_ms < JANUARY_MS + 3 * DAY_MS) | (minutes.open_ms >= JANUARY_MS + 5 * DAY_MS)), "1m")
    hold(hours.take((hours.open_ms < JANUARY_MS + 3 * DAY_MS) | (hours.open_ms >= JANUARY_MS + 5 * DAY_MS)), "1h")
    run_data = resolve("4h")
    assert run_data.symbols[0].source_timeframe == "1m"
    assert run_data.symbols[0].gaps == ((JANUARY_MS + 3 * DAY_MS, JANUARY_MS + 5 * DAY_MS),)
    assert codes(run_data) == ["gaps"]


def test_warm_up_that_only_a_coarser_series_holds_makes_it_win():
    hold(make_candles(31 * 1440, "1m"), "1m")
    hold(make_candles(62 * 24, "1h", JANUARY_MS - 31 * DAY_MS), "1h")
    assert resolve("1h").symbols[0].source_timeframe == "1m"
    run_data = resolve("1h", warmup_bars=50)
    assert run_data.symbols[0].source_timeframe == "1h"
    assert codes(run_data) == []


def test_a_span_that_no_series_covers_is_told_what_could_be_built(minutes):
    field, code, message = refuse("1h", JANUARY_MS - DAY_MS, END_MS)
    assert (field, code) == ("from", "span_not_covered")
    assert "1h, built from 1m candles, is held from 2025-01-01 00:00 to 2025-02-01 00:00 (UTC)" in message
    assert refuse("1h", JANUARY_MS, END_MS + 1)[:2] == ("to", "span_not_covered")


def test_bars_that_begin_before_or_end_after_what_is_held_are_left_out():
    rows = make_candles(31 * 1440, "1m")
    hold(rows.take(slice(30, -30)), "1m")  # from 00:30 on the first to 23:30 on the last day
    from_ms, to_ms = JANUARY_MS + 30 * MINUTE_MS, END_MS - 30 * MINUTE_MS
    run_data = resolve("1h", from_ms, to_ms)
    found = opens(run_data, from_ms, to_ms)
    assert (found[0], found[-1]) == (JANUARY_MS + HOUR_MS, END_MS - 2 * HOUR_MS)
    assert run_data.symbols[0].n_rows_in_span == len(found) == 31 * 24 - 2
    assert codes(run_data) == ["cut_bars"]
    assert "a part of 1 1h bars" in run_data.warnings[0].message  # the one before opens before the span


def test_a_span_that_ends_inside_a_bar_has_the_whole_bar(minutes):
    to_ms = JANUARY_MS + 10 * HOUR_MS + 1
    run_data = resolve("1h", JANUARY_MS + 1, to_ms)
    built = read_timeframe(candle_store(), run_data.symbols[0].bar_files, ("open_ms",), JANUARY_MS + 1, to_ms)
    assert built.columns["open_ms"].tolist() == [JANUARY_MS + h * HOUR_MS for h in range(1, 11)]
    assert set(built.n_rows.tolist()) == {60}


def test_a_span_within_one_bar_has_no_bars(minutes):
    assert refuse("1w", JANUARY_MS, JANUARY_MS + DAY_MS)[:2] == ("from", "no_candles")


def test_weeks_are_joined_across_months():
    hold(make_candles(59 * 1440, "1m"), "1m")
    run_data = resolve("1w", JANUARY_MS, JANUARY_MS + 59 * DAY_MS)
    [symbol] = run_data.symbols
    assert [ref.n_rows for ref in symbol.candles] == [31 * 1440, 28 * 1440]
    built = read_timeframe(candle_store(), symbol.bar_files, ("open_ms", "volume"), JANUARY_MS, END_MS)
    assert built.n_rows.tolist() == [7 * 1440] * 4  # the last of them goes into February
    volume = make_candles(59 * 1440, "1m").volume
    first = 5 * 1440
    assert built.columns["volume"].tolist() == [volume[first + k * 10_080 :][:10_080].sum() for k in range(4)]


def test_the_month_after_is_pinned_where_it_says_that_a_bar_is_whole():
    rows = make_candles(62 * 1440, "1m")
    in_gap = (rows.open_ms >= END_MS - HOUR_MS) & (rows.open_ms < END_MS + 5 * DAY_MS)
    hold(rows.take(~in_gap), "1m")  # the week from January 27 ends in the gap
    run_data = resolve("1w", JANUARY_MS, END_MS)
    [symbol] = run_data.symbols
    assert len(symbol.candles) == 2
    assert opens(run_data, JANUARY_MS, END_MS)[-1] == END_MS - 5 * DAY_MS
    assert codes(run_data) == ["incomplete_bars"]


def test_the_revision_names_what_the_bars_are_built_from(minutes):
    plain = resolve("1m")
    assert len({resolve(t).data_revision for t in ("1m", "5m", "1h")}) == 3
    hold(make_candles(1440, "1m", JANUARY_MS, price=200.0), "1m")
    assert resolve("1m").data_revision != plain.data_revision
    assert RunData.from_json(resolve("1h").to_json()) == resolve("1h")


def test_finer_bars_come_from_the_series_of_the_bars(minutes):
    hold(make_candles(31 * 96, "15m"), "15m")
    run_data = resolve("1h", intrabar_timeframe="15m")
    [symbol] = run_data.symbols
    assert (symbol.source_timeframe, symbol.fine_source_timeframe) == ("1m", "1m")
    assert symbol.fine == symbol.candles
    assert codes(run_data) == []
    assert refuse("5m", intrabar_timeframe="7m")[:2] == ("intrabar_timeframe", "no_such_series")


def test_finer_bars_that_do_not_fit_come_from_another_series():
    hold(make_candles(31 * 480, "3m"), "3m")
    hold(make_candles(31 * 288, "5m"), "5m")
    [symbol] = resolve("15m", intrabar_timeframe="5m").symbols
    assert (symbol.source_timeframe, symbol.fine_source_timeframe) == ("3m", "5m")


def test_rows_off_the_grid_are_in_no_bar_and_said(minutes):
    rows = make_candles(31 * 1440, "1m", price=300.0)
    open_ms = rows.open_ms.copy()
    open_ms[100] += 30_000
    hold(
        replace(rows, open_ms=open_ms, high=np.where(np.arange(len(rows)) == 100, 9_999.0, rows.high)), "1m", "ETHUSDT"
    )
    run_data = resolve("1h", symbols=("ETHUSDT",))
    assert codes(run_data) == ["incomplete_bars", "off_grid"]
    assert "open off the 1m grid" in run_data.warnings[1].message
    files = run_data.symbols[0].bar_files
    assert read_timeframe(candle_store(), files, ("open_ms", "high"), JANUARY_MS, END_MS).columns["high"].max() < 9_999


def test_the_exchanges_candles_are_built_before_synthetic_ones_are_read(minutes):
    make_sample()
    hold(make_candles(31 * 24, "1h"), "1h", market="usdm")
    run_data = resolve("1h", market="usdm", funding=False)
    assert not run_data.is_synthetic
    synthetic = resolve("30m", market="usdm", funding=False)
    assert synthetic.is_synthetic
    assert synthetic.symbols[0].source_timeframe == "1m"


def test_two_symbols_may_be_built_from_different_series(minutes):
    hold(make_candles(31 * 288, "5m"), "5m", "ETHUSDT")
    run_data = resolve("1h", symbols=("BTCUSDT", "ETHUSDT"))
    assert [symbol.source_timeframe for symbol in run_data.symbols] == ["1m", "5m"]


def test_marks_as_fine_as_the_source_serve_built_bars(minutes):
    hold(minutes, "1m", market="usdm")
    hold(minutes, "1m", market="usdm", kind="mark")
    [symbol] = resolve("1h", market="usdm", funding=False).symbols
    assert (symbol.source_timeframe, symbol.mark_timeframe) == ("1m", "1m")


def test_what_builds_what():
    assert [t for t in TIMEFRAME_MS if builds(t, "1w")] == [t for t in TIMEFRAME_MS if t not in ("3d",)]
