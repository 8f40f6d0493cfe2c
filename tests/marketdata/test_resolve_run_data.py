import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest

from marketdata.home import candle_store
from marketdata.instruments import ensure_instrument, load_instruments
from marketdata.models import FilterSet, MarginTierSet
from marketdata.run_data import RunData
from marketdata.samples import make_sample
from marketdata.segments import SeriesKey, Source, store_rows
from marketdata.services import DataUnavailable, resolve_run_data
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

HOUR = 3_600_000
DAY = 24 * HOUR
END_MS = JANUARY_MS + 31 * DAY


def hold(rows, kind="trade", timeframe="1h", symbol="BTCUSDT", market="usdm"):
    key = SeriesKey(market, symbol, kind, timeframe)
    store_rows(candle_store(), key, [(Source("made", "0" * 64, len(rows)), rows)])


def resolve(from_ms=JANUARY_MS + DAY, to_ms=END_MS, market="usdm", symbols=("BTCUSDT",), timeframe="1h", **kwargs):
    return resolve_run_data(market, symbols, timeframe, from_ms, to_ms, **kwargs)


def refuse(*args, **kwargs):
    with pytest.raises(DataUnavailable) as error:
        resolve(*args, **kwargs)
    return error.value.field, error.value.code, error.value.message


@pytest.fixture
def january():
    hold(make_candles(24 * 31))


def codes(run_data):
    return [warning.code for warning in run_data.warnings]


def test_a_held_span_is_pinned_with_its_rules(january):
    run_data = resolve()
    [symbol] = run_data.symbols
    assert symbol.n_rows_in_span == 30 * 24
    assert (symbol.gaps, symbol.timeframe, symbol.rules.tiers_as_of) == ((), "1h", "2024-10-01")
    assert [ref.n_rows for ref in symbol.candles] == [744]
    assert codes(run_data) == ["funding_not_held"]
    assert not run_data.is_synthetic


def test_a_run_before_the_first_known_filters_says_so(january):
    filters = FilterSet.objects.filter(instrument__market="usdm", instrument__symbol="BTCUSDT")
    filters.update(valid_from="2025-01-03")  # the span begins a day earlier
    run_data = resolve()
    assert run_data.symbols[0].rules.rules_as_of == "2025-01-03"
    [warning] = [warning for warning in run_data.warnings if warning.code == "filters_after_span"]
    assert "2025-01-03" in warning.message
    filters.update(valid_from="2025-01-02")
    assert "filters_after_span" not in codes(resolve())


def test_run_data_survives_json(january):
    hold(make_funding(93), kind="funding", timeframe="")
    run_data = resolve()
    assert RunData.from_json(json.loads(json.dumps(run_data.to_json()))) == run_data


def test_the_revision_changes_exactly_when_a_file_of_the_span_does(january):
    first = resolve()
    hold(make_candles(24, first_ms=END_MS))  # February: another file
    assert resolve().data_revision == first.data_revision
    assert resolve(data_revision=first.data_revision) == resolve()
    hold(make_candles(24, price=200.0))
    assert resolve().data_revision != first.data_revision
    assert refuse(data_revision=first.data_revision)[:2] == ("data_revision", "data_revised")


def test_an_unknown_symbol_is_told_what_is_held(january):
    field, code, message = refuse(symbols=("ETHUSDT", "XUSDT")[1:])
    assert (field, code) == ("symbols", "unknown_symbol")
    assert "BTCUSDT" in message


def test_another_timeframe_is_told_which_are_held(january):
    field, code, message = refuse(timeframe="5m")
    assert (field, code) == ("timeframe", "no_such_series")
    assert "held at 1h" in message
    assert refuse(timeframe="7m")[:2] == ("timeframe", "no_such_series")
    load_instruments()
    assert refuse(symbols=("ETHUSDT",))[1] == "no_such_series"


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "field"),
    [(JANUARY_MS - 1, END_MS, "from"), (JANUARY_MS, END_MS + 1, "to"), (END_MS, END_MS + DAY, "from")],
)
def test_a_span_beyond_what_is_held_is_told_the_bounds(january, from_ms, to_ms, field):
    given, code, message = refuse(from_ms, to_ms)
    assert (given, code) == (field, "span_not_covered")
    assert "from 2025-01-01 00:00 to 2025-02-01 00:00" in message


