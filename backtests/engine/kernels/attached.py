"""Stops and targets: of an entry, and of an open position. They only reduce."""

import math

import numpy as np

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.layout import UNRESOLVED
from backtests.engine.kernels.orders import append_row, has_attached, is_waiting, settle_order
from backtests.engine.kernels.quantity import round_price, to_qty
from backtests.engine.kernels.sizes import is_target
from backtests.engine.kernels.state import Moment, Row, Rows, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import CommandKind, OrderKind, OrderStatus, Phase, Reason, SizeKind
from backtests.engine.kernels.waiting import end_waiting, wait


@kernel
def first_target(commands: Rows, i_command: int) -> int:
    """Several take-profits come as commands of their own before the order that they belong to."""
    i_first = i_command
    while (
        i_first > 0
        and row_of(commands, i_first - 1)["kind"] == CommandKind.ATTACH_TAKE_PROFIT
        and row_of(commands, i_first - 1)["order_id"] == row_of(commands, i_command)["order_id"]
    ):
        i_first -= 1
    return i_first


@kernel
def append_attached(sim: Sim, moment: Moment, commands: Rows, i_command: int, i_order: int) -> None:
    """The stop, the targets and the trailing stop of an entry, as its command says. They wait for its fill."""
    command = row_of(commands, i_command)
    if not np.isnan(command["stop_loss"]):
        _append_exit(sim, moment, i_order, OrderKind.STOP_LOSS, command["stop_loss"], np.nan)
    if not np.isnan(command["take_profit"]):
        _append_exit(sim, moment, i_order, OrderKind.TAKE_PROFIT, command["take_profit"], 1.0)
    for i in range(first_target(commands, i_command), i_command):
        _append_exit(
            sim, moment, i_order, OrderKind.TAKE_PROFIT, row_of(commands, i)["limit_price"], row_of(commands, i)["size"]
        )
    if not np.isnan(command["trailing_ratio"]):
        _append_exit(sim, moment, i_order, OrderKind.TRAILING_STOP, command["trailing_ratio"], np.nan)


@kernel
def _append_exit(sim: Sim, moment: Moment, i_parent: int, kind: OrderKind, number: float, share: float) -> None:
    """`number` is the price; of a trailing stop, and of an entry by targets, the ratio to the price of the fill."""
    parent = row_of(sim.books.orders, i_parent)
    side, i_symbol = -int(parent["side"]), int(parent["i_symbol"])
    i_order = append_row(sim, moment, i_symbol, side, kind)
    order = row_of(sim.books.orders, i_order)
    order["parent_id"] = i_parent
    order["share"] = share
    order["i_tag"] = parent["i_tag"]
    if kind == OrderKind.TRAILING_STOP:
        order["trailing_ratio"] = number
    elif is_target(parent):
        order["size"] = number
    else:
        order["stop_price"] = round_price(number, row_of(sim.rules.symbols, i_symbol), trigger_direction(order))
    i_waiting = wait(sim, i_order, Phase.ENTRY)
    row_of(sim.books.waiting, i_waiting)["direction"] = trigger_direction(order)


@kernel
def trigger_direction(order: Row) -> int:
    """Whether the price comes up (+1) or down (-1) to the trigger: a stop lies behind, a target ahead."""
    return -int(order["side"]) if order["kind"] == OrderKind.TAKE_PROFIT else int(order["side"])


@kernel
def cover(sim: Sim, moment: Moment, i_entry: int, steps: int, price: float, reference_price: float) -> None:
    """So many steps more of the entry (a place in the list) have opened: its attached orders go live, or grow."""
    entry = row_of(sim.books.waiting, i_entry)
    entry["opened"] += steps
    i_order = entry["i_order"]
    if not has_attached(sim, i_order):
        return
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        order = row_of(sim.books.orders, waiting["i_order"])
        if waiting["i_parent"] != i_order or not is_waiting(order):
            continue
        if waiting["phase"] == Phase.ENTRY:
            waiting["phase"] = Phase.TRIGGER
            order["side"] = -row_of(sim.books.orders, i_order)["side"]  # a target may have turned since it was made
            waiting["direction"] = trigger_direction(order)
            _set_level(sim, waiting, order, price, reference_price)
        waiting["opened"] = entry["opened"]
        _set_covered(sim, waiting, order)


@kernel
def _set_level(sim: Sim, waiting: Row, order: Row, price: float, reference_price: float) -> None:
    """The levels that hang on the price of the fill."""
    rule = row_of(sim.rules.symbols, order["i_symbol"])
    if order["kind"] == OrderKind.TRAILING_STOP:
        waiting["best"] = reference_price
        follow_best(sim, waiting, order, reference_price)
    elif np.isnan(order["stop_price"]):
        direction = trigger_direction(order)
        order["stop_price"] = round_price(price * (1.0 + direction * order["size"]), rule, direction)
        waiting["level"] = order["stop_price"]
    else:
        waiting["level"] = order["stop_price"]


@kernel
def better(best: float, price: float, side: int) -> float:
    """The price that a trailing stop of this side follows: a sell the highest, a buy the lowest."""
    return price if (best - price) * side > 0.0 else best


@kernel
def trailing_level(sim: Sim, order: Row, best: float) -> float:
    """Behind the best price since the entry's fill, on a tick away from the market."""
    side = int(order["side"])
    return round_price(
        best * (1.0 + side * order["trailing_ratio"]), row_of(sim.rules.symbols, order["i_symbol"]), side
    )


