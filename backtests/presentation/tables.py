"""Trades as rows of text, and the rows of any table as plain records: codes become words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason, SizeKind
from backtests.presentation.numbers import (
    DASH,
    format_leverage,
    format_number,
    format_price,
    format_qty,
    format_ratio,
    format_time,
)
from backtests.run_report import Rows, RunReport

EXIT_WORDS = {
    ExitReason.OPEN: "Open",
    ExitReason.ORDER: "Order",
    ExitReason.STOP_LOSS: "Stop loss",
    ExitReason.TAKE_PROFIT: "Take profit",
    ExitReason.TRAILING_STOP: "Trailing stop",
    ExitReason.FLIP: "Flip",
    ExitReason.LIQUIDATION: "Liquidation",
}
# Sort keys of the trade table, as they stand in its address.
TRADE_SORTS = {
    "number": "trade_id",
    "entry": "entry_ms",
    "exit": "exit_ms",
    "qty": "qty",
    "leverage": "leverage",
    "pnl": "pnl",
    "fees": "fees",
    "funding": "funding",
    "mae": "mae",
    "mfe": "mfe",
}


@dataclass(frozen=True, slots=True)
class TradeRow:
    number: int
    symbol: str
    side: str
    leverage: str
    qty: str
    entry_time: str
    entry_price: str
    exit_time: str
    exit_price: str
    exit_reason: str
    pnl: str
    pnl_ratio: str
    tone: str
    fees: str
    funding: str
    mae: str
    mfe: str
    n_bars: str
    tag: str
    is_ambiguous: bool
    is_open: bool
    is_liquidation: bool


def sort_trades(trades: Rows, sort: str) -> Rows:
    """By a key of TRADE_SORTS, "-" before it for descending; an unknown key leaves the order of entry."""
    column = TRADE_SORTS.get(sort.removeprefix("-"))
    if column is None:
        return trades
    order: NDArray[np.intp] = np.argsort(trades[column], kind="stable")
    rows: Rows = trades[order[::-1] if sort.startswith("-") else order]
    return rows


def ambiguous_trades(trades: Rows) -> Rows:
    """Those with a fill that another order of a bar's extremes would have changed."""
    rows: Rows = trades[trades["is_ambiguous"]]
    return rows


def trade_rows(trades: Iterable[Any], report: RunReport) -> list[TradeRow]:
    return [_trade_row(trade, report) for trade in trades]


def _trade_row(trade: Any, report: RunReport) -> TradeRow:
    is_open = int(trade["i_bar_exit"]) < 0
    pnl, margin = float(trade["pnl"]), float(trade["initial_margin"])
    n_bars = DASH if is_open else f"{int(trade['i_bar_exit']) - int(trade['i_bar_entry']):,}"
    return TradeRow(
        number=int(trade["trade_id"]) + 1,
        symbol=report.request.symbols[int(trade["i_symbol"])],
        side="Long" if trade["side"] > 0 else "Short",
        leverage=format_leverage(float(trade["leverage"])),
        qty=format_qty(float(trade["qty"])),
        entry_time=format_time(int(trade["entry_ms"])),
        entry_price=format_price(float(trade["entry_price"])),
        exit_time="Open" if is_open else format_time(int(trade["exit_ms"])),
        exit_price=format_price(float(trade["exit_price"])),
        exit_reason=EXIT_WORDS[ExitReason(int(trade["exit_reason"]))],
        pnl=format_number(pnl, is_signed=True),
        pnl_ratio=format_ratio(pnl / margin, is_signed=True) if margin > 0 else DASH,
        tone="gain" if pnl > 0 else "loss" if pnl < 0 else "",
        fees=format_number(float(trade["fees"])),
        funding=format_number(float(trade["funding"]), is_signed=True),
        mae=format_number(float(trade["mae"]), is_signed=True),
        mfe=format_number(float(trade["mfe"]), is_signed=True),
        n_bars=n_bars,
        tag=tag_of(report, int(trade["i_tag"])),
        is_ambiguous=bool(trade["is_ambiguous"]),
        is_open=is_open,
        is_liquidation=int(trade["exit_reason"]) == ExitReason.LIQUIDATION,
    )


def tag_of(report: RunReport, i_tag: int) -> str:
    return report.tags[i_tag] if 0 <= i_tag < len(report.tags) else ""


# Codes that become words where rows leave the house as CSV or JSON.
_ENUMS = {"kind": OrderKind, "status": OrderStatus, "reason": Reason, "size_kind": SizeKind, "exit_reason": ExitReason}


def to_records(rows: Rows, report: RunReport) -> tuple[list[str], list[list[Any]]]:
    """Column names and plain values: codes as lower-case words, symbols and tags by name, NaN as None.

    `side` stays +1 (buy, long) or -1 (sell, short); what has not happened yet (-1 in the rows) is None.
    """
    columns = [_PUBLIC_NAMES.get(name, name) for name in rows.dtype.names or ()]
    plain = [_plain_column(name, rows[name].tolist(), report) for name in rows.dtype.names or ()]
    return columns, [list(record) for record in zip(*plain, strict=True)]


_PUBLIC_NAMES = {"i_symbol": "symbol", "i_tag": "tag"}


def _plain_column(name: str, values: list[Any], report: RunReport) -> list[Any]:
    if name == "i_symbol":
        return [report.request.symbols[i] for i in values]
    if name == "i_tag":
        return [tag_of(report, i) for i in values]
    if enum := _ENUMS.get(name):
        return [enum(value).name.lower() for value in values]
    if name in ("exit_ms", "i_bar_exit", "i_bar_done", "parent_id"):
        return [None if value < 0 else value for value in values]
    return [None if value != value else value for value in values]
