"""Arrays of targets: the same orders as by calls, to the bit, and clear words for arrays that are none."""

import numpy as np
import pandas_ta as ta
import pytest

from backtests.engine import Candles, Targets, follow_targets, replay, run_targets
from backtests.engine.errors import ResourceLimitError, StrategyRunError
from backtests.engine.kernels.types import CommandKind, ExitReason, OrderStatus, Reason
from backtests.engine.loop import run
from backtests.engine.portfolio.follower import find_changes
from backtests.engine.request import Feed, Instrument, SymbolFeed
from backtests.engine.strategy import Session, crossed_above, crossed_below, describe_error, load_strategy
from tests.engine.random_runs import make_scenario
from tests.engine.scenarios import Script
from tests.engine.strategy_stage import TIERS, NotingReporter, make_bars, make_feed, make_request, play

NAN = np.nan
CLOSES = (100, 101, 102, 103, 104, 105)


def follow(values, closes=CLOSES, *, unit="qty", feed=None, leverage=None, rebalance_band=None, **fields):
    feed = feed or make_feed(make_bars(closes))
    request = make_request(feed, **fields)
    result, log = follow_targets(request, feed, Targets(values, unit, leverage, rebalance_band=rebalance_band))
    assert replay(request, feed, log).result_hash() == result.result_hash()
    return result, log


def random_values(rng, request, feed):
    """Some changes, some silence; in a unit that the account can mostly afford."""
    n = len(Candles(feed, feed_timeline(request, feed), 0))
    values = np.where(rng.random(n) < 0.25, rng.choice([-1.0, -0.3, 0.0, 0.5, 1.5], n), NAN)
    return np.abs(values) if request.market == "spot" else values


def feed_timeline(request, feed):
    times = np.unique(np.concatenate([symbol.bars.open_ms for symbol in feed.symbols]))
    return times[times < request.to_ms]


class ByCalls(Script):
    """Asks at each close for the value of that bar, by the account's own call."""

    def __init__(self, values):
        super().__init__()
        self.values, self.value, self.last = values, 0.0, None

    def on_data(self, data):
        value = self.values[self.account.cursor.i_bar]
        if value == value and value != self.value:
            if self.last is not None:
                self.account.cancel(self.last)
            self.value, self.last = value, self.account.target_ratio(value)


@pytest.mark.parametrize("seed", range(25))
def test_targets_fill_as_the_same_calls_at_each_bar_to_the_bit(seed):
    request, feed, _ = make_scenario(seed)
    values = random_values(np.random.default_rng(seed), request, feed)
    by_calls = run(ByCalls(values), request, feed)
    result, log = follow_targets(request, feed, values)
    assert result.result_hash() == by_calls.result_hash()
    assert replay(request, feed, log).result_hash() == result.result_hash()


def test_a_value_is_an_order_at_its_close_and_nan_and_repetition_are_none():
    result, log = follow([NAN, 2, 2, NAN, 2, 0])
    assert list(log.rows["i_bar"]) == [1, 5]
    assert list(result.fills["price"]) == [101.0, 105.0]
    assert list(result.equity["position_qty"]) == [0, 2, 2, 2, 2, 0]


def test_an_order_waits_for_the_next_open_under_that_policy():
    result, _ = follow([0, 2, 2, 2, 2, 0], fill="next_open")
    assert [(fill["i_bar"], fill["price"]) for fill in result.fills] == [(2, 101.0)]
    assert Reason(result.orders[1]["reason"]) is Reason.END_OF_DATA


@pytest.mark.parametrize(
    ("unit", "value", "qty"), [("qty", -3, -3), ("notional", 404, 4), ("equity_ratio", 0.5, 49.5049)]
)
def test_the_unit_says_what_a_value_counts(unit, value, qty):
    result, _ = follow([NAN, value, NAN, NAN, NAN, NAN], unit=unit, leverage=1.0)
    assert result.equity["position_qty"][1] == pytest.approx(qty, abs=1e-4)


def test_leverage_is_the_orders_own():
    result, _ = follow([1.0] * 6, leverage=5.0, max_leverage=10)
    assert result.trades[0]["leverage"] == 5.0


def test_warm_up_values_are_not_traded_and_the_span_starts_flat():
    result, log = follow([1, 1, NAN, NAN, 2, 2], warmup_bars=2)
    assert list(log.rows["i_bar"]) == [4]
    assert result.trades[0]["qty"] == 2


