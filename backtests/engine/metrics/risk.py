"""How rough the way was."""

import math

import numpy as np

from backtests.engine.metrics.rows import DAYS_A_YEAR, EquityCurve, FloatArray, drawdowns

# Returns are quotients of floats of size one; a spread below this is rounding, not variance.
ROUNDING = 1e-12


def daily_returns_std(returns: FloatArray) -> float | None:
    """Standard deviation of daily returns, ddof 1; None for fewer than two."""
    return float(np.std(returns, ddof=1)) if len(returns) >= 2 else None


def volatility(returns: FloatArray) -> float | None:
    """std(r) * sqrt(365)."""
    spread = daily_returns_std(returns)
    return None if spread is None else spread * math.sqrt(DAYS_A_YEAR)


def max_drawdown(curve: EquityCurve) -> float:
    """The deepest fraction below the running peak of bar-close equity, <= 0; the peak includes the initial balance."""
    depths = drawdowns(curve)
    return float(depths.min()) if len(depths) else 0.0


def has_variance(returns: FloatArray) -> bool:
    spread = daily_returns_std(returns)
    return spread is not None and spread > ROUNDING
