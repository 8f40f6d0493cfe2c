"""The list of orders that wait: how they come into it, end, run out of time, and when one of them can fill."""

import numpy as np

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.layout import UNRESOLVED
from backtests.engine.kernels.orders import has_attached, is_waiting, settle_order
from backtests.engine.kernels.state import Moment, Sim
from backtests.engine.kernels.tables import copy_row, row_of
from backtests.engine.kernels.types import OrderStatus, Phase, Reason

FOREVER = 2**62  # a step after all others


@kernel
def wait(sim: Sim, i_order: int, phase: Phase) -> int:
    """Put the order at the end of the list; returns its place, which is good until `tidy`."""
    account = sim.account
    i_waiting = account["n_waiting"]
    account["n_waiting"] = i_waiting + 1
    order = row_of(sim.books.orders, i_order)
    waiting = row_of(sim.books.waiting, i_waiting)
    waiting["i_order"] = i_order
    waiting["i_symbol"] = order["i_symbol"]
    waiting["phase"] = phase
    waiting["direction"] = order["side"]
    waiting["level"] = order["stop_price"]
    waiting["steps"] = UNRESOLVED
    waiting["filled"] = 0
    waiting["opened"] = 0
    waiting["closed"] = 0
    waiting["i_parent"] = order["parent_id"]
    waiting["best"] = np.nan
    waiting["last_bar"] = FOREVER
    if order["good_for_bars"] > 0:
        waiting["last_bar"] = order["i_bar"] + order["good_for_bars"]
    return int(i_waiting)


@kernel
def find_waiting(sim: Sim, i_order: int) -> int:
    """The place of an order whose fate is open; -1 when it has none."""
    for i in range(sim.account["n_waiting"]):
        if row_of(sim.books.waiting, i)["i_order"] == i_order and is_waiting(row_of(sim.books.orders, i_order)):
            return i
    return -1


@kernel
def end_waiting(sim: Sim, moment: Moment, i_waiting: int, status: OrderStatus, reason: Reason) -> None:
    """The order's fate is settled; of an entry that opened nothing the attached orders end, too."""
    i_order = row_of(sim.books.waiting, i_waiting)["i_order"]
    settle_order(sim, moment, i_order, status, reason)
    if not has_attached(sim, i_order) or row_of(sim.books.waiting, i_waiting)["opened"] > 0:
        return
    why = Reason.ENTRY_ENDED if row_of(sim.books.waiting, i_waiting)["filled"] == 0 else Reason.POSITION_CLOSED
    for i in range(sim.account["n_waiting"]):
        other = row_of(sim.books.waiting, i)
        if other["i_parent"] == i_order and is_waiting(row_of(sim.books.orders, other["i_order"])):
            settle_order(sim, moment, other["i_order"], OrderStatus.CANCELLED, why)


@kernel
def cancel_by_strategy(sim: Sim, moment: Moment, i_symbol: int) -> None:
    """The strategy wants none of a symbol's waiting orders; -1 means all symbols."""
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        is_meant = i_symbol < 0 or waiting["i_symbol"] == i_symbol
        if is_meant and is_waiting(row_of(sim.books.orders, waiting["i_order"])):
            end_waiting(sim, moment, i, OrderStatus.CANCELLED, Reason.BY_STRATEGY)


@kernel
def cancel_waiting(sim: Sim, moment: Moment, i_symbol: int, status: OrderStatus, reason: Reason) -> None:
    """All waiting orders of a symbol (-1: of all symbols) end for one reason from outside."""
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        is_meant = i_symbol < 0 or waiting["i_symbol"] == i_symbol
        if is_meant and is_waiting(row_of(sim.books.orders, waiting["i_order"])):
            settle_order(sim, moment, waiting["i_order"], status, reason)


@kernel
def expire_orders(sim: Sim, moment: Moment) -> None:
    """At the close of a step: the orders whose number of bars is over."""
    if moment.i_bar < sim.account["next_expiry"]:
        return
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        if waiting["last_bar"] <= moment.i_bar and is_waiting(row_of(sim.books.orders, waiting["i_order"])):
            end_waiting(sim, moment, i, OrderStatus.EXPIRED, Reason.GOOD_FOR_BARS)
    tidy(sim)


@kernel
def tidy(sim: Sim) -> None:
    """Take the orders whose fate is settled from the list; note when one of the others can fill."""
    account = sim.account
    account["waits_for_open"] = False
    account["next_expiry"] = FOREVER
    for i_symbol in range(sim.sizes["n_symbols"]):
        row_of(sim.positions, i_symbol)["wake_low"] = -np.inf
        row_of(sim.positions, i_symbol)["wake_high"] = np.inf
    waiting = sim.books.waiting
    kept = 0
    for i in range(account["n_waiting"]):
        if is_waiting(row_of(sim.books.orders, row_of(waiting, i)["i_order"])):
            if kept < i:
                copy_row(row_of(waiting, kept), row_of(waiting, i))
            _note_wake(sim, kept)
            kept += 1
    account["n_waiting"] = kept


@kernel
def _note_wake(sim: Sim, i_waiting: int) -> None:
    """Every bar that could fill this order, or move a trailing stop, must be looked at."""
    account = sim.account
    waiting = row_of(sim.books.waiting, i_waiting)
    account["next_expiry"] = min(account["next_expiry"], waiting["last_bar"])
    phase = waiting["phase"]
    if phase == Phase.OPEN or phase == Phase.NEW_LIMIT:
        account["waits_for_open"] = True
    if phase != Phase.LIMIT and phase != Phase.TRIGGER:
        return
    position = row_of(sim.positions, waiting["i_symbol"])
    below, above = waiting["level"], waiting["best"]
    if waiting["direction"] > 0:
        below, above = above, below
    if not np.isnan(below):
        position["wake_low"] = max(position["wake_low"], below)
    if not np.isnan(above):
        position["wake_high"] = min(position["wake_high"], above)
