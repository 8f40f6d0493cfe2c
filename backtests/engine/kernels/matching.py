"""What a fill does: to the order, to the position, to the orders that are attached."""

from backtests.engine.kernels.account import available_balance
from backtests.engine.kernels.attached import cancel_exits, cover, note_closed
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.layout import UNRESOLVED
from backtests.engine.kernels.orders import is_waiting
from backtests.engine.kernels.positions import increase_position, reduce_position
from backtests.engine.kernels.quantity import MOST_STEPS, to_qty, to_steps
from backtests.engine.kernels.refusals import (
    closing_steps,
    find_margin_refusal,
    find_refusal,
    is_shaved,
)
from backtests.engine.kernels.sizes import affordable_steps, resolve_steps, settle_side, taker_quote
from backtests.engine.kernels.state import Execution, Moment, Quote, Row, Sim, last_bar
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.trades import mean_price
from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Phase, Reason
from backtests.engine.kernels.waiting import end_waiting, tidy


@kernel
def fill_waiting_at_open(sim: Sim, moment: Moment) -> None:
    """Orders that waited for the open of the symbol's next bar with trades: they fill, or a limit goes live."""
    account = sim.account
    if not account["waits_for_open"]:
        return
    for i in range(account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        bar = last_bar(sim, waiting["i_symbol"], moment.i_fine)
        if not (bar.volume > 0.0 and is_waiting(row_of(sim.books.orders, waiting["i_order"]))):
            continue
        if waiting["phase"] == Phase.OPEN:
            fill_at_market(sim, moment, i, bar.open)
        elif waiting["phase"] == Phase.NEW_LIMIT:
            enter_book(sim, moment, i, bar.open)
    tidy(sim)


@kernel
def enter_book(sim: Sim, moment: Moment, i_waiting: int, price: float) -> None:
    """A limit goes live. One that the market meets already fills at once, or is refused if it must not take."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    waiting["phase"] = Phase.LIMIT
    waiting["level"] = order["limit_price"]
    waiting["direction"] = -order["side"]
    if (order["limit_price"] - price) * order["side"] < 0.0:
        return
    if order["is_post_only"]:
        end_refused(sim, moment, i_waiting, Reason.WOULD_TAKE)
    else:
        fill_at_market(sim, moment, i_waiting, price)


@kernel
def fill_at_market(sim: Sim, moment: Moment, i_waiting: int, reference_price: float) -> None:
    """Take what the market gives at this price."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    if waiting["steps"] == UNRESOLVED:
        settle_side(sim, order, reference_price)
    fill_order(sim, moment, i_waiting, taker_quote(sim, order, reference_price))


@kernel
def fill_order(sim: Sim, moment: Moment, i_waiting: int, quote: Quote) -> None:
    """Settle the size, ask once more whether the order may trade, and trade: what reduces first, then what opens."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    room = find_room(sim, moment, waiting["i_symbol"])
    if room <= 0:
        _wait_on(waiting, order)
        return
    if waiting["steps"] == UNRESOLVED:
        waiting["steps"] = resolve_steps(sim, order, quote)
    refusal = find_refusal(sim, order, waiting["steps"], quote)
    if refusal != Reason.NONE:
        end_refused(sim, moment, i_waiting, refusal)
        return
    closing = closing_steps(sim, order, waiting["steps"])
    opening = 0 if order["is_reduce_only"] else waiting["steps"] - closing
    _set_steps(sim, waiting, order, closing + opening)
    if closing > 0:
        _close_part(sim, moment, i_waiting, quote, min(closing, room), opening > 0 and room > closing)
    if opening > 0 and room > closing and not _open_part(sim, moment, i_waiting, quote, room - closing):
        status = OrderStatus.CANCELLED if waiting["filled"] > 0 else OrderStatus.REJECTED
        end_waiting(sim, moment, i_waiting, status, Reason.INSUFFICIENT_MARGIN)
    elif waiting["steps"] == 0:
        end_waiting(sim, moment, i_waiting, OrderStatus.FILLED, Reason.NONE)
    else:
        _wait_on(waiting, order)


@kernel
def _wait_on(waiting: Row, order: Row) -> None:
    """The bar's volume was too small for all of it: a limit waits for its price, the rest for the next open."""
    if waiting["filled"] > 0:
        order["status"] = OrderStatus.PARTLY_FILLED
    if waiting["phase"] != Phase.LIMIT:
        waiting["phase"] = Phase.OPEN


@kernel
def _set_steps(sim: Sim, waiting: Row, order: Row, steps: int) -> None:
    """So many steps are still to trade."""
    waiting["steps"] = steps
    order["qty"] = to_qty(waiting["filled"] + steps, row_of(sim.rules.symbols, waiting["i_symbol"]))


@kernel
def _close_part(sim: Sim, moment: Moment, i_waiting: int, quote: Quote, steps: int, is_flip: bool) -> None:
    """What reduces the position."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    reason = ExitReason.FLIP if is_flip else _exit_reason(order)
    reduce_position(sim, moment, _execution(order, steps, quote), reason)
    _note_filled(sim, waiting, order, steps, quote.price)
    if row_of(sim.positions, waiting["i_symbol"])["steps"] == 0:
        cancel_exits(sim, moment, waiting["i_symbol"], waiting["i_order"])
    else:
        note_closed(sim, moment, i_waiting, steps)


@kernel
def _open_part(sim: Sim, moment: Moment, i_waiting: int, quote: Quote, room: int) -> bool:
    """What opens. False when the margin is lacking: what was closed stands."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    opening = waiting["steps"]
    if find_margin_refusal(sim, order, opening, quote) != Reason.NONE:
        return False
    if is_shaved(order):
        opening = min(opening, affordable_steps(sim, order, quote, available_balance(sim)))
        if opening <= 0:
            return False
        _set_steps(sim, waiting, order, opening)
    opening = min(opening, room)
    increase_position(sim, moment, _execution(order, opening, quote))
    _note_filled(sim, waiting, order, opening, quote.price)
    cover(sim, moment, i_waiting, opening, quote.price, quote.reference_price)
    return True


@kernel
def _execution(order: Row, steps: int, quote: Quote) -> Execution:
    return Execution(
        int(order["order_id"]),
        int(order["i_symbol"]),
        int(order["side"]),
        int(steps),
        quote.price,
        quote.reference_price,
        quote.fee_rate,
        quote.is_maker,
    )


@kernel
def _note_filled(sim: Sim, waiting: Row, order: Row, steps: int, price: float) -> None:
    rule = row_of(sim.rules.symbols, waiting["i_symbol"])
    order["average_price"] = mean_price(order["filled_qty"], order["average_price"], to_qty(steps, rule), price)
    waiting["steps"] -= steps
    waiting["filled"] += steps
    order["filled_qty"] = to_qty(waiting["filled"], rule)
    position = row_of(sim.positions, waiting["i_symbol"])
    if position["room"] < MOST_STEPS:
        position["room"] -= steps


@kernel
def _exit_reason(order: Row) -> ExitReason:
    kind = order["kind"]
    if kind == OrderKind.STOP_LOSS:
        return ExitReason.STOP_LOSS
    if kind == OrderKind.TAKE_PROFIT:
        return ExitReason.TAKE_PROFIT
    return ExitReason.TRAILING_STOP if kind == OrderKind.TRAILING_STOP else ExitReason.ORDER


@kernel
def find_room(sim: Sim, moment: Moment, i_symbol: int) -> int:
    """How many steps of the symbol may still trade in this finest bar."""
    position = row_of(sim.positions, i_symbol)
    if position["i_fine_traded"] != moment.i_fine:
        position["i_fine_traded"] = moment.i_fine
        steps = MOST_STEPS
        if sim.rules.run["participation_cap"] <= 1.0:
            volume = last_bar(sim, i_symbol, moment.i_fine).volume
            steps = to_steps(volume * sim.rules.run["participation_cap"], row_of(sim.rules.symbols, i_symbol))
            steps = steps if steps >= 0 else MOST_STEPS
        position["room"] = steps
    return int(position["room"])


@kernel
def end_refused(sim: Sim, moment: Moment, i_waiting: int, refusal: Reason) -> None:
    """A target that is reached already wants nothing, a part of an order that cannot go on is cancelled; everything
    else is a rejection."""
    is_rejected = refusal != Reason.ALREADY_THERE and row_of(sim.books.waiting, i_waiting)["filled"] == 0
    status = OrderStatus.REJECTED if is_rejected else OrderStatus.CANCELLED
    end_waiting(sim, moment, i_waiting, status, refusal)
