import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.engine.kernels.types import FILL, FUNDING, LIQUIDATION
from backtests.engine.metrics import (
    METRICS,
    EquityCurve,
    buy_and_hold,
    compute_curve_metrics,
    compute_metrics,
    daily_returns,
    drawdowns,
    monthly_returns,
)
from backtests.engine.metrics.ratios import sharpe_ratio, sharpe_standard_error, sortino_ratio
from tests.metrics.result_rows import DAY_MS, HOUR_MS, START_MS, bars_of, request_of, result_of, trade_rows_of

equities = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=200)
pnls = st.lists(st.floats(-1e6, 1e6), max_size=60)


def numbers_of(equity, request, *bars, **more):
    metrics = compute_metrics(result_of(equity, request, **more), request, *bars)
    return {name: metric.value for name, metric in metrics.items()}


def curve_of(equity, request):
    return EquityCurve.of_run(result_of(equity, request), request.from_ms, request.to_ms)


def test_catalogue_and_computation_name_the_same_metrics():
    request = request_of(48)
    assert list(compute_metrics(result_of([10_000.0] * 48, request), request)) == list(METRICS)
    assert all(spec.label and spec.formula for spec in METRICS.values())


@given(equities)
def test_nothing_is_ever_infinite_or_nan(equity):
    request = request_of(len(equity))
    trades = trade_rows_of([value - 5e5 for value in equity[:20]])
    for name, value in numbers_of(equity, request, bars_of(equity, request), trades=trades).items():
        assert value is None or math.isfinite(value), name


