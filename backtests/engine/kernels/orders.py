"""The order table: how an order comes into it, why it is refused, how it ends, and the list of those that wait."""

import numpy as np

from backtests.engine.kernels.account import available_balance
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.events import emit
from backtests.engine.kernels.margin import find_tier
from backtests.engine.kernels.quantity import to_qty
from backtests.engine.kernels.sizes import can_pay_fee, cost_per_unit
from backtests.engine.kernels.state import Moment, Row, Sim
from backtests.engine.kernels.types import CommandKind, EventKind, OrderKind, OrderStatus, Reason, SizeKind


@kernel
def append_order(sim: Sim, moment: Moment, command: Row) -> int:
    """A new order as the command says, nothing resolved yet; returns its id."""
    account = sim.account
    i_order = account["n_orders"]
    account["n_orders"] = i_order + 1
    order = sim.books.orders[i_order]
    order["order_id"] = i_order
    order["parent_id"] = -1
    order["i_bar"] = moment.i_bar
    order["time_ms"] = moment.time_ms
    order["i_symbol"] = command["i_symbol"]
    order["side"] = command["side"]
    order["kind"] = OrderKind.MARKET
    set_size(order, command)
    order["qty"] = np.nan
    order["limit_price"] = command["limit_price"]
    order["stop_price"] = command["stop_price"]
    order["trailing_ratio"] = np.nan
    order["share"] = np.nan
    order["good_for_bars"] = command["good_for_bars"]
    order["leverage"] = command["leverage"]
    if np.isnan(command["leverage"]):
        order["leverage"] = sim.rules.run["leverage"]
    order["is_post_only"] = command["is_post_only"]
    order["status"] = OrderStatus.PENDING
    order["average_price"] = np.nan
    order["i_bar_done"] = -1
    order["i_tag"] = command["i_tag"]
    return int(i_order)


@kernel
def set_size(order: Row, command: Row) -> None:
    """How the order means its size; it is resolved when the order fills."""
    order["size"] = command["size"]
    order["size_kind"] = command["size_kind"]
    order["is_reduce_only"] = command["is_reduce_only"]
    if command["kind"] == CommandKind.TARGET:
        if command["size_kind"] < SizeKind.TARGET_RATIO:
            order["size_kind"] = SizeKind.TARGET_RATIO
    elif command["kind"] == CommandKind.CLOSE_POSITION:
        order["size_kind"] = SizeKind.POSITION_PERCENT
        order["is_reduce_only"] = True


@kernel
def end_order(sim: Sim, moment: Moment, i_order: int, status: OrderStatus, reason: Reason) -> None:
    """The order's fate is settled. (It is not taken from the waiting list here.)"""
    order = sim.books.orders[i_order]
    order["status"] = status
    order["reason"] = reason
    order["i_bar_done"] = moment.i_bar
    emit(sim, EventKind.ORDER, i_order)


@kernel
def closing_steps(sim: Sim, order: Row, steps: int) -> int:
    """How many of the order's steps reduce what is held; the rest opens."""
    held = sim.positions[order["i_symbol"]]["steps"]
    return int(min(steps, abs(held))) if held * order["side"] < 0 else 0


@kernel
def find_refusal(sim: Sim, order: Row, steps: int, price: float) -> Reason:
    """Why an order of so many steps cannot trade at this price now; Reason.NONE when it can.

    Asked at submission and again at the fill, because the position and the balance may have changed between.
    """
    closing = closing_steps(sim, order, steps)
    if order["size_kind"] == SizeKind.POSITION_PERCENT and sim.positions[order["i_symbol"]]["steps"] == 0:
        return Reason.NO_POSITION
    if steps < 0:
        return Reason.INVALID_QTY
    if steps == 0:
        return Reason.ALREADY_THERE if order["size_kind"] >= SizeKind.TARGET_RATIO else Reason.BELOW_MIN_QTY
    if order["is_reduce_only"]:
        return find_size_refusal(sim, order, closing, closing, price) if closing > 0 else Reason.REDUCE_ONLY
    if sim.rules.run["is_spot"] and order["side"] < 0 and closing < steps:
        return Reason.SPOT_SHORT
    refusal = find_size_refusal(sim, order, steps, closing, price)
    if refusal != Reason.NONE or closing == steps:
        return refusal
    refusal = find_leverage_refusal(sim, order, steps, price)
    if refusal != Reason.NONE or closing > 0:  # a flip: what closes may free the margin for the rest
        return refusal
    return find_margin_refusal(sim, order, steps, price)


