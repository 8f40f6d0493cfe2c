"""Why an order cannot trade: the exchange's rules, asked at submission and again at the fill."""

import numpy as np

from backtests.engine.kernels.account import available_balance
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.margin import find_tier
from backtests.engine.kernels.quantity import to_qty, to_steps
from backtests.engine.kernels.sizes import can_pay_fee, cost_per_unit, is_target
from backtests.engine.kernels.state import Quote, Row, Sim, tiers_of
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind


@kernel
def closing_steps(sim: Sim, order: Row, steps: int) -> int:
    """How many of the order's steps reduce what is held; the rest opens."""
    held = row_of(sim.positions, order["i_symbol"])["steps"]
    return int(min(steps, abs(held))) if held * order["side"] < 0 else 0


@kernel
def find_refusal(sim: Sim, order: Row, steps: int, quote: Quote) -> Reason:
    """Why an order of so many steps cannot trade at this quote now; Reason.NONE when it can.

    Asked at submission and again at the fill, because the position and the balance may have changed between.
    """
    closing = closing_steps(sim, order, steps)
    if order["size_kind"] == SizeKind.POSITION_PERCENT and row_of(sim.positions, order["i_symbol"])["steps"] == 0:
        return Reason.NO_POSITION
    if steps < 0:
        return Reason.INVALID_QTY
    if steps == 0:
        return Reason.ALREADY_THERE if is_target(order) else Reason.BELOW_MIN_QTY
    if order["is_reduce_only"]:
        return _find_size_refusal(sim, order, closing, closing, quote.price) if closing > 0 else Reason.REDUCE_ONLY
    if sim.rules.run["is_spot"] and order["side"] < 0 and closing < steps:
        return Reason.SPOT_SHORT
    refusal = _find_size_refusal(sim, order, steps, closing, quote.price)
    if refusal != Reason.NONE or closing == steps:
        return refusal
    refusal = _find_leverage_refusal(sim, order, steps, quote.price)
    if refusal != Reason.NONE or closing > 0:  # a flip: what closes may free the margin for the rest
        return refusal
    return find_margin_refusal(sim, order, steps, quote)


@kernel
def _find_size_refusal(sim: Sim, order: Row, steps: int, closing: int, price: float) -> Reason:
    """The exchange's minimum sizes, for the whole order. On futures orders that only reduce are exempt."""
    if closing == steps and not sim.rules.run["is_spot"]:
        return Reason.NONE
    rule = row_of(sim.rules.symbols, order["i_symbol"])
    qty = to_qty(steps + to_steps(order["filled_qty"], rule), rule)
    if qty < rule["min_qty"]:
        return Reason.BELOW_MIN_QTY
    return Reason.BELOW_MIN_NOTIONAL if qty * price < rule["min_notional"] else Reason.NONE


@kernel
def _find_leverage_refusal(sim: Sim, order: Row, steps: int, price: float) -> Reason:
    """The order's leverage against the run's maximum and the tier of the notional that would result."""
    run = sim.rules.run
    if order["leverage"] > run["max_leverage"]:
        return Reason.LEVERAGE_ABOVE_LIMIT
    if run["is_spot"]:
        return Reason.NONE
    i_symbol = order["i_symbol"]
    rule = row_of(sim.rules.symbols, i_symbol)
    resulting = abs(row_of(sim.positions, i_symbol)["steps"] + int(order["side"]) * steps)
    tiers = tiers_of(sim, i_symbol)
    i_tier = find_tier(tiers, rule["n_tiers"], to_qty(resulting, rule) * price)
    return Reason.LEVERAGE_ABOVE_TIER if order["leverage"] > row_of(tiers, i_tier)["max_leverage"] else Reason.NONE


@kernel
def is_shaved(order: Row) -> bool:
    """Whether the order takes as much as the balance can carry at its fill, instead of being refused.

    A target ratio always; a share of the equity where its quantity was settled before this fill.
    """
    kind = order["size_kind"]
    is_settled = order["kind"] != OrderKind.MARKET or order["status"] == OrderStatus.PARTLY_FILLED
    return bool(kind == SizeKind.TARGET_RATIO or (kind == SizeKind.EQUITY_RATIO and is_settled))


@kernel
def find_margin_refusal(sim: Sim, order: Row, opening: int, quote: Quote) -> Reason:
    """An entry needs margin + fee + open loss. A target only needs its margin: costs shave its quantity."""
    qty = to_qty(opening, row_of(sim.rules.symbols, order["i_symbol"]))
    needed = qty * cost_per_unit(order, quote)
    if order["size_kind"] == SizeKind.TARGET_RATIO:
        needed = qty * quote.price / order["leverage"] / (1.0 + sim.rules.run["slippage_ratio"] + 1e-9)
    elif is_shaved(order) and not np.isnan(order["qty"]):  # its quantity was settled, and affordable, before
        needed = 0.0
    if not is_shaved(order) and not can_pay_fee(sim, qty, quote):
        return Reason.INSUFFICIENT_MARGIN
    return Reason.INSUFFICIENT_MARGIN if needed > available_balance(sim) else Reason.NONE