def test_spot_refuses_a_short_with_its_reason():
    feed = make_feed(make_bars(CLOSES), market="spot")
    result, _ = follow([1, -1, -1, 0, 0, 0], feed=feed, market="spot")
    assert [Reason(order["reason"]).name for order in result.orders] == ["NONE", "SPOT_SHORT", "NONE"]


def bars_with_a_dip(low):
    """Flat at 100, but for the low of the third bar and the high of the sixth."""
    bars = make_bars([100.0] * 8)
    bars.low[2], bars.high[5] = low, 200 - low
    return make_feed(bars)


@pytest.mark.parametrize(("side", "i_bar", "price"), [(1, 2, 95.0), (-1, 5, 105.0)])
def test_a_stop_follows_from_the_price_of_the_fill_and_then_it_is_flat_until_the_value_changes(side, i_bar, price):
    feed = bars_with_a_dip(94.0)
    targets = Targets([side, side, side, side, side, side, side, 2 * side], "qty", stop_loss_ratio=0.05)
    request = make_request(feed)
    result, log = follow_targets(request, feed, targets)
    fills = [(fill["i_bar"], fill["price"], fill["qty"]) for fill in result.fills]
    assert fills == [(0, 100.0, 1.0), (i_bar, price, 1.0), (7, 100.0, 2.0)]
    assert ExitReason(result.trades[0]["exit_reason"]) is ExitReason.STOP_LOSS
    assert replay(request, feed, log).result_hash() == result.result_hash()


@pytest.mark.parametrize(("side", "i_bar", "price"), [(1, 5, 104.0), (-1, 2, 96.0)])
def test_a_take_profit_closes_what_the_target_opened_also_after_a_flip(side, i_bar, price):
    feed = bars_with_a_dip(94.0)
    targets = Targets([-side, side, *[NAN] * 6], "qty", take_profit_ratio=0.04)
    result, log = follow_targets(make_request(feed), feed, targets)
    assert [(fill["i_bar"], fill["price"]) for fill in result.fills] == [
        (0, 100.0),
        (1, 100.0),
        (1, 100.0),
        (i_bar, price),
    ]
    assert result.equity["position_qty"][-1] == 0
    assert replay(make_request(feed), feed, log).result_hash() == result.result_hash()


def test_what_is_too_large_is_rejected_and_not_asked_again():
    result, _ = follow([1000.0] * 6)
    assert [Reason(order["reason"]) for order in result.orders] == [Reason.INSUFFICIENT_MARGIN]


def test_a_drift_beyond_the_band_is_set_right_and_a_smaller_one_is_left():
    closes = (100, 100, 101, 110, 110, 110)
    values = [NAN, 50, NAN, NAN, NAN, NAN]
    left, _ = follow(values, closes, unit="notional")
    assert len(left.fills) == 1
    kept, _ = follow(values, closes, unit="notional", rebalance_band=2.0)
    assert [(fill["i_bar"], fill["side"]) for fill in kept.fills] == [(1, 1), (3, -1)]
    assert kept.equity["position_qty"][3] * 110 == pytest.approx(50)


def test_a_band_in_equity_ratios_counts_against_the_equity():
    closes = (100, 100, 150, 150, 150, 150)
    result, _ = follow([0.5, NAN, NAN, NAN, NAN, NAN], closes, unit="equity_ratio", rebalance_band=0.05, taker_fee=0)
    assert [fill["i_bar"] for fill in result.fills] == [0, 2]
    assert result.equity["exposure"][2] == pytest.approx(0.5)


def test_no_drift_is_set_right_while_flat_or_while_an_order_waits():
    feed = make_feed(make_bars((100, 100, 150, 150, 150, 150), volume=10.0))
    feed.symbols[0].bars.volume[2:5] = 0.0  # no trades: what is ordered at bar 2 waits until bar 5
    result, log = follow([50, NAN, NAN, NAN, NAN, 0], unit="notional", rebalance_band=2.0, feed=feed)
    assert list(log.rows["i_bar"]) == [0, 2, 5]
    assert result.equity["position_qty"][-1] == 0.0


def test_a_newer_value_takes_the_place_of_an_order_that_waits():
    feed = make_feed(make_bars(CLOSES))
    feed.symbols[0].bars.volume[1:4] = 0.0
    result, log = follow([NAN, 1, 2, NAN, NAN, NAN], feed=feed)
    assert [CommandKind(kind).name for kind in log.rows["kind"]] == ["TARGET", "CANCEL", "TARGET"]
    assert [OrderStatus(order["status"]).name for order in result.orders] == ["CANCELLED", "FILLED"]
    assert result.fills[0]["qty"] == 2


