"""What can never be an order: the words that an Account refuses before anything is logged."""

import math
from collections.abc import Sequence
from typing import Any

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import OrderKind, OrderStatus, SizeKind

MAX_TARGETS = 20  # of one entry
MAX_BARS = 2**31 - 1
_LIMITS = (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
_TRIGGERS = (OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT)
_EXITS = (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP)

_RELATIVE = (SizeKind.POSITION_PERCENT, SizeKind.TARGET_RATIO, SizeKind.TARGET_QTY, SizeKind.TARGET_NOTIONAL)


def check_positive(name: str, number: float) -> None:
    if not 0.0 < number < math.inf:
        raise OrderError(f"{name} must be a number above zero; {number!r} is not.")


def check_words(
    prices: tuple[float, float, float, float],
    take_profit: float | Sequence[tuple[float, float]],
    *,
    is_reduce_only: bool,
    is_post_only: bool,
    good_for_bars: int,
) -> Sequence[tuple[float, float]]:
    """prices: limit, stop, stop loss, trailing ratio; NaN where not given. Returns the targets as (share, price)."""
    limit_price, stop_price, stop_loss, trailing_ratio = prices
    for name, number in (("limit", limit_price), ("stop", stop_price), ("stop_loss", stop_loss)):
        if not math.isnan(number):
            check_positive(name, number)
    if not (math.isnan(trailing_ratio) or 0.0 < trailing_ratio < 1.0):
        raise OrderError(f"trailing_ratio is a ratio above 0 and below 1 (0.02 is 2 %), not {trailing_ratio!r}.")
    targets = read_targets(take_profit)
    if is_reduce_only and (targets or not math.isnan(stop_loss) or not math.isnan(trailing_ratio)):
        raise OrderError("A stop loss, target or trailing stop belongs to an order that opens, not to reduce_only.")
    if is_post_only and math.isnan(limit_price):
        raise OrderError("post_only is for orders with a limit: only those can wait in the book.")
    if not 0 <= good_for_bars <= MAX_BARS:
        raise OrderError(f"good_for_bars is a number of bars, at least 1; {good_for_bars!r} is not.")
    return targets


def read_targets(take_profit: float | Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """(share, price) of each target: one price takes all."""
    if isinstance(take_profit, int | float):
        if math.isnan(take_profit):
            return ()
        check_positive("take_profit", take_profit)
        return ((1.0, take_profit),)
    if not 1 <= len(take_profit) <= MAX_TARGETS:
        raise OrderError(f"take_profit lists 1 to {MAX_TARGETS} targets, not {len(take_profit)}.")
    for share, price in take_profit:
        check_positive("The share of a take_profit", share)
        check_positive("take_profit", price)
    total = sum(share for share, _ in take_profit)
    if total > 1.0 + 1e-9:
        raise OrderError(f"The shares of take_profit make up at most 1, not {total:g}.")
    return take_profit


def check_change(order: Any, limit_price: float, stop_price: float, qty: float) -> None:
    """Whether an order (a row of kernels.types.ORDER) can be changed so. Raises OrderError."""
    number, kind, status = int(order["order_id"]), OrderKind(int(order["kind"])), OrderStatus(int(order["status"]))
    name = kind.name.lower().replace("_", " ")
    if status > OrderStatus.PARTLY_FILLED:
        raise OrderError(f"Order {number} is {status.name.lower()}; only an order that waits can be changed.")
    if math.isnan(limit_price) and math.isnan(stop_price) and math.isnan(qty):
        raise OrderError("Say what to change: limit, stop or qty.")
    for word, given, kinds in (("limit", limit_price, _LIMITS), ("stop", stop_price, _TRIGGERS)):
        if math.isnan(given):
            continue
        check_positive(word, given)
        if kind not in kinds:
            raise OrderError(f"Order {number} is a {name} order; it has no {word} to change.")
    if not math.isnan(qty):
        check_positive("qty", qty)
        if kind in _EXITS or order["size_kind"] in _RELATIVE:
            raise OrderError(f"Order {number} ({name}) takes its quantity from the position; there is none to change.")