@given(equities, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_scaling_money_by_a_power_of_two_changes_no_ratio(equity, factor):
    request = request_of(len(equity))
    scaled = request_of(len(equity), initial_balance=request.initial_balance * factor)
    before = numbers_of(equity, request)
    after = numbers_of(np.array(equity) * factor, scaled)
    for name in ("total_return", "annualized_return", "max_drawdown", "sharpe_ratio", "sortino_ratio"):
        assert before[name] == after[name]


@given(equities)
def test_drawdown_lies_between_minus_one_and_zero_and_touches_zero_at_each_new_peak(equity):
    depths = drawdowns(curve_of(equity, request_of(len(equity))))
    assert (depths <= 0).all()
    assert (depths >= -1).all()
    top = int(np.argmax(equity))
    if equity[top] >= 10_000:
        assert depths[top] == 0


@given(equities)
def test_months_compound_to_the_total_return(equity):
    request = request_of(len(equity), timeframe="1d")
    months = monthly_returns(curve_of(equity, request))
    total = math.prod(1 + month.value for month in months)
    assert total == pytest.approx(equity[-1] / request.initial_balance)


@given(pnls)
def test_wins_and_losses_add_up_to_the_sum_of_pnl(values):
    request = request_of(2)
    numbers = numbers_of([10_000.0] * 2, request, trades=trade_rows_of(values))
    n_wins = round((numbers["win_rate"] or 0) * len(values))
    n_losses = sum(value < 0 for value in values)
    total = n_wins * (numbers["avg_win"] or 0) + n_losses * (numbers["avg_loss"] or 0)
    assert total == pytest.approx(sum(values), abs=1e-6)
    assert numbers["total_trades"] == len(values)


def test_daily_returns_are_taken_at_utc_midnights_and_leave_part_days_out():
    # From 18:00: six hours of the first day, two full days, three hours of the last.
    request = request_of(6 + 48 + 3, from_ms=START_MS + 18 * HOUR_MS)
    equity = np.full(57, 10_000.0)
    equity[:5] = 9_000.0  # inside the first part-day: in no daily return
    equity[5 + 24 :] = 11_000.0
    equity[5 + 48 :] = 12_100.0
    equity[54:] = 1.0  # inside the last part-day
    assert daily_returns(curve_of(equity, request)) == pytest.approx([0.1, 0.1])


def test_a_span_from_midnight_measures_its_first_day_from_the_initial_balance():
    request = request_of(24)
    assert daily_returns(curve_of(np.full(24, 10_500.0), request)) == pytest.approx([0.05])


def test_a_gap_over_midnight_carries_the_last_equity():
    request = request_of(72)
    result = result_of(np.full(72, 10_000.0), request)
    result.equity["margin_balance"][30:] = 11_000.0
    kept = np.concatenate((result.equity[:20], result.equity[60:]))
    curve = EquityCurve(10_000.0, request.from_ms, request.to_ms, kept["time_ms"].copy(), kept["margin_balance"].copy())
    assert daily_returns(curve) == pytest.approx([0.0, 0.0, 0.1])


def test_fewer_than_two_returns_give_no_ratio():
    numbers = numbers_of([10_100.0] * 24, request_of(24))
    assert numbers["sharpe_ratio"] is None
    assert numbers["sortino_ratio"] is None
    assert numbers["daily_returns_std"] is None


def test_no_variance_gives_no_ratio():
    returns = np.full(40, 0.01)
    assert sharpe_ratio(returns) is None
    assert sharpe_standard_error(returns) is None
    assert sortino_ratio(returns) is None  # no day lost


def test_under_thirty_returns_statistics_are_marked_as_short_sample():
    random = np.random.default_rng(3)
    for n_days, note in ((29, "short_sample"), (30, "")):
        request = request_of(n_days, timeframe="1d")
        equity = 10_000 * np.cumprod(1 + random.normal(0, 0.01, n_days))
        metrics = compute_metrics(result_of(equity, request), request)
        assert metrics["sharpe_ratio"].note == note
        assert metrics["sharpe_ratio"].standard_error > 0
        assert metrics["annualized_return"].note == ("short_span" if n_days < 30 else "")


def test_standard_error_of_a_normal_sample_is_near_the_textbook_value():
    returns = np.random.default_rng(11).normal(0.001, 0.02, 5_000)
    s = returns.mean() / returns.std(ddof=1)
    textbook = math.sqrt((1 + s * s / 2) / (len(returns) - 1)) * math.sqrt(365)
    assert sharpe_standard_error(returns) == pytest.approx(textbook, rel=0.02)


def test_a_ruined_account_has_lost_everything_a_year():
    request = request_of(24 * 40)
    equity = np.concatenate((np.full(24 * 10, 9_000.0), np.zeros(1)))
    metrics = compute_metrics(result_of(equity, request, is_ruined=True), request)
    assert metrics["annualized_return"].value == -1
    assert metrics["annualized_return"].note == "ruined"
    assert metrics["total_return"].value == -1
    assert metrics["max_drawdown"].value == -1
    returns = daily_returns(curve_of(equity, request))
    assert len(returns) == 11  # the day of ruin counts, the days after do not
    assert returns[-1] == -1


def test_open_trades_are_counted_apart():
    trades = trade_rows_of([5.0, -2.0, 7.0], is_open=(2,))
    numbers = numbers_of([10_000.0], request_of(1), trades=trades)
    assert (numbers["total_trades"], numbers["open_trades"]) == (2, 1)
    assert numbers["profit_factor"] == 2.5
    assert (numbers["avg_win"], numbers["avg_loss"], numbers["payoff_ratio"]) == (5.0, -2.0, 2.5)


def test_without_losses_there_is_no_profit_factor():
    assert numbers_of([1.0], request_of(1), trades=trade_rows_of([1.0, 2.0]))["profit_factor"] is None


def test_without_trades_there_are_no_trade_statistics():
    numbers = numbers_of([10_000.0], request_of(1))
    for name in ("win_rate", "profit_factor", "expectancy", "avg_win", "avg_loss", "avg_leverage", "max_leverage"):
        assert numbers[name] is None
    assert numbers["total_trades"] == 0


def test_leverage_is_that_of_the_opening_fills():
    numbers = numbers_of([1.0], request_of(1), trades=trade_rows_of([1.0, 1.0], leverage=[2.0, 10.0]))
    assert (numbers["avg_leverage"], numbers["max_leverage"]) == (6.0, 10.0)


def test_costs_and_liquidations_are_sums_over_rows():
    fills, funding, liquidations = np.zeros(3, FILL), np.zeros(2, FUNDING), np.zeros(2, LIQUIDATION)
    fills["fee"], fills["slippage"] = [1.0, 2.0, 0.5], [0.1, 0.0, 0.2]
    funding["payment"] = [-4.0, 1.5]
    liquidations["loss"] = [100.0, 50.0]
    numbers = numbers_of([1.0], request_of(1), fills=fills, funding=funding, liquidations=liquidations)
    assert numbers["fees"] == 3.5
    assert numbers["slippage"] == pytest.approx(0.3)
    assert numbers["funding"] == -2.5
    assert (numbers["liquidations"], numbers["liquidation_losses"]) == (2, 150.0)


def test_exposure_is_the_share_of_bars_that_close_with_a_position():
    request = request_of(4)
    result = result_of([10_000.0] * 4, request)
    result.equity["exposure"] = [0.0, 1.5, -0.5, 0.0]
    metrics = compute_metrics(result, request)
    assert metrics["exposure_time"].value == 0.5
    assert metrics["avg_exposure"].value == 0.5


def test_buy_and_hold_pays_one_fee_at_the_first_open_of_the_span():
    request = request_of(3, warmup_bars=1, taker_fee=0.001)
    warm = request_of(4, from_ms=request.from_ms - HOUR_MS)
    bars = bars_of([50.0, 100.0, 110.0, 121.0], warm)  # the first is warm-up; opens are the closes before
    curve = buy_and_hold(request, [bars])
    qty = 10_000 / (50.0 * 1.001)
    assert curve.equity == pytest.approx(qty * np.array([100.0, 110.0, 121.0]))
    assert curve.time_ms[0] == request.from_ms + HOUR_MS
    numbers = numbers_of([12_000.0] * 3, request, bars)
    assert numbers["benchmark_return"] == pytest.approx(121.0 / (50.0 * 1.001) - 1)
    assert numbers["excess_return"] == pytest.approx(0.2 - numbers["benchmark_return"])


def test_buy_and_hold_of_several_symbols_holds_equal_parts():
    request = request_of(2, symbols=["BTCUSDT", "ETHUSDT"], symbol=None, taker_fee=0)
    first, second = bars_of([100.0, 200.0], request), bars_of([100.0, 50.0], request)
    assert buy_and_hold(request, [first, second]).equity[-1] == pytest.approx(5_000 * 2 + 5_000 * 0.5)


def test_buy_and_hold_has_the_metrics_of_a_curve():
    request = request_of(24 * 40)
    closes = 100 * np.cumprod(1 + np.random.default_rng(1).normal(0, 0.01, 24 * 40))
    metrics = compute_curve_metrics(buy_and_hold(request, [bars_of(closes, request)]))
    assert set(metrics) == {name for name, spec in METRICS.items() if spec.is_of_curve}
    assert metrics["sharpe_ratio"].value is not None


def test_a_month_that_the_span_covers_in_part_is_marked():
    request = request_of(31 + 10, timeframe="1d")
    months = monthly_returns(curve_of(np.full(41, 10_000.0), request))
    assert [(month.month, month.is_partial) for month in months] == [(1, False), (2, True)]
    assert request.to_ms == START_MS + 41 * DAY_MS
