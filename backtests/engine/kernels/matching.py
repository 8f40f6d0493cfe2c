"""Market orders: when they fill, and what their fill does."""

from backtests.engine.kernels.account import available_balance
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.fees import slip
from backtests.engine.kernels.orders import (
    closing_steps,
    drop_ended,
    end_order,
    find_margin_refusal,
    find_refusal,
)
from backtests.engine.kernels.positions import increase_position, reduce_position
from backtests.engine.kernels.quantity import to_qty
from backtests.engine.kernels.sizes import affordable_steps, resolve_steps
from backtests.engine.kernels.state import Execution, Moment, Sim
from backtests.engine.kernels.types import ExitReason, OrderStatus, Reason, SizeKind


@kernel
def fill_waiting_at_open(sim: Sim, moment: Moment) -> None:
    """Market orders that waited fill at the open of the symbol's next bar with trades."""
    account = sim.account
    if account["n_waiting"] == 0:
        return
    for i in range(account["n_waiting"]):
        i_order = sim.books.waiting[i]
        bar = sim.market.last[sim.books.orders[i_order]["i_symbol"], moment.i_fine]
        if bar["volume"] > 0.0:
            fill_market(sim, moment, i_order, bar["open"])
    drop_ended(sim)


@kernel
def fill_market(sim: Sim, moment: Moment, i_order: int, reference_price: float) -> None:
    """Resolve the size, ask once more whether the order may trade, and trade: what reduces first, then what opens."""
    order = sim.books.orders[i_order]
    steps = resolve_steps(sim, order, reference_price)
    price = slip(reference_price, order["side"], sim.rules.run["slippage_ratio"])
    refusal = find_refusal(sim, order, steps, price)
    if refusal != Reason.NONE:
        end_refused(sim, moment, i_order, refusal)
        return
    closing = closing_steps(sim, order, steps)
    opening = 0 if order["is_reduce_only"] else steps - closing
    rule = sim.rules.symbols[order["i_symbol"]]
    order["qty"] = to_qty(closing + opening, rule)
    order["average_price"] = price
    i_symbol, side, fee_rate = int(order["i_symbol"]), int(order["side"]), sim.rules.run["taker_fee"]
    execution = Execution(i_order, i_symbol, side, closing, price, reference_price, fee_rate)
    if closing > 0:
        reduce_position(sim, moment, execution, ExitReason.FLIP if opening > 0 else ExitReason.ORDER)
        order["filled_qty"] = to_qty(closing, rule)
    if opening > 0 and not open_rest(sim, moment, execution, opening):
        end_order(sim, moment, i_order, OrderStatus.CANCELLED, Reason.INSUFFICIENT_MARGIN)
        return
    end_order(sim, moment, i_order, OrderStatus.FILLED, Reason.NONE)


@kernel
def open_rest(sim: Sim, moment: Moment, closed: Execution, opening: int) -> bool:
    """The opening part of an order. False when the margin is lacking: what was closed stands."""
    order = sim.books.orders[closed.i_order]
    if find_margin_refusal(sim, order, opening, closed.price) != Reason.NONE:
        return False
    if order["size_kind"] == SizeKind.TARGET_RATIO:
        opening = min(opening, affordable_steps(sim, order, closed.price, available_balance(sim)))
        if opening <= 0:
            return False
    rule = sim.rules.symbols[closed.i_symbol]
    order["filled_qty"] += to_qty(opening, rule)
    order["qty"] = order["filled_qty"]
    execution = Execution(
        closed.i_order,
        closed.i_symbol,
        closed.side,
        opening,
        closed.price,
        closed.reference_price,
        closed.fee_rate,
    )
    increase_position(sim, moment, execution)
    return True


@kernel
def end_refused(sim: Sim, moment: Moment, i_order: int, refusal: Reason) -> None:
    """A target that is reached already wants nothing; everything else is a rejection."""
    status = OrderStatus.CANCELLED if refusal == Reason.ALREADY_THERE else OrderStatus.REJECTED
    end_order(sim, moment, i_order, status, refusal)
