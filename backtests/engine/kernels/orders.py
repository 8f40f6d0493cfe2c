"""The order table: how an order comes into it, and how it ends."""

import numpy as np

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.events import emit
from backtests.engine.kernels.quantity import round_price
from backtests.engine.kernels.state import Moment, Row, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import CommandKind, EventKind, OrderKind, OrderStatus, Reason, SizeKind


@kernel
def append_row(sim: Sim, moment: Moment, i_symbol: int, side: int, kind: OrderKind) -> int:
    """A new order of which nothing else is known; returns its id."""
    account = sim.account
    i_order = account["n_orders"]
    account["n_orders"] = i_order + 1
    order = row_of(sim.books.orders, i_order)
    order["order_id"] = i_order
    order["parent_id"] = -1
    order["i_bar"] = moment.i_bar
    order["time_ms"] = moment.time_ms
    order["i_symbol"] = i_symbol
    order["side"] = side
    order["kind"] = kind
    order["size_kind"] = SizeKind.QTY
    order["size"] = np.nan
    order["qty"] = np.nan
    order["limit_price"] = np.nan
    order["stop_price"] = np.nan
    order["trailing_ratio"] = np.nan
    order["share"] = np.nan
    order["leverage"] = np.nan
    order["is_reduce_only"] = True
    order["is_post_only"] = False
    order["good_for_bars"] = 0
    order["status"] = OrderStatus.PENDING
    order["reason"] = Reason.NONE
    order["filled_qty"] = 0.0
    order["average_price"] = np.nan
    order["i_bar_done"] = -1
    order["i_tag"] = -1
    return int(i_order)


@kernel
def append_order(sim: Sim, moment: Moment, command: Row) -> int:
    """A new order as the command says, its prices on ticks, its size not yet resolved; returns its id."""
    i_symbol, side = command["i_symbol"], command["side"]
    i_order = append_row(sim, moment, i_symbol, side, _kind_of(command))
    order = row_of(sim.books.orders, i_order)
    order["size"] = command["size"]
    order["size_kind"] = command["size_kind"]
    order["is_reduce_only"] = command["is_reduce_only"]
    if command["kind"] == CommandKind.CLOSE_POSITION:
        order["size_kind"] = SizeKind.POSITION_PERCENT
        order["is_reduce_only"] = True
    rule = row_of(sim.rules.symbols, i_symbol)
    order["limit_price"] = round_price(command["limit_price"], rule, -side)
    order["stop_price"] = round_price(command["stop_price"], rule, side)
    order["leverage"] = command["leverage"]
    if np.isnan(command["leverage"]):
        order["leverage"] = sim.rules.run["leverage"]
    order["is_post_only"] = command["is_post_only"]
    order["good_for_bars"] = command["good_for_bars"]
    order["i_tag"] = command["i_tag"]
    return i_order


@kernel
def _kind_of(command: Row) -> OrderKind:
    has_limit, has_stop = not np.isnan(command["limit_price"]), not np.isnan(command["stop_price"])
    if has_limit:
        return OrderKind.STOP_LIMIT if has_stop else OrderKind.LIMIT
    return OrderKind.STOP if has_stop else OrderKind.MARKET


@kernel
def is_waiting(order: Row) -> bool:
    """Whether the order's fate is still open."""
    return bool(order["status"] <= OrderStatus.PARTLY_FILLED)


@kernel
def has_attached(sim: Sim, i_order: int) -> bool:
    """Whether orders are attached to it: they follow it in the table."""
    return bool(i_order + 1 < sim.account["n_orders"] and row_of(sim.books.orders, i_order + 1)["parent_id"] == i_order)


@kernel
def settle_order(sim: Sim, moment: Moment, i_order: int, status: OrderStatus, reason: Reason) -> None:
    """The order's fate is settled."""
    order = row_of(sim.books.orders, i_order)
    order["status"] = status
    order["reason"] = reason
    order["i_bar_done"] = moment.i_bar
    emit(sim, EventKind.ORDER, i_order)
