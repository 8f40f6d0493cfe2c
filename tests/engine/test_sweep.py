"""Sweeps: each row is its single run, and nothing of one set is left in the next."""

import numpy as np
import pandas_ta as ta
import pytest

from backtests.engine import RequestError, Strategy, StrategyRunError, Targets, run_targets, sweep
from backtests.engine.loop import run
from backtests.engine.metrics import EquityCurve
from backtests.engine.metrics.risk import max_drawdown
from backtests.engine.strategy import Session, load_strategy
from tests.engine.random_runs import make_scenario
from tests.engine.strategy_stage import make_bars, make_feed, make_request

CROSS = """
import numpy as np

class Cross(Strategy):
    fast = Param(3, min=2)
    slow = Param(8, min=2)
    size = Param(1.0)

    def targets(self, candles):
        fast = candles.indicator(ta.sma, "close", length=self.fast)
        slow = candles.indicator(ta.sma, "close", length=self.slow)
        return Targets(np.where(fast > slow, self.size, -self.size), "qty", leverage=5, stop_loss_ratio=0.03)
"""
CALLS = """
class Cross(Strategy):
    fast = Param(3, min=2)
    slow = Param(8, min=2)

    def initialize(self):
        self.a = self.indicator(ta.sma, "close", length=self.fast)
        self.b = self.indicator(ta.sma, "close", length=self.slow)

    def on_data(self, data):
        if crossed_above(self.a, self.b):
            self.buy(1)
        elif crossed_below(self.a, self.b):
            self.close_position()
"""


def a_feed(n=400, seed=1):
    return make_feed(make_bars(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))))


def added(amounts):
    """One after the other, as the sweep does."""
    total = 0.0
    for amount in amounts.tolist():
        total += amount
    return total


def numbers_of(result, request):
    curve = EquityCurve.of_run(result, request.from_ms, request.to_ms)
    return (
        *(result.final_equity, max_drawdown(curve), added(result.fills["fee"]), added(result.funding["payment"])),
        *(len(result.orders), result.n_orders_rejected, len(result.fills), len(result.trades)),
        *(len(result.liquidations), result.is_ruined),
    )


def cross(candles, fast, slow):
    above = candles.indicator(ta.sma, "close", length=fast) > candles.indicator(ta.sma, "close", length=slow)
    return Targets(np.where(above, 0.9, -0.9), leverage=3)


def test_each_row_of_a_grid_is_its_single_run_to_the_bit():
    feed = a_feed()
    request = make_request(feed, max_leverage=5)
    table = sweep(request, feed, cross, {"fast": [3, 5], "slow": [8, 20, 30]})
    assert [(row["fast"], row["slow"]) for row in table] == [(f, s) for f in (3, 5) for s in (8, 20, 30)]
    for row in table:
        fast, slow = int(row["fast"]), int(row["slow"])
        single = run_targets(request, feed, lambda candles, f=fast, s=slow: cross(candles, f, s))
        assert row.item()[2:] == numbers_of(single, request)
    assert len(set(table["final_equity"])) == 6


@pytest.mark.parametrize("seed", range(12))
def test_rows_are_their_single_runs_on_every_kind_of_run(seed):
    request, feed, _ = make_scenario(seed)
    sign = 0.0 if request.market == "spot" else -1.0

    def wild(candles, seed):
        rng = np.random.default_rng(seed)
        return np.where(rng.random(len(candles)) < 0.2, rng.choice([sign, 0.0, 0.7, 3.0], len(candles)), np.nan)

    table = sweep(request, feed, wild, {"seed": list(range(6))})
    for row in table:
        single = run_targets(request, feed, lambda candles, k=int(row["seed"]): wild(candles, k))
        assert row.item()[1:] == numbers_of(single, request)


@pytest.mark.parametrize("source", [CROSS, CALLS], ids=["targets", "calls"])
def test_a_source_runs_with_each_set_and_its_other_defaults(source):
    feed = a_feed()
    request = make_request(feed, max_leverage=5)
    table = sweep(request, feed, source, [{"fast": 3}, {"fast": 6}])
    for row in table:
        single = run(Session(load_strategy(source, {"fast": int(row["fast"])})), request, feed)
        assert row.item()[1:] == numbers_of(single, request)
        assert row["n_trades"] > 5


def test_a_class_works_like_its_source_and_indicators_are_computed_once_for_all_sets():
    calls = []

    def counted(close, length):
        calls.append(length)
        return close.rolling(length).mean()

    class Mine(Strategy):
        def targets(self, candles):
            return np.where(candles.close > candles.indicator(counted, "close", length=7), 1.0, 0.0) * self.params["k"]

    feed = a_feed()
    with pytest.raises(RequestError, match="no parameter 'k'"):
        sweep(make_request(feed), feed, Mine, {"k": [1]})

    def scaled(candles, k):
        return np.where(candles.close > candles.indicator(counted, "close", length=7), k, 0.0)

    table = sweep(make_request(feed), feed, scaled, {"k": [0.5, 1.0]})
    assert calls == [7]
    assert table["k"].tolist() == [0.5, 1.0]


def test_many_orders_in_one_set_leave_the_next_one_untouched():
    feed = a_feed(1500)
    request = make_request(feed)

    def often(candles, size):
        return Targets(np.where(np.arange(len(candles)) % 2 == 0, size, -size), "qty")

    busy, quiet, again = sweep(request, feed, often, [{"size": 1.0}, {"size": 0.0}, {"size": 1.0}])
    assert (busy["n_fills"], quiet["n_fills"], quiet["final_equity"]) == (2999, 0, 10_000.0)
    assert busy.item() == again.item()


@pytest.mark.parametrize(
    ("grid", "code"),
    [
        ({"a": []}, "empty_grid"),
        ([], "empty_grid"),
        ([{"a": 1}, {"b": 1}], "different_names"),
        ({"fees": [1]}, "taken_name"),
    ],
)
def test_a_grid_that_makes_no_sense_says_why(grid, code):
    feed = a_feed(30)
    with pytest.raises(RequestError) as caught:
        sweep(make_request(feed), feed, lambda candles, **params: candles.close, grid)
    assert caught.value.code == code


def test_what_a_set_gives_wrongly_goes_through():
    feed = a_feed(30)
    with pytest.raises(StrategyRunError, match="gave 1 values for 30 bars"):
        sweep(make_request(feed), feed, lambda candles, a: [a], {"a": [1.0]})
