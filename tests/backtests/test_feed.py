from dataclasses import replace

import numpy as np
import pytest

from backtests.engine.errors import DataError
from backtests.engine.request import RunRequest
from backtests.runner.feed import build_feed
from marketdata.rules import InstrumentRules, TierRow
from marketdata.run_data import RunData, SymbolData
from marketdata.store import CandleStore
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, make_funding

HOUR = 3_600_000
RULES = InstrumentRules(
    market="usdm",
    symbol="BTCUSDT",
    tick_size=0.1,
    step_size=0.001,
    min_qty=0.001,
    min_notional=10.0,
    liquidation_fee_rate=0.012,
    rules_as_of="2022-02-18",
    tiers=(TierRow(0, 50_000, 0.004, 125, 0), TierRow(50_000, 600_000, 0.005, 100, 50)),
    tiers_as_of="2024-10-01",
)


@pytest.fixture
def store(tmp_path):
    return CandleStore(tmp_path)


def request_for(from_ms=JANUARY_MS + 10 * HOUR, to_ms=JANUARY_MS + 40 * HOUR, **kwargs):
    raw = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from_ms": from_ms, "to_ms": to_ms}
    return RunRequest.parse({**raw, **kwargs})


def feed_of(store, candles, request, *, mark=None, mark_timeframe="1h", funding=None, fine=None):
    symbol = SymbolData(
        rules=RULES,
        series_name="made",
        timeframe="1h",
        candles=(store.publish(candles),),
        fine=(store.publish(fine),) if fine is not None else (),
        fine_timeframe="15m" if fine is not None else "",
        mark=(store.publish(mark),) if mark is not None else (),
        mark_timeframe=mark_timeframe if mark is not None else "",
        funding=(store.publish(funding),) if funding is not None else (),
    )
    return build_feed(RunData((symbol,), "revision"), request, store).symbols[0]


def test_bars_are_warm_up_and_span_and_nothing_more(store):
    feed = feed_of(store, make_candles(100), request_for(warmup_bars=4))
    assert feed.bars.open_ms.tolist() == [JANUARY_MS + h * HOUR for h in range(6, 40)]
    assert feed.bars.n_trades is not None
    assert (feed.mark_bars, len(feed.funding)) == (None, 0)


def test_the_instrument_carries_the_rules_and_tiers_with_their_days(store):
    instrument = feed_of(store, make_candles(100), request_for()).instrument
    assert (instrument.tick_size, instrument.min_notional, instrument.liquidation_fee_rate) == (0.1, 10.0, 0.012)
    assert [tier.cumulative for tier in instrument.tiers] == [0, 50]
    assert (instrument.rules_as_of, instrument.tiers_as_of) == ("2022-02-18", "2024-10-01")


def test_arrays_cannot_be_written(store):
    feed = feed_of(store, make_candles(100), request_for())
    for column in (feed.bars.open_ms, feed.bars.open, feed.bars.close, feed.bars.volume, feed.bars.n_trades):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_a_candle_off_the_grid_is_no_bar(store):
    candles = make_candles(100)
    open_ms = candles.open_ms.copy()
    open_ms[20] += 1_694_000
    feed = feed_of(store, replace(candles, open_ms=open_ms), request_for())
    hours = [(stamp - JANUARY_MS) / HOUR for stamp in feed.bars.open_ms.tolist()]
    assert hours == [h for h in range(10, 40) if h != 20]


def test_funding_stamps_are_rounded_to_the_second_and_lie_inside_the_bars(store):
    request = request_for(JANUARY_MS + 8 * HOUR, JANUARY_MS + 24 * HOUR)
    feed = feed_of(store, make_candles(100), request, funding=make_funding(9))
    assert feed.funding.time_ms.tolist() == [JANUARY_MS + 8 * HOUR, JANUARY_MS + 16 * HOUR]
    assert feed.funding.rate.tolist() == pytest.approx([0.0002, 0.0003])
    assert np.isnan(feed.funding.mark_price).all()


def test_a_stamp_that_comes_a_little_early_still_belongs_to_the_bar_it_means(store):
    funding = replace(make_funding(9), time_ms=make_funding(9).time_ms - 4)
    request = request_for(JANUARY_MS + 8 * HOUR, JANUARY_MS + 24 * HOUR)
    feed = feed_of(store, make_candles(100), request, funding=funding)
    assert feed.funding.time_ms.tolist() == [JANUARY_MS + 8 * HOUR, JANUARY_MS + 16 * HOUR]


