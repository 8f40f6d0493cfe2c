"""The exchange's formulas as plain functions, over the kernels that the engine itself uses."""

import math
from collections.abc import Sequence

import numpy as np

from backtests.engine.errors import DataError
from backtests.engine.kernels.funding import payment_of
from backtests.engine.kernels.layout import TIER
from backtests.engine.kernels.margin import liquidation_level_by, maintenance_by
from backtests.engine.kernels.state import Rows
from backtests.engine.request import MarginTier, check_tiers


def liquidation_price(
    *,
    side: int,
    qty: float,
    entry_price: float,
    wallet_balance: float,
    tiers: Sequence[MarginTier],
    other_maintenance_margin: float = 0.0,
    other_unrealized_pnl: float = 0.0,
) -> float | None:
    """The mark price at which a position of qty (> 0) is liquidated; None where no price does it, or none is left.

    side: +1 long, -1 short. Isolated: wallet_balance is the position's isolated wallet. Cross: the cross wallet,
    with the maintenance margin and the signed unrealised PnL of the other positions. A long's maximum over the
    tiers, a short's minimum; at or below 0 a long cannot be liquidated and a short is due already: None.
    Raises ValueError for what is no position, DataError for tiers that are none.
    """
    balance = wallet_balance - other_maintenance_margin + other_unrealized_pnl
    is_possible = side in (1, -1) and 0.0 < qty < math.inf and 0.0 < entry_price < math.inf
    if not (is_possible and math.isfinite(balance)):
        raise ValueError("side is +1 or -1, qty and entry_price are above zero, and all of it are numbers")
    level = float(liquidation_level_by(side, float(qty), float(entry_price), float(balance), tier_rows(tiers)))
    return level if level > 0.0 else None


def maintenance_margin(*, notional: float, tiers: Sequence[MarginTier]) -> float:
    """notional (>= 0, quote currency) x the rate of its tier - the tier's cumulative amount."""
    if not 0.0 <= notional < math.inf:
        raise ValueError("notional is a number and not negative")
    rows = tier_rows(tiers)
    return float(maintenance_by(rows, float(notional)))


def funding_payment(*, position_qty: float, mark_price: float, rate: float) -> float:
    """Signed cash, positive = received: -position_qty x mark_price x rate. position_qty is signed."""
    return float(payment_of(float(position_qty), float(mark_price), float(rate)))


def tier_rows(tiers: Sequence[MarginTier]) -> Rows:
    """Raises DataError for no tiers, and for tiers with holes."""
    if not tiers:
        raise DataError("At least one margin tier is needed.")
    check_tiers(tuple(tiers))
    return np.array([(t.floor, t.cap, t.maintenance_rate, t.max_leverage, t.cumulative) for t in tiers], TIER)
