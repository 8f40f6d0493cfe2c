"""What a strategy sees: the bar, the past, larger timeframes, indicators, time; and what it never sees."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine.cursor import Cursor
from backtests.engine.errors import ResourceLimitError, StrategyRunError
from backtests.engine.strategy.history import larger_bars
from tests.engine.strategy_stage import HOUR_MS, START_MS, make_bars, make_feed, play, seen


def test_the_bar_has_plain_floats():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 2:
                self.seen += [data.open, data.high, data.low, data.close, data.volume, data.time_ms, data.is_fresh]
                self.seen += [data["close"], data.symbol, self.current_price, self.symbol, self.symbols]
                self.seen += [type(data.close), self.timestamp, data.to_series()]
        """
    )
    assert found[:7] == [101, 103, 100, 102, 10, START_MS + 2 * HOUR_MS, True]
    assert found[7:12] == [102, "BTCUSDT", 102, "BTCUSDT", ("BTCUSDT",)]
    assert found[12] is float
    assert found[13] == pd.Timestamp("2025-01-01 02:00", tz="UTC") == found[14].name
    assert found[14].to_dict() == {"open": 101, "high": 103, "low": 100, "close": 102, "volume": 10}


def test_an_unknown_field_of_the_bar_names_those_there_are():
    with pytest.raises(KeyError, match="open, high, low, close"):
        seen("def on_data(self, data): data['vwap']")


def test_bars_count_from_the_start_of_the_span():
    assert seen("def on_data(self, data): self.seen.append((self.i_bar, data.close))", warmup_bars=3) == [
        (0, 103),
        (1, 104),
        (2, 105),
    ]


def test_initialize_sees_the_warm_up_and_nothing_of_the_span():
    session, _, _ = play(
        """
        def initialize(self):
            self.seen = [self.history(9, "close").tolist(), self.current_price, self.i_bar, len(self.bars)]
        def on_data(self, data): pass
        """,
        warmup_bars=2,
    )
    assert session.strategy.seen == [[100, 101], 101, -1, 1]


def test_initialize_without_warm_up_sees_nothing_at_all():
    session, _, _ = play(
        """
        def initialize(self):
            x = self.indicator(lambda close: close, "close")
            self.seen = [self.history(9, "close").tolist(), self.current_price, x.value, x[-1], len(x)]
            self.seen += [len(self.history(9)), self.every("1h"), self.bars["BTCUSDT"].high]
        def on_data(self, data): pass
        """
    )
    history, price, value, last, n, n_rows, is_start, high = session.strategy.seen
    assert history == []
    assert all(math.isnan(number) for number in (price, value, last, high))
    assert (n, n_rows, is_start) == (0, 0, False)


def test_history_has_closed_bars_only():
    found = seen(
        """
        def on_data(self, data):
            frame = self.history(2)
            closes = self.history(3, "close").tolist()
            self.seen.append((closes, list(frame["close"]), frame.index[-1] == self.timestamp))
        """,
        closes=(2, 3, 4, 5),
    )
    assert found == [([2], [2], True), ([2, 3], [2, 3], True), ([2, 3, 4], [3, 4], True), ([3, 4, 5], [4, 5], True)]


def test_what_history_gives_can_be_changed_without_harm():
    found = seen(
        """
        def on_data(self, data):
            frame = self.history(2)
            frame.loc[frame.index[-1], "close"] = 99
            self.history(2, "close")[:] = 77
            self.seen.append(self.history(1)["close"].iloc[0])
        """,
        closes=(2, 3, 4),
    )
    assert found == [2, 3, 4]


