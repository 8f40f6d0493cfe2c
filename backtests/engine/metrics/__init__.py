"""The numbers of a result: one pure function each, computed from the rows of record."""

from backtests.engine.metrics.benchmark import buy_and_hold
from backtests.engine.metrics.breakdowns import MonthReturn, monthly_returns
from backtests.engine.metrics.catalogue import METRICS, Group, MetricSpec, Unit
from backtests.engine.metrics.compute import MetricValue, compute_curve_metrics, compute_metrics
from backtests.engine.metrics.rows import EquityCurve, RunRows, daily_returns, drawdowns

__all__ = [
    "METRICS",
    "EquityCurve",
    "Group",
    "MetricSpec",
    "MetricValue",
    "MonthReturn",
    "RunRows",
    "Unit",
    "buy_and_hold",
    "compute_curve_metrics",
    "compute_metrics",
    "daily_returns",
    "drawdowns",
    "monthly_returns",
]
