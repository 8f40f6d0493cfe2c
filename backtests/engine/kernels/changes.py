"""Changing an order that waits: all of the change, or nothing of it."""

import numpy as np

from backtests.engine.kernels.attached import is_of_position, trigger_direction
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.matching import enter_book
from backtests.engine.kernels.orders import has_attached, is_waiting
from backtests.engine.kernels.prices import entry_price_of, find_trigger_refusal, is_exit_beyond
from backtests.engine.kernels.quantity import round_price, to_qty, to_steps
from backtests.engine.kernels.refusals import find_refusal
from backtests.engine.kernels.sizes import resting_quote, taker_quote
from backtests.engine.kernels.state import Moment, Row, Sim, last_bar
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import OrderKind, Phase, Reason, SizeKind


@kernel
def change_order(sim: Sim, moment: Moment, command: Row, i_waiting: int, is_now: bool) -> None:
    """New prices, or a new total quantity (the command's size); NaN leaves what is. The refusal is kept to be read."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    limit, stop, size, size_kind = order["limit_price"], order["stop_price"], order["size"], order["size_kind"]
    is_resized = not np.isnan(command["size"]) and not _is_exit(order)
    rule = row_of(sim.rules.symbols, waiting["i_symbol"])
    if not np.isnan(command["limit_price"]) and not np.isnan(limit):
        order["limit_price"] = round_price(command["limit_price"], rule, -order["side"])
    if not np.isnan(command["stop_price"]) and order["kind"] != OrderKind.TRAILING_STOP:
        order["stop_price"] = round_price(command["stop_price"], rule, trigger_direction(order))
    if is_resized:
        order["size"], order["size_kind"] = command["size"], SizeKind.QTY
    steps = waiting["steps"]
    if is_resized:
        steps = to_steps(command["size"], rule) - waiting["filled"]
    close = last_bar(sim, waiting["i_symbol"], moment.i_fine).close
    refusal = _find_change_refusal(sim, i_waiting, steps, close)
    if is_resized and steps <= 0:
        refusal = Reason.INVALID_QTY  # no more than has filled
    if not np.isnan(command["stop_price"]) and waiting["phase"] != Phase.TRIGGER and waiting["phase"] != Phase.ENTRY:
        refusal = Reason.INVALID_PRICE  # its trigger has done its work
    sim.account["last_refusal"] = refusal
    if refusal != Reason.NONE:
        order["limit_price"], order["stop_price"], order["size"], order["size_kind"] = limit, stop, size, size_kind
        return
    if is_resized:
        waiting["steps"] = steps
        order["qty"] = to_qty(waiting["filled"] + steps, rule)
    if waiting["phase"] == Phase.TRIGGER:
        waiting["level"] = order["stop_price"]
    elif waiting["phase"] == Phase.LIMIT and order["limit_price"] != limit:
        waiting["phase"] = Phase.NEW_LIMIT
        if is_now:
            enter_book(sim, moment, i_waiting, close)


@kernel
def _is_exit(order: Row) -> bool:
    """Attached to an entry, or set on a position: what it covers says how much."""
    return bool(order["parent_id"] >= 0 or is_of_position(order))


@kernel
def _find_change_refusal(sim: Sim, i_waiting: int, steps: int, close: float) -> Reason:
    """The same questions as at submission."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    if not close > 0.0:
        return Reason.NONE
    if _is_exit(order):
        entry = close
        if waiting["phase"] == Phase.ENTRY:
            entry = entry_price_of(row_of(sim.books.orders, order["parent_id"]), close)
        return Reason.NONE if is_exit_beyond(order, entry) else Reason.INVALID_PRICE
    if order["limit_price"] <= 0.0:
        return Reason.INVALID_PRICE
    if waiting["phase"] == Phase.TRIGGER and find_trigger_refusal(order, close) != Reason.NONE:
        return Reason.INVALID_PRICE
    if not _are_exits_beyond(sim, waiting["i_order"], entry_price_of(order, close)):
        return Reason.INVALID_PRICE
    if order["kind"] != OrderKind.MARKET:
        return find_refusal(sim, order, steps, resting_quote(sim, order))
    is_sized = order["size_kind"] == SizeKind.QTY and steps >= 0
    return find_refusal(sim, order, steps, taker_quote(sim, order, close)) if is_sized else Reason.NONE


@kernel
def _are_exits_beyond(sim: Sim, i_order: int, entry: float) -> bool:
    """Whether the stops and targets that still wait for this entry make sense at its price."""
    if not has_attached(sim, i_order):
        return True
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        child = row_of(sim.books.orders, waiting["i_order"])
        is_meant = waiting["i_parent"] == i_order and waiting["phase"] == Phase.ENTRY and is_waiting(child)
        if is_meant and not is_exit_beyond(child, entry):
            return False
    return True