def test_a_ruined_account_gets_no_more_orders():
    fields = {"initial_balance": 10, "leverage": 10, "max_leverage": 10, "taker_fee": 0}
    instrument = Instrument("BTCUSDT", tiers=TIERS, liquidation_fee_rate=0.05)
    feed = Feed((SymbolFeed(instrument, make_bars((100, 100, 40, 40, 40, 40))),))
    result, log = follow([1, NAN, 0, 1, 0, 1], feed=feed, **fields)
    assert result.is_ruined
    assert (len(result.liquidations), len(log.rows), result.n_bars) == (1, 1, 3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0], r"gave 2 values for 6 bars \(0 of warm-up and 6 of the span\)"),
        ([0, 0, np.inf, 0, 0, 0], r"Target 2 \(bar of 2025-01-01 02:00\) is infinite"),
        ([True] * 6, "an array of numbers, not of bool"),
        (["long"] * 6, "an array of numbers, not of <U4"),
        (np.zeros((6, 2)), "not an array of 2 dimensions"),
        (None, "targets returned nothing"),
    ],
)
def test_an_array_that_cannot_be_played_says_why(values, text):
    feed = make_feed(make_bars(CLOSES))
    with pytest.raises(StrategyRunError, match=text):
        run_targets(make_request(feed), feed, values)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"unit": "btc"}, "unit='btc' is not one of: equity_ratio, qty, notional"),
        ({"leverage": 0.5}, "leverage must be at least 1"),
        ({"leverage": NAN}, "leverage must be at least 1"),
        ({"leverage": "3"}, "leverage must be a number"),
        ({"rebalance_band": 0.0}, "rebalance_band must be above 0"),
        ({"rebalance_band": 0.1, "unit": "qty"}, "A quantity does not drift"),
        ({"stop_loss_ratio": 1.0}, "stop_loss_ratio must be above 0 and below 1"),
    ],
)
def test_targets_refuse_words_that_make_no_sense(fields, text):
    with pytest.raises(StrategyRunError, match=text):
        Targets([0.0], **fields)


TREND = """
class Trend(Strategy):
    length = Param(3, min=2)

    def targets(self, candles):
        mean = candles.indicator(ta.sma, "close", length=self.length)
        return Targets(np.where(candles.close > mean, 1.0, -1.0), unit="qty")
"""
SOURCE = "import numpy as np\n" + TREND


def test_a_strategy_with_targets_runs_as_the_engine_call_with_progress_and_its_indicators_drawn():
    closes = 100 + 5 * np.sin(np.arange(60))
    session, result, reporter = play("", closes, source=SOURCE, params={"length": 5})
    request, feed = make_request(session.account.feed), session.account.feed

    def targets(candles):
        mean = ta.sma(candles["close"], length=5)
        return Targets(np.where(candles["close"] > mean, 1.0, -1.0), unit="qty")

    assert result.result_hash() == run_targets(request, feed, targets).result_hash()
    assert replay(request, feed, session.account.command_log()).result_hash() == result.result_hash()
    pane, values = reporter.drawn["SMA_5"]
    assert (pane, len(values)) == ("price", 60)
    assert len(result.trades) > 5


def test_a_strategy_with_targets_cannot_order_by_hand():
    with pytest.raises(Exception, match="Orders are possible in on_data"):
        play("def targets(self, candles):\n    self.buy(1)")


def test_more_orders_than_a_run_may_make_end_it():
    feed = make_feed(make_bars(CLOSES))
    strategy = load_strategy("class S(Strategy):\n    def targets(self, candles):\n        return [1, 2, 1, 2, 1, 2]\n")
    with pytest.raises(ResourceLimitError, match="at most 3 orders"):
        run(Session(strategy, max_orders=3), make_request(feed), feed)


def test_a_wrong_answer_names_the_line_of_the_method_and_a_wrong_word_its_own():
    for body, line in (("return [1.0]", 2), ("return Targets(candles.close, 'btc')", 3)):
        source = f"class S(Strategy):\n    def targets(self, candles):\n        {body}\n"
        with pytest.raises(StrategyRunError) as caught:
            play("", source=source)
        frame = describe_error(caught.value, source, None)
        assert (frame.code, frame.line) == ("strategy_error", line)


