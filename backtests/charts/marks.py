"""Where trades began and ended, as marks: shape and filling tell what colour tells."""

from typing import Any

from backtests.charts.detail import FloatArray, IntArray
from backtests.engine.kernels.types import ExitReason
from backtests.run_report import Rows

# What closed a trade, with the shapes of a win and of a loss.
EXITS = (
    ("Exit", (ExitReason.ORDER, ExitReason.FLIP), "circle-open", "square-open"),
    ("Stop loss", (ExitReason.STOP_LOSS,), "star-open", "cross-open"),
    ("Take profit", (ExitReason.TAKE_PROFIT,), "diamond-open", "diamond-x-open"),
    ("Trailing stop", (ExitReason.TRAILING_STOP,), "hourglass-open", "bowtie-open"),
)


def list_marks(trades: Rows) -> list[tuple[str, str, str, IntArray, FloatArray, list[str]]]:
    """Role, label, symbol, times, prices and texts of each kind of mark."""
    is_long, is_won = trades["side"] > 0, trades["pnl"] > 0
    is_closed, reason = trades["exit_ms"] >= 0, trades["exit_reason"]
    groups = [
        ("gain-mark", "Long entry", "triangle-up", is_long, "entry"),
        ("loss-mark", "Short entry", "triangle-down", ~is_long, "entry"),
    ]
    for label, reasons, won, lost in EXITS:
        is_this = is_closed & sum(reason == code for code in reasons).astype(bool)
        groups.append(("exit-win", f"{label} with a win", won, is_this & is_won, "exit"))
        groups.append(("exit-loss", f"{label} with a loss", lost, is_this & ~is_won, "exit"))
    groups.append(("liquidation", "Liquidation", "x", reason == ExitReason.LIQUIDATION, "exit"))
    return [
        (role, label, symbol, rows[f"{end}_ms"], rows[f"{end}_price"], [_say_mark(label, row, end) for row in rows])
        for role, label, symbol, chosen, end in groups
        for rows in (trades[chosen],)
    ]


def _say_mark(label: str, trade: Any, end: str) -> str:
    text = f"{label} #{trade['trade_id'] + 1}: {trade['qty']:.8g} at {trade[f'{end}_price']:,.8g}"
    if end == "entry":
        return text
    doubt = ", ambiguous bar" if trade["is_ambiguous"] else ""
    return f"{text}, PnL {trade['pnl']:+,.2f}{doubt}"
