"""Return against risk. Risk-free 0, 365 days a year, ddof 1; None without two returns or without variance."""

import math

import numpy as np

from backtests.engine.metrics.returns import annualized_return
from backtests.engine.metrics.risk import ROUNDING, has_variance, max_drawdown
from backtests.engine.metrics.rows import DAYS_A_YEAR, EquityCurve, FloatArray


def sharpe_ratio(returns: FloatArray) -> float | None:
    """mean(r) / std(r) * sqrt(365)."""
    if not has_variance(returns):
        return None
    return float(returns.mean() / np.std(returns, ddof=1)) * math.sqrt(DAYS_A_YEAR)


def sharpe_standard_error(returns: FloatArray) -> float | None:
    """sqrt((1 - g3*s + (g4-1)/4 * s^2) / (T-1)) * sqrt(365), s the daily ratio, g3 skew, g4 plain kurtosis."""
    if not has_variance(returns):
        return None
    s = float(returns.mean() / np.std(returns, ddof=1))
    centred = returns - returns.mean()
    variance = float((centred**2).mean())
    skew = float((centred**3).mean()) / variance**1.5
    kurtosis = float((centred**4).mean()) / variance**2
    inner = 1 - skew * s + (kurtosis - 1) / 4 * s * s
    return math.sqrt(max(inner, 0.0) / (len(returns) - 1)) * math.sqrt(DAYS_A_YEAR)


def sortino_ratio(returns: FloatArray) -> float | None:
    """mean(r) / sqrt(sum(min(r, 0)^2) / T) * sqrt(365); None when no day lost."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    if downside <= ROUNDING:
        return None
    return float(returns.mean()) / downside * math.sqrt(DAYS_A_YEAR)


def calmar_ratio(curve: EquityCurve) -> float | None:
    """annualized_return / |max_drawdown|."""
    depth, growth = max_drawdown(curve), annualized_return(curve)
    return None if growth is None or depth >= -ROUNDING else growth / -depth
