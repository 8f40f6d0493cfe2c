"""All numbers of one run at once, in the order of the catalogue."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from backtests.engine.metrics import activity, ratios, returns, risk, trades
from backtests.engine.metrics.benchmark import buy_and_hold
from backtests.engine.metrics.catalogue import METRICS
from backtests.engine.metrics.rows import EquityCurve, FloatArray, RunRows, daily_returns
from backtests.engine.request import Bars, RunRequest

SHORT_SAMPLE_DAYS = 30
DAILY_STATISTICS = {"daily_returns_std", "volatility", "sharpe_ratio", "sortino_ratio"}
ANNUALIZED = {"annualized_return", "calmar_ratio"}


@dataclass(frozen=True, slots=True)
class MetricValue:
    """None: not available. Notes: `short_sample` (under 30 daily returns), `short_span` (under 30 days), `ruined`."""

    value: float | int | None
    standard_error: float | None = None
    note: str = ""


def compute_metrics(result: RunRows, request: RunRequest, *bars: Bars) -> dict[str, MetricValue]:
    """Every metric of the catalogue for one run. `bars`: one Bars per symbol, for the benchmark."""
    curve = EquityCurve.of_run(result, request.from_ms, request.to_ms)
    found = compute_curve_metrics(curve, is_ruined=result.is_ruined)
    for name, function in _OF_TRADES.items():
        found[name] = MetricValue(function(result.trades))
    found["exposure_time"] = MetricValue(activity.exposure_time(result.equity))
    found["avg_exposure"] = MetricValue(activity.avg_exposure(result.equity))
    found["fees"] = MetricValue(activity.fees(result.fills))
    found["slippage"] = MetricValue(activity.slippage(result.fills))
    found["funding"] = MetricValue(activity.funding(result.funding))
    found["liquidations"] = MetricValue(activity.liquidations(result.liquidations))
    found["liquidation_losses"] = MetricValue(activity.liquidation_losses(result.liquidations))
    held = returns.total_return(buy_and_hold(request, bars)) if bars else None
    found["benchmark_return"] = MetricValue(held)
    found["excess_return"] = MetricValue(None if held is None else returns.total_return(curve) - held)
    return {name: _without_nonsense(found[name]) for name in METRICS}


def compute_curve_metrics(curve: EquityCurve, *, is_ruined: bool = False) -> dict[str, MetricValue]:
    """The metrics that any equity curve has: those with `is_of_curve` in the catalogue."""
    daily = daily_returns(curve)
    found: dict[str, float | None] = {
        "net_profit": returns.net_profit(curve),
        "final_equity": curve.final,
        "total_return": returns.total_return(curve),
        "annualized_return": -1.0 if is_ruined else returns.annualized_return(curve),
        "max_drawdown": risk.max_drawdown(curve),
        "calmar_ratio": ratios.calmar_ratio(curve),
        **{name: function(daily) for name, function in _OF_DAILY_RETURNS.items()},
    }
    return {
        name: _without_nonsense(
            MetricValue(
                found[name],
                standard_error=ratios.sharpe_standard_error(daily) if name == "sharpe_ratio" else None,
                note=_note(name, len(daily), curve.seconds, is_ruined),
            )
        )
        for name in METRICS
        if METRICS[name].is_of_curve
    }


def _without_nonsense(metric: MetricValue) -> MetricValue:
    """A number that is not finite is not available."""
    if metric.value is None or math.isfinite(metric.value):
        return metric
    return MetricValue(None, note=metric.note)


def _note(name: str, n_days: int, seconds: float, is_ruined: bool) -> str:
    if name in ANNUALIZED and is_ruined:
        return "ruined"
    if name in ANNUALIZED and seconds < SHORT_SAMPLE_DAYS * 86_400:
        return "short_span"
    if name in DAILY_STATISTICS and n_days < SHORT_SAMPLE_DAYS:
        return "short_sample"
    return ""


_OF_DAILY_RETURNS: dict[str, Callable[[FloatArray], float | None]] = {
    "best_day": returns.best_day,
    "worst_day": returns.worst_day,
    "positive_days": returns.positive_days,
    "daily_returns_std": risk.daily_returns_std,
    "volatility": risk.volatility,
    "sharpe_ratio": ratios.sharpe_ratio,
    "sortino_ratio": ratios.sortino_ratio,
}
_OF_TRADES = {
    function.__name__: function
    for function in (
        trades.total_trades,
        trades.long_trades,
        trades.short_trades,
        trades.open_trades,
        trades.win_rate,
        trades.profit_factor,
        trades.expectancy,
        trades.avg_win,
        trades.avg_loss,
        trades.payoff_ratio,
        trades.avg_leverage,
        trades.max_leverage,
    )
}
