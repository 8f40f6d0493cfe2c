"""Liquidation: when a position is due, and what its end costs."""

from backtests.engine.kernels.account import change_wallet, margin_wallet, unrealised_pnl
from backtests.engine.kernels.bars import NEVER, price_on_path, touch_time
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.cross_margin import can_account_be_due, excess_now, find_account_due
from backtests.engine.kernels.fees import fee_of
from backtests.engine.kernels.margin import find_tier, is_due, maintenance_of, refresh_liquidation_level
from backtests.engine.kernels.positions import leave_position, position_leverage, release_margin
from backtests.engine.kernels.state import Execution, Moment, Row, Sim, mark_bar, tiers_of
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.trades import append_fill, finish_fill, leave_trade, note_price, sum_trade
from backtests.engine.kernels.types import ExitReason, OrderStatus, Reason
from backtests.engine.kernels.waiting import cancel_waiting


@kernel
def is_account_wide(sim: Sim) -> bool:
    """Cross margin over several positions. A single one has a level, as under isolated margin."""
    return bool(sim.rules.run["is_cross"] and sim.account["n_open"] > 1)


@kernel
def can_be_due(sim: Sim, i_fine: int) -> bool:
    """Whether a finest bar can bring a liquidation. Must never be False wrongly."""
    if is_account_wide(sim):
        return can_account_be_due(sim, i_fine)
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] != 0:
            bar = mark_bar(sim, i_symbol, i_fine)
            if is_due(position, bar.low if position["steps"] > 0 else bar.high):
                return True
    return False


@kernel
def liquidate_due(sim: Sim, moment: Moment) -> None:
    """Liquidate every position that is due where its mark stands now: at an open."""
    for i_symbol in range(sim.sizes["n_symbols"]):
        liquidate_if_due(sim, moment, i_symbol)


@kernel
def liquidate_if_due(sim: Sim, moment: Moment, i_symbol: int) -> None:
    """Where the marks stand now. Under cross margin it is the account that is due or not."""
    position = row_of(sim.positions, i_symbol)
    if is_account_wide(sim):
        if excess_now(sim) <= 0.0:
            liquidate_account(sim, moment)
    elif is_due(position, position["mark"]):
        liquidate(sim, moment, i_symbol, position["mark"])


@kernel
def find_due_on_path(sim: Sim, moment: Moment, clock: float) -> tuple[int, float]:
    """The first symbol to be liquidated on the rest of the path, and when; (-1, NEVER) when none is.

    Under cross margin that is symbol 0 for the account: at its time, its end comes before anything else.
    """
    if is_account_wide(sim):
        time = find_account_due(sim, moment.i_fine, clock)
        return (0, time) if time < NEVER else (-1, NEVER)
    first, first_time = -1, NEVER
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] == 0:
            continue
        bar = mark_bar(sim, i_symbol, moment.i_fine)
        direction = -1 if position["steps"] > 0 else 1
        time = touch_time(bar, position["is_low_first"], clock, position["liquidation_level"], direction)
        if time < first_time:
            first, first_time = 0 if sim.rules.run["is_cross"] else i_symbol, time
    return first, first_time


@kernel
def liquidate_on_path(sim: Sim, moment: Moment, i_symbol: int, clock: float) -> None:
    """At the liquidation price, or at the mark where the path was beyond it already. The marks stand at this clock."""
    if is_account_wide(sim):
        liquidate_account(sim, moment)
        return
    if sim.rules.run["is_cross"]:
        i_symbol = only_position(sim)
    position = row_of(sim.positions, i_symbol)
    mark = price_on_path(mark_bar(sim, i_symbol, moment.i_fine), position["is_low_first"], clock)
    level = position["liquidation_level"]
    price = min(level, mark) if position["steps"] > 0 else max(level, mark)
    liquidate(sim, moment, i_symbol, price)


@kernel
def only_position(sim: Sim) -> int:
    """The symbol of the one open position."""
    i_symbol = 0
    while row_of(sim.positions, i_symbol)["steps"] == 0:
        i_symbol += 1
    return i_symbol


@kernel
def liquidate(sim: Sim, moment: Moment, i_symbol: int, price: float) -> None:
    """Close one position at this mark: under isolated margin any, under cross margin the only one."""
    row_of(sim.positions, i_symbol)["mark"] = price
    end_position(sim, moment, i_symbol, margin_wallet(sim, i_symbol))
    cancel_waiting(sim, moment, -1 if sim.rules.run["is_cross"] else i_symbol, OrderStatus.CANCELLED, Reason.LIQUIDATED)