def test_gaps_off_grid_rows_and_bars_without_trades_are_warnings():
    candles = make_candles(24 * 31)
    open_ms, volume = candles.open_ms.copy(), candles.volume.copy()
    open_ms[100] += 1_000
    volume[200] = 0
    hold(replace(candles, open_ms=open_ms, volume=volume).take(np.delete(np.arange(744), [300, 301])))
    run_data = resolve(from_ms=JANUARY_MS)
    [symbol] = run_data.symbols
    hours = [(start - JANUARY_MS) // HOUR for start, _ in symbol.gaps]
    assert hours == [100, 300]
    assert symbol.n_rows_in_span == 744 - 3
    assert codes(run_data) == ["gaps", "off_grid", "no_trade_bars", "funding_not_held"]
    assert "3 candles of BTCUSDT are missing, in 2 stretches" in run_data.warnings[0].message


def test_a_span_that_lies_inside_a_gap_has_no_candles():
    hold(make_candles(24 * 31).take(np.delete(np.arange(744), np.arange(24, 72))))
    assert refuse(JANUARY_MS + DAY, JANUARY_MS + 2 * DAY)[:2] == ("from", "no_candles")


def test_too_little_warm_up_is_a_warning(january):
    run_data = resolve(JANUARY_MS + 2 * HOUR, warmup_bars=5)
    assert "short_warmup" in codes(run_data)
    assert "lacks 3 of the warm-up bars" in next(w.message for w in run_data.warnings if w.code == "short_warmup")
    assert "short_warmup" not in codes(resolve(JANUARY_MS + 5 * HOUR, warmup_bars=5))


def test_funding_that_covers_the_span_gives_no_warning(january):
    hold(make_funding(93), kind="funding", timeframe="")
    assert codes(resolve()) == []
    assert len(resolve().symbols[0].funding) == 1
    assert resolve(funding=False).symbols[0].funding == ()


@pytest.mark.parametrize("kept", [slice(10, 93), slice(0, 80)], ids=["starts late", "ends early"])
def test_funding_that_covers_a_part_says_which(january, kept):
    hold(make_funding(93).take(kept), kind="funding", timeframe="")
    run_data = resolve()
    assert codes(run_data) == ["funding_partly_held"]
    assert run_data.symbols[0].funding


def test_a_hole_in_the_funding_is_said(january):
    hold(make_funding(93).take(np.delete(np.arange(93), 50)), kind="funding", timeframe="")
    assert codes(resolve()) == ["funding_partly_held"]


def test_the_finest_mark_prices_that_fill_every_bar_are_taken(january):
    hold(make_candles(93, "8h"), kind="mark", timeframe="8h")
    assert resolve().symbols[0].mark_timeframe == "8h"  # nothing better prices the funding
    hold(make_candles(24 * 31), kind="mark", timeframe="1h")
    assert resolve().symbols[0].mark_timeframe == "1h"
    quarters = make_candles(4 * 24 * 31, "15m")
    hold(quarters.take(np.delete(np.arange(len(quarters)), 1_000)), kind="mark", timeframe="15m")
    assert resolve().symbols[0].mark_timeframe == "1h"  # a quarter is missing
    hold(quarters, kind="mark", timeframe="15m")
    assert resolve().symbols[0].mark_timeframe == "15m"
    assert "mark_partly_held" not in codes(resolve())


def test_marks_that_cover_a_part_of_the_bars_are_a_warning(january):
    hold(make_candles(24 * 10), kind="mark")
    run_data = resolve()
    assert run_data.symbols[0].mark_timeframe == "1h"
    assert "for 216 of 720 bars only" in next(w.message for w in run_data.warnings if w.code == "mark_partly_held")


@pytest.fixture
def quarters(january):
    rows = make_candles(4 * 24 * 31, "15m")
    hold(rows, timeframe="15m")
    return rows


def test_finer_candles_of_the_span_are_pinned(quarters):
    plain, run_data = resolve(warmup_bars=5), resolve(warmup_bars=5, intrabar_timeframe="15m")
    [symbol] = run_data.symbols
    assert (symbol.timeframe, symbol.fine_timeframe) == ("1h", "15m")
    assert [ref.n_rows for ref in symbol.fine] == [2_976]
    assert codes(run_data) == codes(plain)
    assert RunData.from_json(json.loads(json.dumps(run_data.to_json()))) == run_data
    assert plain.data_revision != run_data.data_revision


def test_finer_candles_are_in_the_revision_of_the_runs_that_read_them(january, quarters):
    hold(quarters.take(np.arange(len(quarters)) != 400), timeframe="15m", symbol="ETHUSDT")
    hold(make_candles(24 * 31), symbol="ETHUSDT")  # whole, so the bars come from them
    before = [resolve(symbols=("ETHUSDT",), intrabar_timeframe=fine) for fine in (None, "15m")]
    assert [row.symbols[0].source_timeframe for row in before] == ["1h", "1h"]
    revised = replace(quarters, volume=quarters.volume + 1).take(np.arange(len(quarters)) != 400)
    hold(revised, timeframe="15m", symbol="ETHUSDT")
    after = [resolve(symbols=("ETHUSDT",), intrabar_timeframe=fine) for fine in (None, "15m")]
    assert before[0].data_revision == after[0].data_revision
    assert before[1].data_revision != after[1].data_revision


def test_run_data_of_older_versions_still_loads(january):
    raw = resolve().to_json()
    for symbol in raw["symbols"]:
        for name in ("fine", "fine_timeframe", "source_timeframe", "fine_source_timeframe"):
            del symbol[name]
    [old], [new] = RunData.from_json(raw).symbols, resolve().symbols
    assert (old.bar_files, old.fine_files) == (new.bar_files, new.fine_files)


def test_finer_candles_that_are_not_held_are_told_what_is(january):
    field, code, message = refuse(intrabar_timeframe="15m")
    assert (field, code) == ("intrabar_timeframe", "no_such_series")
    assert "BTCUSDT is held at 1h" in message
    hold(make_candles(4 * 24 * 10, "15m"), timeframe="15m")
    field, code, message = refuse(intrabar_timeframe="15m")
    assert (field, code) == ("intrabar_timeframe", "span_not_covered")
    assert "from 2025-01-01 00:00 to 2025-01-11 00:00" in message


def test_bars_that_lack_finer_candles_are_a_warning(january):
    rows = make_candles(4 * 24 * 31, "15m")
    hold(rows.take(np.delete(np.arange(len(rows)), [400, 401, 402, 403, 500])), timeframe="15m")
    run_data = resolve(intrabar_timeframe="15m")
    assert "2 bars of BTCUSDT lack some of their 15m candles" in run_data.warnings[0].message
    assert codes(run_data)[0] == "finer_gaps"


def test_spot_has_neither_mark_nor_funding():
    hold(make_candles(24 * 31), market="spot")
    run_data = resolve(market="spot")
    assert (run_data.symbols[0].mark, run_data.symbols[0].funding, run_data.warnings) == ((), (), ())


def test_futures_without_tiers_cannot_run():
    hold(make_candles(24 * 31), symbol="ABCUSDT")
    assert refuse(symbols=("ABCUSDT",))[:2] == ("symbols", "no_margin_tiers")
    MarginTierSet.objects.create(
        instrument=ensure_instrument("usdm", "ABCUSDT"),
        valid_from=dt.date(2025, 6, 1),
        source="typed in",
        tiers=[{"floor": 0, "cap": 1e9, "maintenance_rate": 0.01, "max_leverage": 20, "cumulative": 0}],
    )
    assert "tiers_after_span" in codes(resolve(symbols=("ABCUSDT",)))


def test_a_damaged_file_is_an_answer_not_a_crash(january):
    [path] = candle_store().files.folder.rglob("*.parquet")
    path.write_bytes(b"damaged")
    assert refuse()[:2] == ("symbols", "data_damaged")


def test_the_exchanges_candles_come_before_synthetic_ones():
    make_sample()
    synthetic = resolve(JANUARY_MS, END_MS, timeframe="1m")
    assert synthetic.is_synthetic
    assert codes(synthetic) == ["synthetic"]
    assert "(synthetic)" in synthetic.symbols[0].series_name
    hold(make_candles(1440 * 31, "1m"), timeframe="1m")
    real = resolve(JANUARY_MS, END_MS, timeframe="1m")
    assert not real.is_synthetic
    assert real.symbols[0].candles != synthetic.symbols[0].candles
    assert real.symbols[0].funding == ()  # synthetic funding never mixes with real candles


def test_two_symbols_are_pinned_in_the_order_asked(january):
    hold(make_candles(24 * 31, price=50.0), symbol="ETHUSDT")
    run_data = resolve(symbols=("ETHUSDT", "BTCUSDT"))
    assert [symbol.rules.symbol for symbol in run_data.symbols] == ["ETHUSDT", "BTCUSDT"]
    assert run_data.data_revision != resolve(symbols=("BTCUSDT", "ETHUSDT")).data_revision
