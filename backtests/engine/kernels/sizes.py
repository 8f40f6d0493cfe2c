"""Quantities as whole steps, and how many of them an order means."""

import math

from backtests.engine.kernels.account import margin_balance
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import slip
from backtests.engine.kernels.quantity import to_qty, to_steps
from backtests.engine.kernels.state import Row, Sim
from backtests.engine.kernels.types import SizeKind


@kernel
def resolve_steps(sim: Sim, order: Row, reference_price: float) -> int:
    """The steps that the order asks for at this price, 0 or more; -1 when that is no quantity.

    Sizes relative to the position also settle the order's side. The reference price is before slippage.
    """
    kind = order["size_kind"]
    if kind == SizeKind.POSITION_PERCENT:
        return _percent_steps(sim, order)
    if kind >= SizeKind.TARGET_RATIO:
        return _target_steps(sim, order, reference_price)
    rule = sim.rules.symbols[order["i_symbol"]]
    if kind == SizeKind.QTY:
        return to_steps(order["size"], rule)
    price = slip(reference_price, order["side"], sim.rules.run["slippage_ratio"])
    if kind == SizeKind.NOTIONAL:
        return to_steps(order["size"] / price, rule)
    return affordable_steps(sim, order, price, order["size"] * margin_balance(sim))


@kernel
def _percent_steps(sim: Sim, order: Row) -> int:
    held: int = sim.positions[order["i_symbol"]]["steps"]
    order["side"] = -1 if held > 0 else 1
    share: float = order["size"] / 100.0
    return math.floor(abs(held) * share + 1e-9)


@kernel
def _target_steps(sim: Sim, order: Row, reference_price: float) -> int:
    held = sim.positions[order["i_symbol"]]["steps"]
    size = order["size"]
    qty = abs(size)
    if order["size_kind"] == SizeKind.TARGET_RATIO:
        qty = qty * max(margin_balance(sim), 0.0) / reference_price
    elif order["size_kind"] == SizeKind.TARGET_NOTIONAL:
        qty = qty / reference_price
    wanted = to_steps(qty, sim.rules.symbols[order["i_symbol"]])
    if wanted < 0:
        return -1
    change = (wanted if size >= 0.0 else -wanted) - held
    order["side"] = 1 if change >= 0 else -1
    return int(abs(change))


@kernel
def open_loss_per_unit(sim: Sim, order: Row, price: float) -> float:
    """What one unit bought or sold at this price has lost at once against the mark."""
    mark = sim.positions[order["i_symbol"]]["mark"]
    loss: float = (price - mark) * order["side"]
    return max(0.0, loss)


@kernel
def cost_per_unit(sim: Sim, order: Row, price: float) -> float:
    """What an entry of one unit needs: margin + fee + open loss. A rebate is not counted on."""
    fee_rate = max(sim.rules.run["taker_fee"], 0.0)
    return float(price / order["leverage"] + price * fee_rate + open_loss_per_unit(sim, order, price))


@kernel
def affordable_steps(sim: Sim, order: Row, price: float, budget: float) -> int:
    """The most steps whose margin, fee and open loss are within the budget, and whose fee is within the wallet."""
    if not budget > 0.0:
        return 0
    rule = sim.rules.symbols[order["i_symbol"]]
    per_unit = cost_per_unit(sim, order, price)
    steps = to_steps(budget / per_unit, rule)
    # Rounding may overshoot in the last place: an all-in order must not be refused for it.
    while steps > 0 and to_qty(steps, rule) * per_unit > budget:
        steps -= 1
    if not can_pay_fee(sim, to_qty(steps, rule) * price):
        steps = to_steps(sim.account["wallet_balance"] / (price * sim.rules.run["taker_fee"]), rule)
        while steps > 0 and not can_pay_fee(sim, to_qty(steps, rule) * price):
            steps -= 1
    return steps


@kernel
def can_pay_fee(sim: Sim, notional: float) -> bool:
    """Whether the wallet holds an entry's fee. Under cross margin profit may carry its margin, but cannot pay."""
    return bool(not sim.rules.run["is_cross"] or notional * sim.rules.run["taker_fee"] <= sim.account["wallet_balance"])