@pytest.mark.parametrize("n", [0, -1, 1.5, "3", True, None])
def test_history_wants_a_whole_number_of_bars(n):
    with pytest.raises(ValueError, match="whole number of bars"):
        seen(f"def on_data(self, data): self.history({n!r})")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("history(3, 'vwap')", "no field 'vwap'"),
        ("history(3, timeframe='5m')", "cannot be built.*1h, 2h"),
        ("history(3, timeframe='90m')", "not a timeframe"),
        ("history(3, symbol='ETHUSDT')", "not in this run"),
        ("every('fortnight')", "not a timeframe"),
        ("bars['ETHUSDT']", "its symbols are: BTCUSDT"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_does(call, text):
    with pytest.raises(Exception, match=text):
        seen(f"def on_data(self, data): self.{call}")


def test_a_larger_bar_shows_once_its_end_is_reached():
    # From 02:00: the four-hour bar of 00:00 is incomplete and never shows.
    feed = make_feed(make_bars(range(102, 116), start_ms=START_MS + 2 * HOUR_MS))
    found = seen(
        """
        def on_data(self, data):
            larger = self.history(9, timeframe="4h")
            self.seen.append([(index.hour, *row) for index, row in zip(larger.index, larger.to_numpy().tolist())])
        """,
        feed=feed,
    )
    assert found[:5] == [[]] * 5  # the bars of 02:00 to 06:00
    assert found[5:9] == [[(4, 103, 108, 102, 107, 40)]] * 4
    assert found[9][1] == (8, 107, 112, 106, 111, 40)


def test_a_larger_bar_with_a_gap_at_its_end_shows_with_the_next_bar():
    bars = make_bars(range(100, 112), skip=(3,))
    feed = make_feed(bars)
    found = seen("def on_data(self, data): self.seen.append(len(self.history(9, 'close', timeframe='4h')))", feed=feed)
    assert found == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    offset=st.integers(0, 30),
    gaps=st.sets(st.integers(0, 59), max_size=30),
    timeframe=st.sampled_from(["1h", "2h", "4h", "8h", "1d", "1w"]),
)
def test_larger_bars_equal_those_that_pandas_builds_from_what_has_closed(n, offset, gaps, timeframe):
    gaps = gaps - {0, n - 1}
    bars = make_bars(np.arange(2.0, n + 2), start_ms=START_MS + offset * HOUR_MS, skip=gaps)
    cursor = Cursor()
    larger = larger_bars(bars, timeframe, HOUR_MS, bars.open_ms, cursor)
    index = pd.to_datetime(bars.open_ms, unit="ms", utc=True)
    frame = pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}, index)
    rule = {"1w": "W-MON", "1d": "1D"}.get(timeframe, timeframe)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    whole = frame.resample(rule, closed="left", label="left", origin="epoch").agg(how).dropna()
    length = pd.Timedelta(weeks=1) if timeframe == "1w" else pd.Timedelta(timeframe)
    if whole.index[0] != index[0]:
        whole = whole.iloc[1:]
    for cursor.i_bar in range(len(bars)):
        closed = whole[whole.index + length <= index[cursor.i_bar] + pd.Timedelta(hours=1)]
        shown = larger.frame(1_000)
        np.testing.assert_array_equal(shown.to_numpy(), closed.to_numpy().reshape(shown.shape))
        assert list(shown.index) == list(closed.index)


def test_every_is_true_on_the_first_bar_of_each_period():
    found = seen(
        "def on_data(self, data): self.seen.append((self.every('2h'), self.every('1d')))",
        closes=range(100, 126),
        warmup_bars=1,
    )
    assert [two for two, _ in found] == [i % 2 == 1 for i in range(25)]  # the first bar of the span is 01:00
    assert [i for i, (_, day) in enumerate(found) if day] == [23]


def test_weeks_start_on_monday():
    feed = make_feed(make_bars(range(100, 114), step_ms=24 * HOUR_MS))
    found = seen("def on_data(self, data): self.seen.append(self.every('1w'))", feed=feed, timeframe="1d")
    assert [i for i, is_start in enumerate(found) if is_start] == [0, 5, 12]  # Wednesday 1st, Mondays 6th and 13th


def test_another_symbol_s_bar_may_be_missing():
    feed = make_feed(make_bars([100, 101, 102, 103]), make_bars([10, 11, 12, 13], skip=(2,)))
    found = seen(
        """
        def on_data(self, data):
            eth = self.bars["ETHUSDT"]
            self.seen.append((eth.close, eth.is_fresh, eth.volume, self.history(9, "close", symbol="ETHUSDT").tolist()))
        """,
        feed=feed,
    )
    assert found == [
        (10, True, 10, [10]),
        (11, True, 10, [10, 11]),
        (11, False, 0, [10, 11]),
        (13, True, 10, [10, 11, 13]),
    ]


def test_an_indicator_of_a_symbol_with_gaps_stands_between_its_bars():
    feed = make_feed(make_bars([100, 101, 102, 103]), make_bars([10, 11, 12, 13], skip=(0, 2)))
    found = seen(
        """
        def initialize(self):
            self.seen = []
            self.double = self.indicator(lambda close: close * 2, "close", symbol="ETHUSDT")
        def on_data(self, data): self.seen.append(self.double.value)
        """,
        feed=feed,
    )
    assert math.isnan(found[0])
    assert found[1:] == [22, 22, 26]


