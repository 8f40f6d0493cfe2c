"""Order: the answer that a strategy gets when it asks for a trade, and its hold on what still waits."""

import math
from typing import TYPE_CHECKING, Any

from backtests.engine.errors import OrderError
from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason
from backtests.engine.strategy import words

if TYPE_CHECKING:
    from backtests.engine.strategy.session import Session


class Order:
    """The answer to buy, sell, close_position, target_ratio, set_stop_loss, set_take_profit: truthy unless rejected.

    Its facts are always current.
    """

    __slots__ = ("_session", "order_id")

    def __init__(self, session: "Session", order_id: int) -> None:
        self._session = session
        self.order_id = order_id

    @property
    def _row(self) -> Any:
        return self._session.account.order(self.order_id)

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
        return self._session.account.request.symbols[int(self._row["i_symbol"])]

    @property
    def side(self) -> str:
        return "buy" if self._row["side"] > 0 else "sell"

    @property
    def kind(self) -> str:
        """market, limit, stop, stop_limit; of attached orders stop_loss, take_profit, trailing_stop."""
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
    def limit(self) -> float | None:
        """The limit price, on the tick; None where it has none."""
        return _price_or_none(self._row["limit_price"])

    @property
    def stop(self) -> float | None:
        """The price that triggers it, on the tick; of a trailing stop, where it stands now. None where it has none."""
        return _price_or_none(self._row["stop_price"])

    @property
    def tag(self) -> str:
        i_tag = int(self._row["i_tag"])
        return self._session.account.tags[i_tag] if i_tag >= 0 else ""

    @property
    def is_waiting(self) -> bool:
        """True while something of it can still fill."""
        return bool(self._row["status"] <= OrderStatus.PARTLY_FILLED)

    @property
    def is_reduce_only(self) -> bool:
        return bool(self._row["is_reduce_only"])

    @property
    def parent(self) -> "Order | None":
        """The entry that it is attached to; None where it stands for itself."""
        parent_id = int(self._row["parent_id"])
        return Order(self._session, parent_id) if parent_id >= 0 else None

    @property
    def attached(self) -> tuple["Order", ...]:
        """What came with it: its stop-loss, its take-profits in the order given, its trailing stop."""
        parents = self._session.account.orders["parent_id"]
        i = self.order_id + 1  # they follow their entry at once
        while i < len(parents) and parents[i] == self.order_id:
            i += 1
        return tuple(Order(self._session, i_order) for i_order in range(self.order_id + 1, i))

    def cancel(self) -> bool:
        """True when it waited and is now cancelled."""
        return self.is_waiting and self._session.check_can_trade().cancel(self.order_id)

    def modify(self, limit: float | None = None, stop: float | None = None, qty: float | None = None) -> bool:
        """Change prices or the total quantity of an order that waits: what is not given stays.

        False where the new prices or quantity are refused; then the order waits on as it was. Raises OrderError for
        an order that no longer waits, and for a price that its kind does not have.
        """
        if limit is None and stop is None and qty is None:
            raise OrderError("modify changes limit, stop or qty; none is given.")
        new_qty = math.nan if qty is None else words.read_positive("qty", qty)
        prices = {"limit_price": words.read_price("limit", limit), "stop_price": words.read_price("stop", stop)}
        return self._session.check_can_trade().modify(self.order_id, **prices, qty=new_qty)

    def __bool__(self) -> bool:
        return bool(self._row["status"] != OrderStatus.REJECTED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and other.order_id == self.order_id

    def __hash__(self) -> int:
        return hash(self.order_id)

    def __repr__(self) -> str:
        reason = f" {self.reject_reason}" if self.reject_reason else ""
        return f"<Order {self.order_id}: {self.kind} {self.side} {self.qty:g} {self.symbol} {self.status}{reason}>"


def _price_or_none(price: float) -> float | None:
    return None if math.isnan(price) else float(price)
