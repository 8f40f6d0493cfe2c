"""Whether the prices of an order make sense: a trigger must lie ahead of the market, an exit beyond its entry."""

import numpy as np

from backtests.engine.kernels.attached import first_target, trigger_direction
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.quantity import round_price
from backtests.engine.kernels.sizes import is_target
from backtests.engine.kernels.state import Row, Rows, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import OrderKind, Reason


@kernel
def is_ahead(order: Row, price: float) -> bool:
    """Whether the trigger lies where the market still has to come to."""
    stop = order["stop_price"]
    return bool(stop > 0.0 and (stop - price) * trigger_direction(order) > 0.0)


@kernel
def find_trigger_refusal(order: Row, close: float) -> Reason:
    """Of an order of its own: its limit is a price, its trigger lies ahead of the last close."""
    if order["limit_price"] <= 0.0:
        return Reason.INVALID_PRICE
    if not np.isnan(order["stop_price"]) and not is_ahead(order, close):
        return Reason.INVALID_PRICE
    return Reason.NONE


@kernel
def entry_price_of(order: Row, close: float) -> float:
    """The price at which an entry can be expected to fill, for the stops and targets that it brings."""
    if not np.isnan(order["limit_price"]):
        return float(order["limit_price"])
    return close if np.isnan(order["stop_price"]) else float(order["stop_price"])


@kernel
def find_attached_refusal(sim: Sim, commands: Rows, i_command: int, order: Row, close: float) -> Reason:
    """The stop lies behind the entry, every target ahead of it. Exits by ratio always do."""
    command = row_of(commands, i_command)
    if is_target(order):
        return Reason.NONE
    entry, side = entry_price_of(order, close), int(order["side"])
    rule = row_of(sim.rules.symbols, order["i_symbol"])
    if not np.isnan(command["stop_loss"]) and not _is_behind(
        round_price(command["stop_loss"], rule, -side), entry, side
    ):
        return Reason.INVALID_PRICE
    target = command["take_profit"]
    if not np.isnan(target) and not _is_behind(entry, round_price(target, rule, side), side):
        return Reason.INVALID_PRICE
    for i in range(first_target(commands, i_command), i_command):
        if not _is_behind(entry, round_price(row_of(commands, i)["limit_price"], rule, side), side):
            return Reason.INVALID_PRICE
    return Reason.NONE


@kernel
def _is_behind(price: float, other: float, side: int) -> bool:
    return (other - price) * side > 0.0 and price > 0.0 and other > 0.0


@kernel
def is_exit_beyond(order: Row, entry: float) -> bool:
    """Whether an attached order lies on its side of the entry's price. A trailing stop always does."""
    stop = order["stop_price"]
    if order["kind"] == OrderKind.TRAILING_STOP or np.isnan(stop):
        return True
    return bool(stop > 0.0 and (stop - entry) * trigger_direction(order) > 0.0)
