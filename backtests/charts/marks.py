"""Where trades began and ended, as marks: shape and filling tell what colour tells."""

from typing import Any

from backtests.charts.detail import FloatArray, IntArray
from backtests.engine.kernels.types import ExitReason
from backtests.run_report import Rows


def list_marks(trades: Rows) -> list[tuple[str, str, str, IntArray, FloatArray, list[str]]]:
    """Role, label, symbol, times, prices and texts of each kind of mark."""
    is_long, is_liquidated = trades["side"] > 0, trades["exit_reason"] == ExitReason.LIQUIDATION
    is_closed = trades["exit_ms"] >= 0
    groups = (
        ("gain-mark", "Long entry", "triangle-up", is_long, "entry"),
        ("loss-mark", "Short entry", "triangle-down", ~is_long, "entry"),
        ("exit-win", "Exit with a win", "circle-open", is_closed & ~is_liquidated & (trades["pnl"] > 0), "exit"),
        ("exit-loss", "Exit with a loss", "square-open", is_closed & ~is_liquidated & (trades["pnl"] <= 0), "exit"),
        ("liquidation", "Liquidation", "x", is_liquidated, "exit"),
    )
    return [
        (role, label, symbol, rows[f"{end}_ms"], rows[f"{end}_price"], [_say_mark(label, row, end) for row in rows])
        for role, label, symbol, chosen, end in groups
        for rows in (trades[chosen],)
    ]


def _say_mark(label: str, trade: Any, end: str) -> str:
    text = f"{label} #{trade['trade_id'] + 1}: {trade['qty']:.8g} at {trade[f'{end}_price']:,.8g}"
    return text if end == "entry" else f"{text}, PnL {trade['pnl']:+,.2f}"
