"""How many steps an order means, and at what price it would trade."""

import math

import numpy as np

from backtests.engine.kernels.account import margin_balance
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import slip
from backtests.engine.kernels.quantity import to_qty, to_steps
from backtests.engine.kernels.state import Quote, Row, Sim
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import SizeKind


@kernel
def is_target(order: Row) -> bool:
    """Whether its size says where the position is to go, not what is to trade."""
    return bool(order["size_kind"] >= SizeKind.TARGET_RATIO)


@kernel
def settle_side(sim: Sim, order: Row, reference_price: float) -> None:
    """A size relative to the position says by what is held now whether to buy or to sell."""
    if order["size_kind"] == SizeKind.POSITION_PERCENT:
        order["side"] = -1 if row_of(sim.positions, order["i_symbol"])["steps"] > 0 else 1
    elif is_target(order):
        order["side"] = 1 if _wanted_change(sim, order, reference_price) >= 0 else -1


@kernel
def taker_quote(sim: Sim, order: Row, reference_price: float) -> Quote:
    """What the market gives: with slippage, but never worse than the limit of an order that has one."""
    price = slip(reference_price, order["side"], sim.rules.run["slippage_ratio"])
    limit = order["limit_price"]
    if not np.isnan(limit) and (price - limit) * order["side"] > 0.0:
        price = limit
    mark = row_of(sim.positions, order["i_symbol"])["mark"]
    return Quote(price, reference_price, mark, sim.rules.run["taker_fee"], False)


@kernel
def maker_quote(sim: Sim, order: Row) -> Quote:
    """Its own price."""
    limit = order["limit_price"]
    return Quote(limit, limit, row_of(sim.positions, order["i_symbol"])["mark"], sim.rules.run["maker_fee"], True)


@kernel
def resting_quote(sim: Sim, order: Row) -> Quote:
    """At submission: what an order that has a price of its own expects. The mark is expected to be there, too."""
    run = sim.rules.run
    limit = order["limit_price"]
    if not np.isnan(limit):
        return Quote(limit, limit, limit, max(run["maker_fee"], run["taker_fee"]), True)
    stop = order["stop_price"]
    return Quote(slip(stop, order["side"], run["slippage_ratio"]), stop, stop, run["taker_fee"], False)


@kernel
def resolve_steps(sim: Sim, order: Row, quote: Quote) -> int:
    """The steps that the order asks for, 0 or more; -1 when that is no quantity. Its side is settled."""
    kind = order["size_kind"]
    if kind == SizeKind.POSITION_PERCENT:
        share: float = abs(row_of(sim.positions, order["i_symbol"])["steps"]) * (order["size"] / 100.0)
        return math.floor(share + 1e-9)
    if is_target(order):
        change = _wanted_change(sim, order, quote.reference_price)
        return -1 if change == NO_QUANTITY else int(abs(change))
    rule = row_of(sim.rules.symbols, order["i_symbol"])
    if kind == SizeKind.QTY:
        return to_steps(order["size"], rule)
    if kind == SizeKind.NOTIONAL:
        return to_steps(order["size"] / quote.price, rule)
    return affordable_steps(sim, order, quote, order["size"] * margin_balance(sim))


NO_QUANTITY = 2**62  # a change of position that no steps can count


@kernel
def _wanted_change(sim: Sim, order: Row, reference_price: float) -> int:
    """Signed steps from what is held to the target."""
    wanted_qty = abs(order["size"])
    if order["size_kind"] == SizeKind.TARGET_RATIO:
        wanted_qty = wanted_qty * max(margin_balance(sim), 0.0) / reference_price
    elif order["size_kind"] == SizeKind.TARGET_NOTIONAL:
        wanted_qty = wanted_qty / reference_price
    wanted = to_steps(wanted_qty, row_of(sim.rules.symbols, order["i_symbol"]))
    if wanted < 0:
        return NO_QUANTITY
    return int((wanted if order["size"] >= 0.0 else -wanted) - row_of(sim.positions, order["i_symbol"])["steps"])


@kernel
def cost_per_unit(order: Row, quote: Quote) -> float:
    """What an entry of one unit needs: margin + fee + open loss. A rebate is not counted on."""
    open_loss = max(0.0, (quote.price - quote.mark) * order["side"])
    return float(quote.price / order["leverage"] + quote.price * max(quote.fee_rate, 0.0) + open_loss)


@kernel
def affordable_steps(sim: Sim, order: Row, quote: Quote, budget: float) -> int:
    """The most steps whose margin, fee and open loss are within the budget, and whose fee is within the wallet."""
    if not budget > 0.0:
        return 0
    rule = row_of(sim.rules.symbols, order["i_symbol"])
    per_unit = cost_per_unit(order, quote)
    steps = to_steps(budget / per_unit, rule)
    # Rounding may overshoot in the last place: an all-in order must not be refused for it.
    while steps > 0 and to_qty(steps, rule) * per_unit > budget:
        steps -= 1
    if not can_pay_fee(sim, to_qty(steps, rule), quote):
        steps = to_steps(sim.account["wallet_balance"] / (quote.price * quote.fee_rate), rule)
        while steps > 0 and not can_pay_fee(sim, to_qty(steps, rule), quote):
            steps -= 1
    return steps


@kernel
def can_pay_fee(sim: Sim, qty: float, quote: Quote) -> bool:
    """Whether the wallet holds an entry's fee. Under cross margin profit may carry its margin, but cannot pay."""
    return bool(not sim.rules.run["is_cross"] or qty * quote.price * quote.fee_rate <= sim.account["wallet_balance"])
