"""Liquidation: when a position is due, and what its end costs."""

from backtests.engine.kernels.account import change_wallet, unrealised_pnl
from backtests.engine.kernels.bars import price_on_path, touch_time
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import fee_of
from backtests.engine.kernels.margin import find_tier, is_due, maintenance_of, refresh_liquidation_level
from backtests.engine.kernels.orders import cancel_waiting
from backtests.engine.kernels.positions import leave_position, position_leverage, release_margin
from backtests.engine.kernels.state import Execution, Moment, Row, Sim
from backtests.engine.kernels.trades import append_fill, finish_fill, leave_trade, note_price, sum_trade
from backtests.engine.kernels.types import ExitReason, OrderStatus, Reason

NEVER = 4.0  # a time after the last leg of a bar's path


@kernel
def liquidate_due(sim: Sim, moment: Moment) -> None:
    """Liquidate every position that is due where its mark stands now: at an open, or after funding."""
    for i_symbol in range(sim.positions.shape[0]):
        position = sim.positions[i_symbol]
        if is_due(position, position["mark"]):
            liquidate(sim, moment, i_symbol, position["mark"])


@kernel
def find_due_on_path(sim: Sim, moment: Moment, clock: float) -> tuple[int, float]:
    """The first symbol to be liquidated on the rest of the path, and when; (-1, NEVER) when none is."""
    first, first_time = -1, NEVER
    for i_symbol in range(sim.positions.shape[0]):
        position = sim.positions[i_symbol]
        if position["steps"] == 0:
            continue
        bar = sim.market.mark[i_symbol, moment.i_fine]
        direction = -1 if position["steps"] > 0 else 1
        time = touch_time(bar, position["is_low_first"], clock, position["liquidation_level"], direction)
        if time < first_time:
            first, first_time = i_symbol, time
    return first, first_time


@kernel
def liquidate_on_path(sim: Sim, moment: Moment, i_symbol: int, clock: float) -> None:
    """At the liquidation price, or at the mark where the path was beyond it already."""
    position = sim.positions[i_symbol]
    mark = price_on_path(sim.market.mark[i_symbol, moment.i_fine], position["is_low_first"], clock)
    level = position["liquidation_level"]
    price = min(level, mark) if position["steps"] > 0 else max(level, mark)
    liquidate(sim, moment, i_symbol, price)


@kernel
def liquidate(sim: Sim, moment: Moment, i_symbol: int, price: float) -> None:
    """Close the whole position. The wallet loses at most the position's isolated wallet; the rest is covered."""
    position = sim.positions[i_symbol]
    position["mark"] = price
    note_price(sim, i_symbol, price)
    steps = abs(position["steps"])
    side = -1 if position["steps"] > 0 else 1
    fill = append_fill(sim, moment, Execution(-1, i_symbol, side, steps, price, price, 0.0))
    fill["fee"] = fee_of(fill["qty"], price, sim.rules.symbols[i_symbol]["liquidation_fee_rate"])
    fill["realised_pnl"] = unrealised_pnl(position)
    fill["leverage"] = position_leverage(position)
    cost = fill["fee"] - fill["realised_pnl"]
    loss = min(position["isolated_wallet"], cost)
    fill["covered"] = cost - loss
    append_evidence(sim, moment, i_symbol, fill)
    fill["initial_margin"] = -release_margin(sim, i_symbol, 1.0)
    position["steps"] = 0
    position["qty"] = 0.0
    change_wallet(sim, -loss)
    refresh_liquidation_level(sim, i_symbol)
    trade = sim.books.trades[position["i_trade"]]
    leave_trade(trade, fill)
    trade["liquidation_loss"] += loss
    sum_trade(trade)
    finish_fill(sim, fill)
    leave_position(sim, moment, i_symbol, ExitReason.LIQUIDATION)
    cancel_waiting(sim, moment, i_symbol, OrderStatus.CANCELLED, Reason.LIQUIDATED)


@kernel
def append_evidence(sim: Sim, moment: Moment, i_symbol: int, fill: Row) -> None:
    """Why the position was liquidated, as it stood just before."""
    account = sim.account
    evidence = sim.books.liquidations[account["n_liquidations"]]
    account["n_liquidations"] += 1
    position = sim.positions[i_symbol]
    tiers = sim.rules.tiers[i_symbol]
    n_tiers = sim.rules.symbols[i_symbol]["n_tiers"]
    notional = fill["qty"] * fill["price"]
    evidence["i_bar"] = moment.i_bar
    evidence["time_ms"] = moment.time_ms
    evidence["i_symbol"] = i_symbol
    evidence["trade_id"] = position["i_trade"]
    evidence["position_qty"] = position["qty"]
    evidence["entry_price"] = position["entry_price"]
    evidence["liquidation_price"] = position["liquidation_level"]
    evidence["price"] = fill["price"]
    evidence["isolated_wallet"] = position["isolated_wallet"]
    evidence["unrealised_pnl"] = fill["realised_pnl"]
    evidence["maintenance_margin"] = maintenance_of(tiers, n_tiers, notional)
    evidence["i_tier"] = find_tier(tiers, n_tiers, notional)
    evidence["fee"] = fill["fee"]
    evidence["loss"] = fill["fee"] - fill["realised_pnl"] - fill["covered"]
    evidence["covered"] = fill["covered"]
    bar = sim.market.mark[i_symbol, moment.i_fine]
    evidence["mark_open"] = bar["open"]
    evidence["mark_high"] = bar["high"]
    evidence["mark_low"] = bar["low"]
    evidence["mark_close"] = bar["close"]