@kernel
def find_size_refusal(sim: Sim, order: Row, steps: int, closing: int, price: float) -> Reason:
    """The exchange's minimum sizes. On futures orders that only reduce are exempt."""
    if closing == steps and not sim.rules.run["is_spot"]:
        return Reason.NONE
    rule = sim.rules.symbols[order["i_symbol"]]
    qty = to_qty(steps, rule)
    if qty < rule["min_qty"]:
        return Reason.BELOW_MIN_QTY
    return Reason.BELOW_MIN_NOTIONAL if qty * price < rule["min_notional"] else Reason.NONE


@kernel
def find_leverage_refusal(sim: Sim, order: Row, steps: int, price: float) -> Reason:
    """The order's leverage against the run's maximum and the tier of the notional that would result."""
    run = sim.rules.run
    if order["leverage"] > run["max_leverage"]:
        return Reason.LEVERAGE_ABOVE_LIMIT
    if run["is_spot"]:
        return Reason.NONE
    i_symbol = order["i_symbol"]
    rule = sim.rules.symbols[i_symbol]
    resulting = abs(sim.positions[i_symbol]["steps"] + int(order["side"]) * steps)
    tiers = sim.rules.tiers[i_symbol]
    i_tier = find_tier(tiers, rule["n_tiers"], to_qty(resulting, rule) * price)
    return Reason.LEVERAGE_ABOVE_TIER if order["leverage"] > tiers[i_tier]["max_leverage"] else Reason.NONE


@kernel
def find_margin_refusal(sim: Sim, order: Row, opening: int, price: float) -> Reason:
    """An entry needs margin + fee + open loss. A target only needs its margin: costs shave its quantity."""
    rule = sim.rules.symbols[order["i_symbol"]]
    needed = to_qty(opening, rule) * cost_per_unit(sim, order, price)
    if order["size_kind"] == SizeKind.TARGET_RATIO:
        needed = to_qty(opening, rule) * price / order["leverage"] / (1.0 + sim.rules.run["slippage_ratio"] + 1e-9)
    elif not can_pay_fee(sim, to_qty(opening, rule) * price):
        return Reason.INSUFFICIENT_MARGIN
    return Reason.INSUFFICIENT_MARGIN if needed > available_balance(sim) else Reason.NONE


@kernel
def wait(sim: Sim, i_order: int) -> None:
    """Put the order at the end of the waiting list."""
    account = sim.account
    sim.books.waiting[account["n_waiting"]] = i_order
    account["n_waiting"] += 1


@kernel
def drop_ended(sim: Sim) -> None:
    """Take the orders whose fate is settled from the waiting list; the others keep their order."""
    account = sim.account
    waiting = sim.books.waiting
    kept = 0
    for i in range(account["n_waiting"]):
        if sim.books.orders[waiting[i]]["status"] <= OrderStatus.PARTLY_FILLED:
            waiting[kept] = waiting[i]
            kept += 1
    account["n_waiting"] = kept


@kernel
def cancel_waiting(sim: Sim, moment: Moment, i_symbol: int, status: OrderStatus, reason: Reason) -> None:
    """End all waiting orders of a symbol; -1 means all symbols."""
    for i in range(sim.account["n_waiting"]):
        i_order = sim.books.waiting[i]
        order = sim.books.orders[i_order]
        is_meant = i_symbol < 0 or order["i_symbol"] == i_symbol
        if is_meant and order["status"] <= OrderStatus.PARTLY_FILLED:
            end_order(sim, moment, i_order, status, reason)
    drop_ended(sim)
