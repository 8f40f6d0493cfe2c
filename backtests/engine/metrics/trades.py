"""Round trips. Every function takes the trade rows of a run; open trades are left out unless the name says so."""

import numpy as np

from backtests.engine.metrics.rows import FloatArray, Rows


def closed_trades(trades: Rows) -> Rows:
    closed: Rows = trades[trades["i_bar_exit"] >= 0]
    return closed


def closed_pnl(trades: Rows) -> FloatArray:
    """PnL of closed trades, after fees, funding and liquidation losses, in quote currency."""
    return np.asarray(closed_trades(trades)["pnl"], dtype=np.float64)


def total_trades(trades: Rows) -> int:
    return len(closed_trades(trades))


def long_trades(trades: Rows) -> int:
    return int(np.count_nonzero(closed_trades(trades)["side"] > 0))


def short_trades(trades: Rows) -> int:
    return int(np.count_nonzero(closed_trades(trades)["side"] < 0))


def open_trades(trades: Rows) -> int:
    return len(trades) - total_trades(trades)


def win_rate(trades: Rows) -> float | None:
    """Share of closed trades with PnL above zero."""
    pnl = closed_pnl(trades)
    return float((pnl > 0).mean()) if len(pnl) else None


def profit_factor(trades: Rows) -> float | None:
    """Sum of winning PnL / |sum of losing PnL|, after fees and funding; None when nothing was lost."""
    pnl = closed_pnl(trades)
    lost = float(-pnl[pnl < 0].sum())
    return float(pnl[pnl > 0].sum()) / lost if lost > 0 else None


def expectancy(trades: Rows) -> float | None:
    """Mean PnL of a closed trade."""
    pnl = closed_pnl(trades)
    return float(pnl.mean()) if len(pnl) else None


def avg_win(trades: Rows) -> float | None:
    pnl = closed_pnl(trades)
    wins = pnl[pnl > 0]
    return float(wins.mean()) if len(wins) else None


def avg_loss(trades: Rows) -> float | None:
    """Mean PnL of losing trades, < 0."""
    pnl = closed_pnl(trades)
    losses = pnl[pnl < 0]
    return float(losses.mean()) if len(losses) else None


def payoff_ratio(trades: Rows) -> float | None:
    """avg_win / |avg_loss|."""
    win, loss = avg_win(trades), avg_loss(trades)
    return None if win is None or loss is None else win / -loss


def avg_leverage(trades: Rows) -> float | None:
    """Mean leverage at the opening fill, over all trades, open ones included."""
    return float(trades["leverage"].mean()) if len(trades) else None


def max_leverage(trades: Rows) -> float | None:
    return float(trades["leverage"].max()) if len(trades) else None
