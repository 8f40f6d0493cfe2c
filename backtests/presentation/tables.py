"""Trades and orders as rows of text: codes become words."""

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

REASON_WORDS = {
    Reason.NONE: "",
    Reason.INSUFFICIENT_MARGIN: "Not enough available balance for margin, fee and open loss",
    Reason.BELOW_MIN_NOTIONAL: "Below the exchange's minimum notional",
    Reason.BELOW_MIN_QTY: "Below the exchange's minimum quantity",
    Reason.LEVERAGE_ABOVE_LIMIT: "Leverage above the run's maximum",
    Reason.LEVERAGE_ABOVE_TIER: "Leverage above what the margin tier of this notional allows",
    Reason.SPOT_SHORT: "Spot cannot sell more than is held",
    Reason.REDUCE_ONLY: "Reduce-only, but it would open or add to a position",
    Reason.NO_POSITION: "There was no position to close",
    Reason.INVALID_QTY: "The quantity rounds down to zero steps",
    Reason.INVALID_PRICE: "The price is on the wrong side of the market",
    Reason.WOULD_TAKE: "Post-only, but it would have filled at once",
    Reason.END_OF_DATA: "The data ended before it filled",
    Reason.LIQUIDATED: "The position was liquidated",
    Reason.RUINED: "The account was ruined",
    Reason.BY_STRATEGY: "Cancelled by the strategy",
    Reason.POSITION_CLOSED: "The position it belonged to is closed",
    Reason.GOOD_FOR_BARS: "Its number of bars ran out",
    Reason.ALREADY_THERE: "The position was already at the target",
    Reason.ENTRY_ENDED: "Its entry ended without a fill",
    Reason.REPLACED: "A newer stop or target took its place",
}
EXIT_WORDS = {
    ExitReason.OPEN: "Open",
    ExitReason.ORDER: "Order",
    ExitReason.STOP_LOSS: "Stop loss",
    ExitReason.TAKE_PROFIT: "Take profit",
    ExitReason.TRAILING_STOP: "Trailing stop",
    ExitReason.FLIP: "Flip",
    ExitReason.LIQUIDATION: "Liquidation",
}
KIND_WORDS = {kind: kind.name.replace("_", " ").capitalize() for kind in OrderKind}
STATUS_WORDS = {status: status.name.replace("_", " ").capitalize() for status in OrderStatus}
STATUS_BADGES = {
    OrderStatus.FILLED: "badge-ok",
    OrderStatus.REJECTED: "badge-bad",
    OrderStatus.PENDING: "badge-wait",
    OrderStatus.PARTLY_FILLED: "badge-warn",
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
    is_open: bool
    is_liquidation: bool


@dataclass(frozen=True, slots=True)
class OrderRow:
    number: int
    time: str
    symbol: str
    side: str
    kind: str
    size: str
    qty: str
    leverage: str
    status: str
    badge: str
    reason: str
    filled_qty: str
    average_price: str
    tag: str


def sort_trades(trades: Rows, sort: str) -> Rows:
    """By a key of TRADE_SORTS, "-" before it for descending; an unknown key leaves the order of entry."""
    column = TRADE_SORTS.get(sort.removeprefix("-"))
    if column is None:
        return trades
    order: NDArray[np.intp] = np.argsort(trades[column], kind="stable")
    rows: Rows = trades[order[::-1] if sort.startswith("-") else order]
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
        tag=_tag(report, int(trade["i_tag"])),
        is_open=is_open,
        is_liquidation=int(trade["exit_reason"]) == ExitReason.LIQUIDATION,
    )


def order_rows(orders: Iterable[Any], report: RunReport) -> list[OrderRow]:
    return [_order_row(order, report) for order in orders]


def _order_row(order: Any, report: RunReport) -> OrderRow:
    status = OrderStatus(int(order["status"]))
    return OrderRow(
        number=int(order["order_id"]) + 1,
        time=format_time(int(order["time_ms"])),
        symbol=report.request.symbols[int(order["i_symbol"])],
        side="Buy" if order["side"] > 0 else "Sell",
        kind=KIND_WORDS[OrderKind(int(order["kind"]))],
        size=_size_words(int(order["size_kind"]), float(order["size"])),
        qty=format_qty(float(order["qty"])),
        leverage=DASH if order["is_reduce_only"] else format_leverage(float(order["leverage"])),
        status=STATUS_WORDS[status],
        badge=STATUS_BADGES.get(status, ""),
        reason=REASON_WORDS[Reason(int(order["reason"]))],
        filled_qty=format_qty(float(order["filled_qty"])),
        average_price=format_price(float(order["average_price"])),
        tag=_tag(report, int(order["i_tag"])),
    )


def _size_words(kind: int, size: float) -> str:
    if kind == SizeKind.EQUITY_RATIO:
        return f"{format_ratio(size)} of equity"
    if kind == SizeKind.NOTIONAL:
        return f"{format_number(size)} notional"
    if kind == SizeKind.POSITION_PERCENT:
        return f"{size:g} % of the position"
    if kind == SizeKind.TARGET_RATIO:
        return f"target {format_number(size, is_signed=True)}x equity"
    return format_qty(size)


def _tag(report: RunReport, i_tag: int) -> str:
    return report.tags[i_tag] if 0 <= i_tag < len(report.tags) else ""


def rejected_orders(orders: Rows) -> Rows:
    rows: Rows = orders[orders["status"] == OrderStatus.REJECTED]
    return rows


def count_reasons(orders: Rows) -> list[tuple[str, int]]:
    """Why orders were rejected, in words, the most frequent first."""
    reasons, counts = np.unique(rejected_orders(orders)["reason"], return_counts=True)
    found = [(REASON_WORDS[Reason(int(reason))], int(n)) for reason, n in zip(reasons, counts, strict=True)]
    return sorted(found, key=lambda pair: -pair[1])


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
        return [_tag(report, i) for i in values]
    if enum := _ENUMS.get(name):
        return [enum(value).name.lower() for value in values]
    if name in ("exit_ms", "i_bar_exit", "i_bar_done", "parent_id"):
        return [None if value < 0 else value for value in values]
    return [None if value != value else value for value in values]