def test_mark_candles_of_the_same_timeframe_become_mark_bars(store):
    feed = feed_of(store, make_candles(100), request_for(warmup_bars=4), mark=make_candles(100, price=99.0))
    assert feed.mark_bars is not None
    assert feed.mark_bars.open_ms.tolist() == feed.bars.open_ms[4:].tolist()  # warm-up bars trade nothing
    assert feed.mark_bars.open[0] == feed.bars.open[4] - 1


def test_a_bar_without_a_mark_candle_has_no_mark_bar(store):
    holed = make_candles(100, price=99.0).take(np.delete(np.arange(100), 25))
    marks = feed_of(store, make_candles(100), request_for(), mark=holed).mark_bars
    assert [(stamp - JANUARY_MS) // HOUR for stamp in marks.open_ms.tolist()] == [h for h in range(10, 40) if h != 25]


def test_finer_mark_candles_count_only_where_they_fill_the_bar(store):
    quarters = make_candles(400, "15m", price=99.0)
    feed = feed_of(store, make_candles(100), request_for(), mark=quarters, mark_timeframe="15m")
    assert len(feed.mark_bars) == 30 * 4
    holed = quarters.take(np.delete(np.arange(400), 4 * 25 + 2))
    feed = feed_of(store, make_candles(100), request_for(), mark=holed, mark_timeframe="15m")
    hours = {(stamp - JANUARY_MS) // HOUR for stamp in feed.mark_bars.open_ms.tolist()}
    assert len(feed.mark_bars) == 29 * 4
    assert hours == {h for h in range(10, 40) if h != 25}
    assert feed_of(store, make_candles(100), request_for(), mark=make_candles(3), mark_timeframe="1h").mark_bars is None


def test_finer_bars_are_those_of_the_span(store):
    request = request_for(warmup_bars=4, intrabar_timeframe="15m")
    feed = feed_of(store, make_candles(100), request, fine=make_candles(400, "15m"))
    assert feed.fine_bars.open_ms.tolist() == [JANUARY_MS + q * HOUR // 4 for q in range(40, 160)]
    assert feed.fine_bars.n_trades is None
    with pytest.raises(ValueError, match="read-only"):
        feed.fine_bars.close[0] = 1


def test_marks_go_with_the_finer_bars(store):
    request, fine = request_for(intrabar_timeframe="15m"), make_candles(400, "15m")
    hourly = feed_of(store, make_candles(100), request, fine=fine, mark=make_candles(100), mark_timeframe="1h")
    assert hourly.mark_bars is None  # an hour's mark says nothing of a quarter
    quarters = feed_of(store, make_candles(100), request, fine=fine, mark=fine, mark_timeframe="15m")
    assert quarters.mark_bars.open_ms.tolist() == quarters.fine_bars.open_ms.tolist()


def test_a_request_for_finer_bars_that_the_data_lacks_is_an_error(store):
    with pytest.raises(DataError, match="no finer candle of BTCUSDT at 15m"):
        feed_of(store, make_candles(100), request_for(intrabar_timeframe="15m"))
    with pytest.raises(DataError, match="no finer candle of BTCUSDT at 5m"):
        feed_of(store, make_candles(100), request_for(intrabar_timeframe="5m"), fine=make_candles(400, "15m"))


def test_coarser_mark_candles_price_the_funding(store):
    mark = make_candles(12, "8h", price=500.0)
    feed = feed_of(store, make_candles(100), request_for(), mark=mark, mark_timeframe="8h", funding=make_funding(9))
    assert feed.mark_bars is None
    assert feed.funding.mark_price.tolist() == mark.open[2:5].tolist()


def test_a_span_without_bars_is_an_error(store):
    with pytest.raises(DataError, match="no 1h candle of BTCUSDT"):
        feed_of(store, make_candles(100), request_for(JANUARY_MS + 200 * HOUR, JANUARY_MS + 300 * HOUR))


def test_a_missing_file_is_an_error_of_the_data(store):
    symbol = SymbolData(RULES, "made", "1h", (store.publish(make_candles(100)),))
    for path in (*store.files.folder.rglob("*.parquet"), *store.cache.folder.rglob("*.arrow")):
        path.unlink()
    with pytest.raises(DataError, match="is not in"):
        build_feed(RunData((symbol,), ""), request_for(), store)


def test_a_symbol_that_the_data_does_not_hold_is_an_error(store):
    with pytest.raises(DataError, match="BTCUSDT"):
        build_feed(RunData((), ""), request_for(), store)
