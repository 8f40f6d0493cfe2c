"""What a strategy says about an order, and the answer it gets."""

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind
from backtests.engine.portfolio import Account

SIZE_WORDS = "amount (base quantity), notional (quote currency) or equity_ratio (share of the equity)"
NAN = math.nan


class Order:
    """The answer to buy, sell, close_position, target_ratio: truthy unless rejected. Its facts are always current."""

    __slots__ = ("_account", "order_id")

    def __init__(self, account: Account, order_id: int) -> None:
        self._account = account
        self.order_id = order_id

    @property
    def _row(self) -> Any:
        return self._account.order(self.order_id)

    @property
    def status(self) -> str:
        """pending, partly_filled, filled, cancelled, rejected or expired."""
        return OrderStatus(int(self._row["status"])).name.lower()

    @property
    def reject_reason(self) -> str:
        """Why it was rejected, cancelled or expired, for example INSUFFICIENT_MARGIN; empty when it was not."""
        reason = Reason(int(self._row["reason"]))
        return "" if reason is Reason.NONE else reason.name

    @property
    def symbol(self) -> str:
        return self._account.request.symbols[int(self._row["i_symbol"])]

    @property
    def side(self) -> str:
        return "buy" if self._row["side"] > 0 else "sell"

    @property
    def kind(self) -> str:
        """market, limit, stop, ..."""
        return OrderKind(int(self._row["kind"])).name.lower()

    @property
    def qty(self) -> float:
        """The quantity that its size came to; NaN until that is known."""
        return float(self._row["qty"])

    @property
    def filled_qty(self) -> float:
        return float(self._row["filled_qty"])

    @property
    def average_price(self) -> float:
        """NaN while nothing is filled."""
        return float(self._row["average_price"])

    @property
    def is_waiting(self) -> bool:
        return self._row["status"] in (OrderStatus.PENDING, OrderStatus.PARTLY_FILLED)

    @property
    def attached(self) -> tuple["Order", ...]:
        """The stop and the targets that came with it."""
        rows = self._account.orders
        return tuple(Order(self._account, int(i)) for i in rows["order_id"][rows["parent_id"] == self.order_id])

    def cancel(self) -> bool:
        """True when it waited and is now cancelled."""
        return self._account.cancel(self.order_id)

    def modify(self, limit: float | None = None, stop: float | None = None, qty: float | None = None) -> bool:
        raise OrderError("Changing a waiting order is not available yet; cancel it and make a new one.")

    def __bool__(self) -> bool:
        return bool(self._row["status"] != OrderStatus.REJECTED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and other.order_id == self.order_id

    def __hash__(self) -> int:
        return hash(self.order_id)

    def __repr__(self) -> str:
        reason = f" {self.reject_reason}" if self.reject_reason else ""
        return f"<Order {self.order_id}: {self.side} {self.qty:g} {self.symbol} {self.status}{reason}>"


def read_size(amount: Any, notional: Any, equity_ratio: Any) -> tuple[SizeKind, float]:
    """Exactly one way of saying how much. Raises OrderError for none, two, or a number that is no size."""
    ways = {"amount": amount, "notional": notional, "equity_ratio": equity_ratio}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given" if given else "none is given"
        raise OrderError(f"Say how much in exactly one way, by {SIZE_WORDS}: {what}.")
    name = given[0]
    size = read_positive(name, ways[name])
    if name == "equity_ratio" and size > 1:
        raise OrderError(f"equity_ratio is a share of the equity, at most 1.0, not {size:g}. Leverage goes beyond it.")
    return {"amount": SizeKind.QTY, "notional": SizeKind.NOTIONAL, "equity_ratio": SizeKind.EQUITY_RATIO}[name], size


def read_number(name: str, value: Any) -> float:
    """A finite number. Raises OrderError for anything else, a boolean and a text included."""
    if isinstance(value, bool | str | bytes) or not isinstance(value, SupportsFloat):
        raise OrderError(f"{name} must be a number, not {value!r:.60}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise OrderError(f"{name} must be a number, not {type(value).__name__}.") from None
    if math.isnan(number):
        raise OrderError(f"{name} is NaN. An indicator is NaN until it has enough bars; test for that first.")
    if math.isinf(number):
        raise OrderError(f"{name} is infinite.")
    return number


def read_positive(name: str, value: Any) -> float:
    number = read_number(name, value)
    if number <= 0:
        hint = " buy() and sell() say the direction." if name in ("amount", "notional", "equity_ratio") else ""
        raise OrderError(f"{name} must be above zero, not {number:g}.{hint}")
    return number


def read_price(name: str, value: Any) -> float:
    """NaN where no price is given."""
    return NAN if value is None else read_positive(name, value)


def read_leverage(value: Any) -> float | None:
    if value is None:
        return None
    leverage = read_number("leverage", value)
    if leverage < 1:
        raise OrderError(f"leverage must be at least 1, not {leverage:g}.")
    return leverage


def read_targets(value: Any) -> float | list[tuple[float, float]]:
    """take_profit: one price, or a list of (share, price) whose shares sum to at most 1."""
    if value is None:
        return NAN
    if not isinstance(value, Sequence) or isinstance(value, str):
        return read_positive("take_profit", value)
    targets = []
    for pair in value:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise OrderError("take_profit takes one price, or a list of (share, price).")
        targets.append((read_positive("take_profit share", pair[0]), read_positive("take_profit", pair[1])))
    if not targets or sum(share for share, _ in targets) > 1 + 1e-9:
        raise OrderError("The shares of the take_profit list must sum to at most 1.")
    return targets


def read_ratio(name: str, value: Any) -> float:
    """A ratio above 0 and below 1; NaN where none is given."""
    if value is None:
        return NAN
    ratio = read_positive(name, value)
    if ratio >= 1:
        raise OrderError(f"{name} is a ratio below 1 (0.02 is 2 %), not {ratio:g}.")
    return ratio


def read_tag(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 64:
        raise OrderError("tag must be a text of at most 64 characters.")
    return value


def read_bars(value: Any) -> int:
    """good_for_bars as a whole number; 0 stands for "until cancelled"."""
    if value is None:
        return 0
    number = read_positive("good_for_bars", value)
    if number != int(number) or number > 2**31 - 1:
        raise OrderError(f"good_for_bars must be a whole number of bars, not {number:g}.")
    return int(number)
