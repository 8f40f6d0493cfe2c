"""How much was earned."""

import math

from backtests.engine.metrics.rows import DAYS_A_YEAR, EquityCurve, FloatArray


def net_profit(curve: EquityCurve) -> float:
    """E_T - E_0."""
    return curve.final - curve.initial


def total_return(curve: EquityCurve) -> float:
    """E_T / E_0 - 1."""
    return curve.final / curve.initial - 1.0


def annualized_return(curve: EquityCurve) -> float | None:
    """(E_T / E_0)^(365 * 86400 / seconds) - 1; -1 when nothing is left; None when it is too large to say."""
    if curve.final <= 0:
        return -1.0
    if curve.seconds <= 0:
        return None
    try:
        growth = math.exp(math.log(curve.final / curve.initial) * DAYS_A_YEAR * 86_400 / curve.seconds)
    except OverflowError:
        return None
    return growth - 1.0


def best_day(returns: FloatArray) -> float | None:
    return float(returns.max()) if len(returns) else None


def worst_day(returns: FloatArray) -> float | None:
    return float(returns.min()) if len(returns) else None


def positive_days(returns: FloatArray) -> float | None:
    """Share of full UTC days that ended higher than they began."""
    return float((returns > 0).mean()) if len(returns) else None