def test_candles_show_columns_and_indicators_of_every_bar_read_only():
    first, second = make_bars(range(100, 112)), make_bars(range(200, 212), skip=(0, 5))
    feed = make_feed(first, second)
    candles = Candles(feed, first.open_ms, 2)
    assert len(candles) == len(candles.close) == 12
    assert candles["close"].index[0].isoformat() == "2025-01-01T00:00:00+00:00"
    assert list(candles.to_frame().columns) == ["open", "high", "low", "close", "volume"]
    with pytest.raises(ValueError, match="read-only"):
        candles.close[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        candles["close"].iloc[0] = 1.0  # an indicator that comes after would see it
    with pytest.raises(KeyError, match="Candles have no 'clsoe'"):
        candles["clsoe"]
    other = candles.of("ETHUSDT")
    assert np.isnan(other.close[0])
    assert (other.close[5], other.volume[5]) == (204, 0)
    mean = other.indicator(ta.sma, "close", length=3)
    assert mean[4] == (202 + 203 + 204) / 3 == mean[5]
    assert mean[6] == (203 + 204 + 206) / 3
    with pytest.raises(KeyError, match="'DOGEUSDT' is not in this run"):
        candles.of("DOGEUSDT")


@pytest.mark.parametrize("seed", range(5))
def test_crossings_of_arrays_are_those_that_crossed_above_and_below_see_bar_by_bar(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (2, 200)).astype(float)  # many are equal
    values[rng.random((2, 200)) < 0.1] = np.nan
    feed = make_feed(make_bars(range(100, 300)))
    candles = Candles(feed, feed.symbols[0].bars.open_ms, 0)
    for line, other in ((values[0], values[1]), (values[0], 1), (1, values[1])):
        marks = candles.crossings(line, other)
        a, b = (np.broadcast_to(np.asarray(side, float), 200) for side in (line, other))
        for i in range(1, 200):
            pairs = (a[i - 1 : i + 1], b[i - 1 : i + 1])
            seen = 1.0 if crossed_above(*pairs) else -1.0 if crossed_below(*pairs) else np.nan
            np.testing.assert_equal(marks[i], seen)
        assert np.isnan(marks[0])
        for first_bar in (0, 77):
            candles.first_bar = first_bar
            assert candles.find_changes(marks).tolist() == find_changes(marks.copy(), first_bar).tolist()
        with pytest.raises(ValueError, match="read-only"):
            marks[0] = 1.0
        assert candles.find_changes(np.full(200, 2.0)).tolist() == find_changes(np.full(200, 2.0), 77).tolist()
    with pytest.raises(ValueError, match="one value for each of the 200 bars"):
        candles.crossings(values[0][1:], values[1])


def test_the_same_indicator_call_computes_once_and_several_lines_have_names():
    feed = make_feed(make_bars(range(100, 160)))
    candles, calls = Candles(feed, feed.symbols[0].bars.open_ms, 0), []

    def twice(close, factor):
        calls.append(factor)
        return close * factor

    assert candles.indicator(twice, "close", factor=2) is candles.indicator(twice, "close", factor=2)
    candles.indicator(twice, "close", factor=3)
    assert calls == [2, 3]
    bands = candles.indicator(ta.bbands, "close", length=5)
    lower = next(name for name in bands.names if name.startswith("BBL"))
    assert np.array_equal(bands[lower], bands[0], equal_nan=True)
    with pytest.raises(StrategyRunError, match="has 1 values for 60 bars"):
        candles.indicator(lambda close: [1.0], "close")


def test_indicators_of_an_indicator_take_the_array():
    feed = make_feed(make_bars(range(100, 160)))
    candles = Candles(feed, feed.symbols[0].bars.open_ms, 0)
    mean = candles.indicator(ta.sma, "close", length=5)
    assert candles.indicator(ta.sma, mean, length=2)[20] == (mean[19] + mean[20]) / 2


def test_targets_report_how_far_they_are():
    class Counting(NotingReporter):
        told = ()

        def progress(self, i_bar, n_bars, equity):
            self.told = (*self.told, (i_bar, n_bars))

    feed = make_feed(make_bars(CLOSES))
    reporter = Counting()
    run(Session(load_strategy(SOURCE), reporter), make_request(feed), feed, reporter)
    assert (reporter.told[0], reporter.told[-1]) == ((0, 6), (6, 6))
