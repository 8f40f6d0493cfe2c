"""What trading cost and how much of the time the account was in the market."""

import numpy as np

from backtests.engine.metrics.rows import Rows


def fees(fills: Rows) -> float:
    """Sum of fees charged on fills."""
    return float(fills["fee"].sum())


def slippage(fills: Rows) -> float:
    """Cash lost to slipped prices, >= 0."""
    return float(fills["slippage"].sum())


def funding(payments: Rows) -> float:
    """Sum of funding payments; positive when received."""
    return float(payments["payment"].sum())


def exposure_time(equity: Rows) -> float | None:
    """Share of bars at whose close a position was open."""
    return float(np.count_nonzero(equity["exposure"]) / len(equity)) if len(equity) else None


def avg_exposure(equity: Rows) -> float | None:
    """Time-weighted |notional| / margin balance over all bars."""
    return float(np.abs(equity["exposure"]).mean()) if len(equity) else None


def liquidations(rows: Rows) -> int:
    return len(rows)


def liquidation_losses(rows: Rows) -> float:
    """What liquidations took from the wallet; apart from gross realised PnL, part of the trades' PnL.

    Isolated: >= 0. Cross: a position may have brought something when the account was closed.
    """
    return float(rows["loss"].sum())
