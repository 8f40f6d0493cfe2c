"""Orders as rows of text, each with its fate and the reason for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind
from backtests.presentation.numbers import (
    DASH,
    format_leverage,
    format_number,
    format_price,
    format_qty,
    format_ratio,
    format_time,
)
from backtests.presentation.tables import tag_of
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
KIND_WORDS = {kind: kind.name.replace("_", " ").capitalize() for kind in OrderKind}
STATUS_WORDS = {status: status.name.replace("_", " ").capitalize() for status in OrderStatus}
STATUS_BADGES = {
    OrderStatus.FILLED: "badge-ok",
    OrderStatus.REJECTED: "badge-bad",
    OrderStatus.PENDING: "badge-wait",
    OrderStatus.PARTLY_FILLED: "badge-warn",
}

# Fates by which the table is filtered, as they stand in its address.
FATES = {status.name.lower(): status for status in OrderStatus}


@dataclass(frozen=True, slots=True)
class OrderRow:
    number: int
    time: str
    symbol: str
    side: str
    kind: str
    notes: tuple[str, ...]
    size: str
    qty: str
    limit_price: str
    trigger: str
    leverage: str
    status: str
    badge: str
    reason: str
    ended: str
    filled_qty: str
    average_price: str
    tag: str


@dataclass(frozen=True, slots=True)
class Fate:
    """How many orders ended in one way; `name` selects them in the table's address."""

    name: str
    label: str
    n: int


@dataclass(frozen=True, slots=True)
class ReasonCount:
    status: str
    reason: str
    n: int


def choose_orders(orders: Rows, fate: str) -> Rows:
    """Those of one fate; an unknown one leaves all."""
    if fate not in FATES:
        return orders
    rows: Rows = orders[orders["status"] == FATES[fate]]
    return rows


def list_fates(orders: Rows) -> list[Fate]:
    """The fates that occurred, with their numbers."""
    counts = np.bincount(orders["status"].astype(np.int64), minlength=max(OrderStatus) + 1)
    return [Fate(name, STATUS_WORDS[status], int(counts[status])) for name, status in FATES.items() if counts[status]]


def count_reasons(orders: Rows) -> list[ReasonCount]:
    """Why orders were rejected, cancelled or expired, in words, the most frequent first."""
    ended = orders[orders["reason"] != Reason.NONE]
    pairs, counts = np.unique(np.stack([ended["status"], ended["reason"]], axis=1), axis=0, return_counts=True)
    found = [
        ReasonCount(STATUS_WORDS[OrderStatus(int(status))], REASON_WORDS[Reason(int(reason))], int(n))
        for (status, reason), n in zip(pairs, counts, strict=True)
    ]
    return sorted(found, key=lambda row: -row.n)


def order_rows(orders: Iterable[Any], report: RunReport) -> list[OrderRow]:
    closes_ms = report.tables["equity"]["time_ms"]
    return [_order_row(order, report, closes_ms) for order in orders]


def _order_row(order: Any, report: RunReport, closes_ms: Any) -> OrderRow:
    status = OrderStatus(int(order["status"]))
    i_done = int(order["i_bar_done"]) - report.first_bar
    return OrderRow(
        number=int(order["order_id"]) + 1,
        time=format_time(int(order["time_ms"])),
        symbol=report.request.symbols[int(order["i_symbol"])],
        side="Buy" if order["side"] > 0 else "Sell",
        kind=KIND_WORDS[OrderKind(int(order["kind"]))],
        notes=_say_notes(order),
        size=_say_size(order),
        qty=format_qty(float(order["qty"])),
        limit_price=_price_or_nothing(float(order["limit_price"])),
        trigger=_price_or_nothing(float(order["stop_price"])),
        leverage=DASH if order["is_reduce_only"] else format_leverage(float(order["leverage"])),
        status=STATUS_WORDS[status],
        badge=STATUS_BADGES.get(status, ""),
        reason=REASON_WORDS[Reason(int(order["reason"]))],
        ended=format_time(int(closes_ms[i_done])) if 0 <= i_done < len(closes_ms) else DASH,
        filled_qty=format_qty(float(order["filled_qty"])),
        average_price=_price_or_nothing(float(order["average_price"])),
        tag=tag_of(report, int(order["i_tag"])),
    )


def _price_or_nothing(price: float) -> str:
    """Most orders have neither limit nor trigger: an empty cell reads better than a column of dashes."""
    return "" if price != price or price == 0 else format_price(price)


def _say_notes(order: Any) -> tuple[str, ...]:
    """What else was asked for."""
    notes = []
    if (parent := int(order["parent_id"])) >= 0:
        notes.append(f"attached to #{parent + 1}")
    elif order["is_reduce_only"]:
        notes.append("reduce-only")
    if (ratio := float(order["trailing_ratio"])) > 0:
        notes.append(f"trails by {format_ratio(ratio)}")
    if order["is_post_only"]:
        notes.append("post-only")
    if n := int(order["good_for_bars"]):
        notes.append(f"good for {n:,} {'bars' if n > 1 else 'bar'}")
    return tuple(notes)


def _say_size(order: Any) -> str:
    kind, size, share = int(order["size_kind"]), float(order["size"]), float(order["share"])
    if int(order["parent_id"]) >= 0:
        return "all of its entry" if not 0 < share < 1 else f"{format_ratio(share)} of its entry"
    match kind:
        case SizeKind.EQUITY_RATIO:
            return f"{format_ratio(size)} of equity"
        case SizeKind.NOTIONAL:
            return f"{format_number(size)} notional"
        case SizeKind.POSITION_PERCENT:
            return f"{size:g} % of the position"
        case SizeKind.TARGET_RATIO:
            return f"target {format_number(size, is_signed=True)}x equity"
        case SizeKind.TARGET_QTY:
            return f"target {format_qty(size)}"
        case SizeKind.TARGET_NOTIONAL:
            return f"target {format_number(size, is_signed=True)} notional"
    return format_qty(size)