def test_indicators_of_every_origin_are_revealed_bar_by_bar():
    session, _, reporter = play(
        source="""
import numpy as np
import talib
from numba import njit

@njit
def ratio(close, length):
    return close / length

class Mine(Strategy):
    def initialize(self):
        self.seen = []
        self.a = self.indicator(ta.sma, "close", length=3)
        self.b = self.indicator(talib.SMA, "close", timeperiod=3)
        self.c = self.indicator(ratio, "close", length=2.0)
        self.up, self.low = self.indicator(lambda high, low: (high, low), "high", "low", plot=False)
        self.bands = self.indicator(ta.bbands, "close", length=3)
        self.smooth = self.indicator(ta.sma, self.c, length=2, name="smooth", pane="below")
    def on_data(self, data):
        bands = [line.value for line in self.bands]
        self.seen.append((self.a.value, self.b.value, self.c.value, self.up.value, self.low.value, self.smooth.value))
        assert len(self.a) == self.i_bar + 1 and len(bands) == 5
""",
        body="",
        closes=(2, 4, 6, 8),
    )
    assert session.strategy.seen[2:] == [(4, 4, 3, 7, 3, 2.5), (6, 6, 4, 9, 5, 3.5)]
    assert all(math.isnan(value) for value in session.strategy.seen[0][:2])
    assert list(reporter.drawn)[:3] == ["SMA_3", "SMA(3)", "ratio(2)"]
    assert reporter.drawn["smooth"][0] == "below"
    assert not any("lambda" in name for name in reporter.drawn)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            "ta.sma, 'close', length=50",
            StrategyRunError,
            r"sma\(50\) returned nothing. It may need more bars than the 6",
        ),
        ("lambda close: close[1:], 'close'", StrategyRunError, "has 5 values for 6 bars"),
        ("ta.sma, 'clsoe', length=2", ValueError, "no column 'clsoe'; there are open, high"),
        ("'sma', 'close'", TypeError, "indicator takes a function first"),
    ],
)
def test_an_indicator_that_cannot_be_says_why(call, error, text):
    with pytest.raises(error, match=text):
        seen(f"def initialize(self): self.indicator({call})\ndef on_data(self, data): pass")


def test_changing_later_bars_changes_nothing_that_was_seen_before():
    body = """
    def initialize(self):
        self.seen = []
        self.fast = self.indicator(ta.sma, "close", length=2)
        self.slow = self.indicator(ta.sma, "close", length=4)
    def on_data(self, data):
        self.seen.append((data.close, self.fast.value, crossed_above(self.fast, self.slow), self.get_equity()))
        self.seen[-1] += tuple(self.history(3, "high")) + tuple(self.history(3, "low", timeframe="2h"))
        if crossed_above(self.fast, self.slow): self.buy(equity_ratio=0.5)
        if crossed_below(self.fast, self.slow): self.close_position()
    """
    random = np.random.default_rng(5)
    closes = 100 + np.cumsum(random.normal(0, 1, 60))
    other = np.append(closes[:40], 100 + np.cumsum(random.normal(0, 5, 20)))
    assert repr(seen(body, closes)[:40]) == repr(seen(body, other)[:40])


def test_lines_of_the_log_know_their_bar_and_are_not_without_end():
    _, _, reporter = play(
        """
        def initialize(self): self.log("hello")
        def on_data(self, data):
            if self.i_bar == 1:
                for i in range(100): self.log(i, level="debug")
        """,
        warmup_bars=2,
    )
    assert reporter.lines[0] == ("info", 1, "hello")
    assert reporter.lines[1] == ("debug", 3, "0")
    assert reporter.texts[-1] == "More than 20 lines at this bar; the rest is left out."
    assert len(reporter.lines) == 22


def test_plotted_values_know_their_bar():
    _, _, reporter = play(
        """
        def initialize(self): pass
        def on_data(self, data):
            self.plot("close", data.close, pane="price")
            self.plot("nothing", float("nan"))
            self.plot("i", self.i_bar)
        """,
        closes=(100, 101),
    )
    assert reporter.points == [
        ("close", "price", 0, 100),
        ("i", "i", 0, 0),
        ("close", "price", 1, 101),
        ("i", "i", 1, 1),
    ]


def test_series_without_end_are_refused():
    with pytest.raises(ResourceLimitError, match="at most 20 series"):
        seen("def on_data(self, data):\n    for i in range(30): self.plot(f'line {i}', i)")


def test_the_request_s_parameters_are_there():
    body = """
    fast = Param(20, min=5, max=100)
    def initialize(self): self.seen = [self.fast, dict(self.params)]
    def on_data(self, data): pass
    """
    assert seen(body, params={"fast": 10}) == [10, {"fast": 10}]
