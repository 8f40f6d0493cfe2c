"""What the hooks are given: one fill, trade or funding payment, as it was when it happened."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from backtests.engine.kernels.types import ExitReason, OrderKind
from backtests.engine.strategy.order import Order

if TYPE_CHECKING:
    from backtests.engine.strategy.session import Session

_TIMES = {"time": "time_ms", "entry_time": "entry_ms", "exit_time": "exit_ms"}


class _Row:
    """The fields of a stored row as attributes; times also as pandas Timestamps (`time`, `entry_time`, `exit_time`)."""

    __slots__ = ("_fields", "_session", "symbol")

    def __init__(self, session: "Session", row: Any) -> None:
        self._session = session
        self._fields = dict(zip(row.dtype.names, row.item(), strict=True))
        self.symbol = session.symbols[self._fields["i_symbol"]]

    def __getattr__(self, name: str) -> Any:
        fields = object.__getattribute__(self, "_fields")
        if name in fields:
            return fields[name]
        moment_ms = fields.get(_TIMES.get(name, ""))
        if moment_ms is not None:
            return pd.Timestamp(moment_ms, unit="ms", tz="UTC")
        kind = type(self).__name__
        raise AttributeError(f"{kind} has no {name!r}; it has symbol, {', '.join(fields)}.")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._fields.items() if name in self._SHOWN)
        return f"<{type(self).__name__} {self.symbol} {shown}>"

    _SHOWN: tuple[str, ...] = ("qty", "price", "fee", "pnl", "payment")


class Fill(_Row):
    """One execution: qty, price, fee, is_maker, side ("buy" or "sell"), kind, order, realised_pnl, position_qty, ..."""

    __slots__ = ()

    @property
    def side(self) -> str:
        return "buy" if self._fields["side"] > 0 else "sell"

    @property
    def kind(self) -> str:
        """market, limit, stop, stop_limit, stop_loss, take_profit, trailing_stop; liquidation: the exchange's own."""
        return OrderKind(self._fields["kind"]).name.lower()

    @property
    def order(self) -> Order | None:
        """The order that it belongs to; None for the exchange's own."""
        order_id = self._fields["order_id"]
        return Order(self._session, order_id) if order_id >= 0 else None


class ClosedTrade(_Row):
    """A round trip: entry_price, exit_price, qty, pnl, fees, funding, side ("long" or "short"), exit_reason, ..."""

    __slots__ = ()

    @property
    def side(self) -> str:
        return "long" if self._fields["side"] > 0 else "short"

    @property
    def exit_reason(self) -> str:
        return ExitReason(self._fields["exit_reason"]).name.lower()


class FundingPayment(_Row):
    """payment (positive: received), rate, mark_price, position_qty, time_ms."""

    __slots__ = ()
