"""Metrics against numbers that other projects publish; where conventions differ, the difference is spelled out."""

import json
import math

import numpy as np
import pytest

from backtests.engine.metrics import EquityCurve, drawdowns
from backtests.engine.metrics.ratios import calmar_ratio, sharpe_ratio, sortino_ratio
from backtests.engine.metrics.returns import annualized_return
from backtests.engine.metrics.risk import daily_returns_std, max_drawdown, volatility

DAY_MS = 86_400_000


def curve_of(returns, initial=100.0):
    equity = initial * np.cumprod(1 + np.asarray(returns, float))
    time_ms = DAY_MS * np.arange(1, len(equity) + 1, dtype=np.int64)
    return EquityCurve(initial, 0, len(equity) * DAY_MS, time_ms, equity)


@pytest.fixture
def empyrical(shared_oracle):
    """Oracle: tests/test_stats.py of empyrical-reloaded 0.7.1. It annualises by 252 days; we do by 365."""
    raw = json.loads((shared_oracle / "metrics_empyrical.json").read_text())
    series = {name: np.array([r for r in rows if r is not None]) for name, rows in raw["series"].items()}
    expected = {(case["fn"], case["series"]): case["expected"] for case in raw["cases"]}
    return series, expected, raw["cum_returns"]


@pytest.fixture
def jesse(shared_oracle):
    """Oracle: tests/test_metrics.py of jesse 3.5.3, 365 days a year, as here."""
    raw = json.loads((shared_oracle / "metrics_jesse.json").read_text())
    return np.array(raw["returns"]), {case["fn"]: case["expected"] for case in raw["cases"]}


def test_max_drawdown_agrees_with_empyrical(empyrical):
    series, expected, _ = empyrical
    assert max_drawdown(curve_of(series["mixed_returns"])) == pytest.approx(expected["max_drawdown", "mixed_returns"])


def test_equity_of_returns_agrees_with_empyrical(empyrical):
    series, _, cumulative = empyrical
    equity = curve_of(series["mixed_returns"], cumulative["starting"]).equity
    assert equity == pytest.approx(cumulative["expected"][1:])  # its first row is the NaN return: the start itself


def test_volatility_agrees_with_empyrical_after_annualising_alike(empyrical):
    series, expected, _ = empyrical
    daily = volatility(series["mixed_returns"]) * math.sqrt(252 / 365)
    assert daily == pytest.approx(expected["annual_volatility", "mixed_returns"])
    monthly = daily_returns_std(series["monthly_returns"]) * math.sqrt(12)
    assert monthly == pytest.approx(expected["annual_volatility", "monthly_returns"])


def test_sharpe_ratio_agrees_with_empyrical_after_annualising_alike(empyrical):
    series, expected, _ = empyrical
    ours = sharpe_ratio(series["mixed_returns"]) * math.sqrt(252 / 365)
    assert ours == pytest.approx(expected["sharpe_ratio", "mixed_returns"])


def test_sortino_ratio_agrees_with_empyrical_after_annualising_alike(empyrical):
    series, expected, _ = empyrical
    for name, periods in (("mixed_returns", 252), ("monthly_returns", 12)):
        ours = sortino_ratio(series[name]) * math.sqrt(periods / 365)
        assert ours == pytest.approx(expected["sortino_ratio", name])


def test_downside_risk_agrees_with_empyrical(empyrical):
    series, expected, _ = empyrical
    for name, periods in (("mixed_returns", 252), ("weekly_returns", 52)):
        downside = series[name].mean() / sortino_ratio(series[name]) * math.sqrt(365)  # what the ratio divides by
        assert downside * math.sqrt(periods) == pytest.approx(expected["downside_risk", name])


def test_annualized_return_agrees_with_empyrical_for_periods_of_a_52nd_year(empyrical):
    series, expected, _ = empyrical
    equity = 100 * np.cumprod(1 + series["weekly_returns"])
    week_ms = 365 * DAY_MS // 52
    time_ms = week_ms * np.arange(1, len(equity) + 1, dtype=np.int64)
    curve = EquityCurve(100.0, 0, int(time_ms[-1]), time_ms, equity)
    # 365 days are no whole number of ms times 52; hence the tolerance.
    assert annualized_return(curve) == pytest.approx(expected["annual_return", "weekly_returns"], rel=1e-6)
    assert calmar_ratio(curve) == pytest.approx(expected["calmar_ratio", "weekly_returns"], rel=1e-6)


def test_ratios_agree_with_jesse(jesse):
    returns, expected = jesse
    assert sharpe_ratio(returns) == pytest.approx(expected["sharpe"], rel=1e-12)
    assert sortino_ratio(returns) == pytest.approx(expected["sortino"], rel=1e-12)
    assert max_drawdown(curve_of(returns)) == pytest.approx(expected["max_drawdown"], rel=1e-12)


def test_annualized_return_agrees_with_jesse_which_counts_a_day_less(jesse):
    returns, expected = jesse
    curve = curve_of(returns)  # jesse divides by the days between first and last return: n - 1
    shorter = EquityCurve(curve.initial, DAY_MS, curve.to_ms, curve.time_ms, curve.equity)
    assert annualized_return(shorter) == pytest.approx(expected["cagr"], rel=1e-12)
    assert calmar_ratio(shorter) == pytest.approx(expected["calmar"], rel=1e-12)


def test_omega_of_jesse(jesse):
    assert "omega" in jesse[1]
    pytest.skip("metrics_jesse omega: no such metric here")


def test_no_published_metric_is_left_out(empyrical, jesse):
    assert {name for name, _ in empyrical[1]} == {
        *("max_drawdown", "annual_return", "annual_volatility", "calmar_ratio"),
        *("sharpe_ratio", "sortino_ratio", "downside_risk"),
    }
    assert set(jesse[1]) == {"cagr", "sharpe", "sortino", "calmar", "max_drawdown", "omega"}


def test_drawdown_is_measured_from_the_initial_balance_too():
    assert drawdowns(curve_of([-0.25, 0.1])) == pytest.approx([-0.25, 0.75 * 1.1 - 1])