@kernel
def follow_best(sim: Sim, waiting: Row, order: Row, price: float) -> None:
    """A trailing stop has seen a price."""
    waiting["best"] = better(waiting["best"], price, int(order["side"]))
    order["stop_price"] = trailing_level(sim, order, waiting["best"])
    waiting["level"] = order["stop_price"]


@kernel
def _set_covered(sim: Sim, waiting: Row, order: Row) -> None:
    """How many steps an attached order would close now."""
    left = waiting["opened"] - waiting["closed"]
    steps = left
    if order["kind"] == OrderKind.TAKE_PROFIT:
        steps = min(left, _share_steps(sim, waiting, order) - waiting["filled"])
    waiting["steps"] = max(steps, 0)
    order["qty"] = to_qty(waiting["filled"] + waiting["steps"], row_of(sim.rules.symbols, order["i_symbol"]))


@kernel
def _share_steps(sim: Sim, waiting: Row, order: Row) -> int:
    """A target's share of what its entry opened; the last one takes the rounding where the shares make up all."""
    opened: float = waiting["opened"]
    others, total, is_last = 0, 0.0, True
    i = waiting["i_parent"] + 1
    while i < sim.account["n_orders"] and row_of(sim.books.orders, i)["parent_id"] == waiting["i_parent"]:
        other = row_of(sim.books.orders, i)
        if other["kind"] == OrderKind.TAKE_PROFIT:
            total += other["share"]
            is_last = i == waiting["i_order"]
            if not is_last:
                others += math.floor(other["share"] * opened + 1e-9)
        i += 1
    if is_last and abs(total - 1.0) <= 1e-9:
        return int(waiting["opened"] - others)
    share: float = order["share"] * opened
    return math.floor(share + 1e-9)


@kernel
def note_closed(sim: Sim, moment: Moment, i_waiting: int, steps: int) -> None:
    """An attached order has closed so many steps: its siblings have less to cover, or nothing."""
    i_parent = row_of(sim.books.waiting, i_waiting)["i_parent"]
    if i_parent < 0:
        return
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        order = row_of(sim.books.orders, waiting["i_order"])
        if waiting["i_parent"] != i_parent or not is_waiting(order):
            continue
        waiting["closed"] += steps
        if i == i_waiting:
            continue
        _set_covered(sim, waiting, order)
        if waiting["opened"] <= waiting["closed"]:
            settle_order(sim, moment, waiting["i_order"], OrderStatus.CANCELLED, Reason.POSITION_CLOSED)


@kernel
def cancel_exits(sim: Sim, moment: Moment, i_symbol: int, i_filling: int) -> None:
    """The position is flat: its stops and targets end, and what is left of the entries that have any.

    i_filling: the order that does it, whose fate its fill decides.
    """
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        i_order = waiting["i_order"]
        order = row_of(sim.books.orders, i_order)
        if waiting["i_symbol"] != i_symbol or i_order == i_filling or not is_waiting(order):
            continue
        is_entry = waiting["i_parent"] < 0 and has_attached(sim, i_order)
        if is_of_position(order) or (waiting["opened"] > 0 and (waiting["i_parent"] >= 0 or is_entry)):
            end_waiting(sim, moment, i, OrderStatus.CANCELLED, Reason.POSITION_CLOSED)


@kernel
def is_of_position(order: Row) -> bool:
    """Whether it is a stop or target that was set on an open position."""
    is_exit = order["kind"] == OrderKind.STOP_LOSS or order["kind"] == OrderKind.TAKE_PROFIT
    return bool(is_exit and order["parent_id"] < 0)


@kernel
def append_position_exit(sim: Sim, moment: Moment, command: Row) -> int:
    """A stop or target for all that the position will be when it triggers; returns its id."""
    is_stop = command["kind"] == CommandKind.SET_STOP_LOSS
    kind = OrderKind.STOP_LOSS if is_stop else OrderKind.TAKE_PROFIT
    i_symbol = command["i_symbol"]
    side = -1 if row_of(sim.positions, i_symbol)["steps"] > 0 else 1
    i_order = append_row(sim, moment, i_symbol, side, kind)
    order = row_of(sim.books.orders, i_order)
    order["size_kind"] = SizeKind.POSITION_PERCENT
    order["size"] = 100.0
    order["i_tag"] = command["i_tag"]
    price = command["stop_price"] if is_stop else command["limit_price"]
    order["stop_price"] = round_price(price, row_of(sim.rules.symbols, i_symbol), trigger_direction(order))
    return i_order


@kernel
def replace_exits(sim: Sim, moment: Moment, i_order: int) -> None:
    """The new stop (or target) of a position takes the place of all live ones, and waits for its level."""
    new = row_of(sim.books.orders, i_order)
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        order = row_of(sim.books.orders, waiting["i_order"])
        is_same = waiting["i_symbol"] == new["i_symbol"] and order["kind"] == new["kind"]
        if is_same and waiting["phase"] != Phase.ENTRY and is_waiting(order):
            settle_order(sim, moment, waiting["i_order"], OrderStatus.CANCELLED, Reason.REPLACED)
    i_waiting = wait(sim, i_order, Phase.TRIGGER)
    row_of(sim.books.waiting, i_waiting)["direction"] = trigger_direction(new)
    row_of(sim.books.waiting, i_waiting)["steps"] = UNRESOLVED