@kernel
def liquidate_account(sim: Sim, moment: Moment) -> None:
    """Close every position at its mark: first those that bring the wallet something, then those that cost."""
    wallet = sim.account["wallet_balance"]
    refresh_liquidation_level(sim, 0)
    for is_last in (False, True):
        for i_symbol in range(sim.sizes["n_symbols"]):
            position = row_of(sim.positions, i_symbol)
            if position["steps"] != 0 and (is_last or closing_fee(sim, i_symbol) <= unrealised_pnl(position)):
                end_position(sim, moment, i_symbol, wallet)
    cancel_waiting(sim, moment, -1, OrderStatus.CANCELLED, Reason.LIQUIDATED)


@kernel
def closing_fee(sim: Sim, i_symbol: int) -> float:
    """What the exchange takes for closing the whole position at its mark."""
    position = row_of(sim.positions, i_symbol)
    return fee_of(abs(position["qty"]), position["mark"], row_of(sim.rules.symbols, i_symbol)["liquidation_fee_rate"])


@kernel
def end_position(sim: Sim, moment: Moment, i_symbol: int, wallet: float) -> None:
    """Close the whole position at its mark. It costs at most the wallet that bears it; the rest is covered.

    `wallet` is that wallet before the liquidation, for the evidence.
    """
    position = row_of(sim.positions, i_symbol)
    price = position["mark"]
    note_price(sim, i_symbol, price)
    steps = abs(position["steps"])
    side = -1 if position["steps"] > 0 else 1
    fill = append_fill(sim, moment, Execution(-1, i_symbol, side, steps, price, price, 0.0, False))
    fill["fee"] = closing_fee(sim, i_symbol)
    fill["realised_pnl"] = unrealised_pnl(position)
    fill["leverage"] = position_leverage(position)
    cost = fill["fee"] - fill["realised_pnl"]
    loss = min(margin_wallet(sim, i_symbol), cost)
    fill["covered"] = cost - loss
    append_evidence(sim, moment, fill, wallet)
    fill["initial_margin"] = -release_margin(sim, i_symbol, 1.0)
    position["steps"] = 0
    position["qty"] = 0.0
    change_wallet(sim, -loss)
    position["liquidation_level"] = 0.0
    trade = row_of(sim.books.trades, position["i_trade"])
    leave_trade(trade, fill)
    trade["liquidation_loss"] += loss
    sum_trade(trade)
    finish_fill(sim, fill)
    leave_position(sim, moment, i_symbol, ExitReason.LIQUIDATION)


@kernel
def append_evidence(sim: Sim, moment: Moment, fill: Row, wallet: float) -> None:
    """Why the position was liquidated, as it stood just before."""
    account = sim.account
    evidence = row_of(sim.books.liquidations, account["n_liquidations"])
    account["n_liquidations"] += 1
    i_symbol = fill["i_symbol"]
    position = row_of(sim.positions, i_symbol)
    tiers = tiers_of(sim, i_symbol)
    n_tiers = row_of(sim.rules.symbols, i_symbol)["n_tiers"]
    notional = fill["qty"] * fill["price"]
    evidence["i_bar"] = moment.i_bar
    evidence["time_ms"] = moment.time_ms
    evidence["i_symbol"] = i_symbol
    evidence["trade_id"] = position["i_trade"]
    evidence["position_qty"] = position["qty"]
    evidence["entry_price"] = position["entry_price"]
    evidence["liquidation_price"] = position["liquidation_level"]
    evidence["price"] = fill["price"]
    evidence["margin_wallet"] = wallet
    evidence["unrealised_pnl"] = fill["realised_pnl"]
    evidence["maintenance_margin"] = maintenance_of(tiers, n_tiers, notional)
    evidence["i_tier"] = find_tier(tiers, n_tiers, notional)
    evidence["fee"] = fill["fee"]
    evidence["loss"] = fill["fee"] - fill["realised_pnl"] - fill["covered"]
    evidence["covered"] = fill["covered"]
    bar = mark_bar(sim, i_symbol, moment.i_fine)
    evidence["mark_open"] = bar.open
    evidence["mark_high"] = bar.high
    evidence["mark_low"] = bar.low
    evidence["mark_close"] = bar.close
