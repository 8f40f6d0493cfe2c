"""What a fill does to a position and to the wallet: one-way mode, increase or reduce."""

from backtests.engine.kernels.account import bearable_loss, change_wallet
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import fee_of
from backtests.engine.kernels.margin import refresh_liquidation_level
from backtests.engine.kernels.quantity import to_qty
from backtests.engine.kernels.state import Execution, Moment, Row, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.trades import (
    append_fill,
    close_trade,
    enter_trade,
    finish_fill,
    leave_trade,
    mean_price,
    note_price,
    open_trade,
    sum_trade,
)
from backtests.engine.kernels.types import ExitReason


@kernel
def increase_position(sim: Sim, moment: Moment, execution: Execution) -> None:
    """Open a position or add to it. The entry price is the quantity-weighted mean."""
    position = row_of(sim.positions, execution.i_symbol)
    if position["steps"] == 0:
        open_trade(sim, moment, execution)
        sim.account["n_open"] += 1
    fill = append_fill(sim, moment, execution)
    margin = fill["qty"] * fill["price"] / row_of(sim.books.orders, execution.i_order)["leverage"]
    fill["fee"] = fee_of(fill["qty"], fill["price"], execution.fee_rate)
    fill["leverage"] = row_of(sim.books.orders, execution.i_order)["leverage"]
    fill["initial_margin"] = margin
    held = abs(position["qty"])
    position["entry_price"] = mean_price(held, position["entry_price"], fill["qty"], fill["price"])
    position["initial_margin"] += margin
    if not sim.rules.run["is_cross"]:
        position["isolated_wallet"] += margin
    _set_steps(sim, execution.i_symbol, position["steps"] + execution.side * execution.steps)
    change_wallet(sim, -fill["fee"])
    refresh_liquidation_level(sim, execution.i_symbol)
    enter_trade(row_of(sim.books.trades, position["i_trade"]), fill)
    note_price(sim, execution.i_symbol, position["mark"])
    finish_fill(sim, fill)


@kernel
def reduce_position(sim: Sim, moment: Moment, execution: Execution, reason: ExitReason) -> None:
    """Close a part or all: the entry price stays, margin is released pro rata, losses are bounded."""
    position = row_of(sim.positions, execution.i_symbol)
    share = execution.steps / abs(position["steps"])
    fill = append_fill(sim, moment, execution)
    fill["fee"] = fee_of(fill["qty"], fill["price"], execution.fee_rate)
    fill["realised_pnl"] = -execution.side * fill["qty"] * (fill["price"] - position["entry_price"])
    fill["leverage"] = position_leverage(position)
    change = fill["realised_pnl"] - fill["fee"]
    bearable = bearable_loss(sim, execution.i_symbol, share)
    if -change > bearable:
        fill["covered"] = -change - bearable
        change = -bearable
    fill["initial_margin"] = -release_margin(sim, execution.i_symbol, share)
    _set_steps(sim, execution.i_symbol, position["steps"] + execution.side * execution.steps)
    change_wallet(sim, change)
    refresh_liquidation_level(sim, execution.i_symbol)
    trade = row_of(sim.books.trades, position["i_trade"])
    leave_trade(trade, fill)
    trade["gross_pnl"] += fill["realised_pnl"]
    trade["fees"] += fill["fee"]
    trade["covered"] += fill["covered"]
    sum_trade(trade)
    finish_fill(sim, fill)
    if position["steps"] == 0:
        leave_position(sim, moment, execution.i_symbol, reason)


@kernel
def position_leverage(position: Row) -> float:
    """Entry notional / initial margins brought."""
    return float(abs(position["qty"]) * position["entry_price"] / position["initial_margin"])


@kernel
def release_margin(sim: Sim, i_symbol: int, share: float) -> float:
    """Free a share of the position's margin; returns the initial margin released."""
    position = row_of(sim.positions, i_symbol)
    released = position["initial_margin"] * share
    if share == 1.0:
        position["initial_margin"] = 0.0
        position["isolated_wallet"] = 0.0
    else:
        position["initial_margin"] -= released
        position["isolated_wallet"] -= position["isolated_wallet"] * share
    return float(released)


@kernel
def leave_position(sim: Sim, moment: Moment, i_symbol: int, reason: ExitReason) -> None:
    """The position has become flat: end its trade."""
    position = row_of(sim.positions, i_symbol)
    close_trade(sim, moment, row_of(sim.books.trades, position["i_trade"]), reason)
    position["entry_price"] = 0.0
    position["i_trade"] = -1
    sim.account["n_open"] -= 1


@kernel
def _set_steps(sim: Sim, i_symbol: int, steps: int) -> None:
    position = row_of(sim.positions, i_symbol)
    position["steps"] = steps
    position["qty"] = to_qty(steps, row_of(sim.rules.symbols, i_symbol))
