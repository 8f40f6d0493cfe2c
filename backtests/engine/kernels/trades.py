"""Rows of fills and of trades: a trade is a round trip from flat to flat, or to a flip."""

import numpy as np

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.events import emit
from backtests.engine.kernels.quantity import to_qty
from backtests.engine.kernels.state import Execution, Moment, Row, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import EventKind, ExitReason, OrderKind


@kernel
def append_fill(sim: Sim, moment: Moment, execution: Execution) -> Row:
    """A fill row with what the execution says; the caller adds what it did to the account."""
    account = sim.account
    i_fill = account["n_fills"]
    account["n_fills"] = i_fill + 1
    position = row_of(sim.positions, execution.i_symbol)
    qty = to_qty(execution.steps, row_of(sim.rules.symbols, execution.i_symbol))
    fill = row_of(sim.books.fills, i_fill)
    fill["fill_id"] = i_fill
    fill["order_id"] = execution.i_order
    fill["trade_id"] = position["i_trade"]
    fill["i_bar"] = moment.i_bar
    fill["time_ms"] = moment.time_ms
    fill["i_symbol"] = execution.i_symbol
    fill["side"] = execution.side
    fill["kind"] = OrderKind.LIQUIDATION
    if execution.i_order >= 0:
        fill["kind"] = row_of(sim.books.orders, execution.i_order)["kind"]
    fill["qty"] = qty
    fill["price"] = execution.price
    fill["fee"] = 0.0
    fill["is_maker"] = execution.is_maker
    fill["slippage"] = qty * abs(execution.price - execution.reference_price)
    fill["realised_pnl"] = 0.0
    fill["initial_margin"] = 0.0
    fill["covered"] = 0.0
    emit(sim, EventKind.FILL, i_fill)
    return fill


@kernel
def finish_fill(sim: Sim, fill: Row) -> None:
    """What the account looks like after the fill."""
    position = row_of(sim.positions, fill["i_symbol"])
    fill["position_qty"] = position["qty"]
    fill["entry_price"] = position["entry_price"] if position["steps"] != 0 else np.nan
    fill["wallet_balance"] = sim.account["wallet_balance"]


@kernel
def open_trade(sim: Sim, moment: Moment, execution: Execution) -> None:
    """Start a trade; entries are booked by `enter_trade`. The row may hold what a walk the other way left there."""
    account = sim.account
    i_trade = account["n_trades"]
    account["n_trades"] = i_trade + 1
    row_of(sim.positions, execution.i_symbol)["i_trade"] = i_trade
    order = row_of(sim.books.orders, execution.i_order)
    trade = row_of(sim.books.trades, i_trade)
    trade["trade_id"] = i_trade
    trade["i_symbol"] = execution.i_symbol
    trade["side"] = execution.side
    trade["i_bar_entry"] = moment.i_bar
    trade["entry_ms"] = moment.time_ms
    trade["i_bar_exit"] = -1
    trade["exit_ms"] = -1
    trade["leverage"] = order["leverage"]
    trade["i_tag"] = order["i_tag"]
    trade["exit_price"] = np.nan
    trade["exit_reason"] = ExitReason.OPEN
    _clear_sums(trade)


@kernel
def _clear_sums(trade: Row) -> None:
    trade["qty"] = 0.0
    trade["entry_price"] = 0.0
    trade["closed_qty"] = 0.0
    trade["initial_margin"] = 0.0
    trade["gross_pnl"] = 0.0
    trade["fees"] = 0.0
    trade["funding"] = 0.0
    trade["liquidation_loss"] = 0.0
    trade["covered"] = 0.0
    trade["pnl"] = 0.0
    trade["mae"] = 0.0
    trade["mfe"] = 0.0
    trade["n_fills"] = 0
    trade["is_ambiguous"] = False


@kernel
def mean_price(qty: float, price: float, more_qty: float, more_price: float) -> float:
    """Quantity-weighted; exactly the new price where there was nothing before."""
    if qty == 0.0:
        return more_price
    return (qty * price + more_qty * more_price) / (qty + more_qty)


@kernel
def enter_trade(trade: Row, fill: Row) -> None:
    trade["entry_price"] = mean_price(trade["qty"], trade["entry_price"], fill["qty"], fill["price"])
    trade["qty"] += fill["qty"]
    trade["initial_margin"] += fill["initial_margin"]
    trade["fees"] += fill["fee"]
    trade["n_fills"] += 1
    sum_trade(trade)


@kernel
def leave_trade(trade: Row, fill: Row) -> None:
    """Book the price of an exit, whole or part."""
    trade["exit_price"] = mean_price(trade["closed_qty"], trade["exit_price"], fill["qty"], fill["price"])
    trade["closed_qty"] += fill["qty"]
    trade["n_fills"] += 1


@kernel
def sum_trade(trade: Row) -> None:
    trade["pnl"] = trade["gross_pnl"] - trade["fees"] + trade["funding"] - trade["liquidation_loss"] + trade["covered"]


@kernel
def close_trade(sim: Sim, moment: Moment, trade: Row, reason: ExitReason) -> None:
    trade["i_bar_exit"] = moment.i_bar
    trade["exit_ms"] = moment.time_ms
    trade["exit_reason"] = reason
    emit(sim, EventKind.LIQUIDATION if reason == ExitReason.LIQUIDATION else EventKind.TRADE_CLOSED, trade["trade_id"])


@kernel
def note_price(sim: Sim, i_symbol: int, price: float) -> None:
    """Let the open trade's worst and best unrealised PnL know a mark price it saw."""
    position = row_of(sim.positions, i_symbol)
    if position["steps"] == 0:
        return
    pnl = position["qty"] * (price - position["entry_price"])
    trade = row_of(sim.books.trades, position["i_trade"])
    trade["mae"] = min(trade["mae"], pnl)
    trade["mfe"] = max(trade["mfe"], pnl)
