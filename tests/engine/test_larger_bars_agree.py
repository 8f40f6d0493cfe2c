"""What a strategy sees of a larger timeframe is what a run of that timeframe would have as its bars."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.cursor import Cursor
from backtests.engine.request import TIMEFRAME_MS, Bars
from backtests.engine.strategy.history import floor_to_timeframe, larger_bars
from marketdata import timeframes
from marketdata.aggregation import build_candles

PAIRS = [(base, larger) for base in TIMEFRAME_MS for larger in TIMEFRAME_MS if timeframes.builds(base, larger)]


def test_engine_and_market_data_name_the_same_lengths():
    assert TIMEFRAME_MS == timeframes.TIMEFRAME_MS


@pytest.mark.parametrize("timeframe", TIMEFRAME_MS)
def test_engine_and_market_data_cut_time_alike(timeframe):
    moments = 1_500_000_000_000 + 7_000_003 * np.arange(2_000)
    starts = floor_to_timeframe(moments, timeframe)
    assert starts.tolist() == build_starts(moments, timeframe)
    assert timeframes.next_open_ms(timeframe, int(starts[0])) == starts[0]


def build_starts(moments, timeframe):
    built = build_candles({"open_ms": moments}, timeframe)
    return np.repeat(built.columns["open_ms"], built.n_rows).tolist()


@settings(max_examples=100, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    first=st.integers(10_000, 20_000),
    n=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    missing=st.sampled_from([0.0, 0.1]),
)
def test_larger_bars_are_built_candles(pair, first, n, seed, missing):
    base, timeframe = pair
    random = np.random.default_rng(seed)
    cells = np.flatnonzero((random.random(n) >= missing) | (np.arange(n) == 0))
    open_ = np.round(random.uniform(10, 20, len(cells)), 2)
    bars = Bars(
        open_ms=timeframes.next_open_ms(base, first * 86_400_000) + TIMEFRAME_MS[base] * cells,
        open=open_,
        high=open_ + 2,
        low=open_ - 2,
        close=np.round(open_ + random.uniform(-1, 1, len(cells)), 2),
        volume=np.round(random.uniform(0, 100, len(cells)), 3),
    )
    columns = {name: getattr(bars, name) for name in ("open_ms", "open", "high", "low", "close", "volume")}
    built = build_candles(columns, timeframe).columns
    held_to_ms = bars.open_ms[-1] + TIMEFRAME_MS[base]
    is_whole = (built["open_ms"] >= bars.open_ms[0]) & (built["open_ms"] + TIMEFRAME_MS[timeframe] <= held_to_ms)
    shown = larger_bars(bars, timeframe, TIMEFRAME_MS[base], bars.open_ms, Cursor(len(bars) - 1))
    for name, column in built.items():
        found = shown.array(1_000, "time_ms" if name == "open_ms" else name)
        np.testing.assert_allclose(found, column[is_whole], rtol=1e-14 if name == "volume" else 0)
