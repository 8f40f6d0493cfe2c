"""What the strategy asked for, played at the close of its step."""

import numpy as np

from backtests.engine.kernels.account import note_ruin
from backtests.engine.kernels.attached import append_attached, append_position_exit, first_target, replace_exits
from backtests.engine.kernels.bars import set_marks_at_close
from backtests.engine.kernels.changes import change_order
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.matching import enter_book, fill_at_market
from backtests.engine.kernels.orders import append_order, settle_order
from backtests.engine.kernels.prices import find_attached_refusal, find_trigger_refusal, is_ahead
from backtests.engine.kernels.quantity import to_qty
from backtests.engine.kernels.refusals import find_refusal
from backtests.engine.kernels.sizes import resolve_steps, resting_quote, settle_side, taker_quote
from backtests.engine.kernels.state import Moment, Row, Rows, Sim, first_fine, last_bar, open_of
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import CommandKind, OrderKind, OrderStatus, Phase, Reason
from backtests.engine.kernels.waiting import cancel_by_strategy, end_waiting, find_waiting, tidy, wait


@kernel
def play_command(sim: Sim, commands: Rows, i_command: int) -> None:
    """One command at the close of the step on which the account stands."""
    command = row_of(commands, i_command)
    i_bar = sim.account["i_bar"]
    i_fine = first_fine(sim, i_bar + 1) - 1
    moment = Moment(i_bar, i_fine, open_of(sim, i_bar) + sim.rules.run["timeframe_ms"])
    kind = command["kind"]
    if kind == CommandKind.ATTACH_TAKE_PROFIT:
        return  # read by the order that follows
    set_marks_at_close(sim, i_fine)
    if kind == CommandKind.CANCEL:
        cancel_order(sim, moment, command["order_id"])
    elif kind == CommandKind.CANCEL_ALL:
        cancel_by_strategy(sim, moment, command["i_symbol"])
    elif kind == CommandKind.MODIFY:
        i_waiting = find_waiting(sim, command["order_id"])
        if i_waiting >= 0:
            is_now = sim.rules.run["fills_at_close"] and is_traded(
                sim, i_bar, row_of(sim.books.waiting, i_waiting)["i_symbol"]
            )
            change_order(sim, moment, command, i_waiting, is_now)
    elif kind == CommandKind.SET_STOP_LOSS or kind == CommandKind.SET_TAKE_PROFIT:
        set_exit(sim, moment, commands, i_command)
    else:
        place_order(sim, moment, commands, i_command)
    tidy(sim)
    note_ruin(sim)


@kernel
def cancel_order(sim: Sim, moment: Moment, i_order: int) -> None:
    """Cancel a waiting order; anything else stays as it is."""
    i_waiting = find_waiting(sim, i_order)
    if i_waiting >= 0:
        end_waiting(sim, moment, i_waiting, OrderStatus.CANCELLED, Reason.BY_STRATEGY)


@kernel
def place_order(sim: Sim, moment: Moment, commands: Rows, i_command: int) -> None:
    """A new order: refused, or in the list, and at once at work where the close can be traded."""
    command = row_of(commands, i_command)
    i_order = append_order(sim, moment, command)
    order = row_of(sim.books.orders, i_order)
    i_symbol = command["i_symbol"]
    close = last_bar(sim, i_symbol, moment.i_fine).close
    is_now = sim.rules.run["fills_at_close"] and is_traded(sim, moment.i_bar, i_symbol)
    refusal = Reason.RUINED
    if not sim.account["is_ruined"]:
        refusal = Reason.NONE
        if not (is_now and is_asked_at_fill(sim, commands, i_command, order)):
            refusal = find_early_refusal(sim, commands, i_command, i_order, close)
        if refusal == Reason.NONE and is_now and order["kind"] == OrderKind.LIMIT:
            refusal = find_taking_refusal(sim, order, close)
    if refusal != Reason.NONE:
        is_idle = refusal == Reason.ALREADY_THERE
        settle_order(sim, moment, i_order, OrderStatus.CANCELLED if is_idle else OrderStatus.REJECTED, refusal)
        return
    i_waiting = wait(sim, i_order, Phase.OPEN)
    append_attached(sim, moment, commands, i_command, i_order)
    if order["kind"] != OrderKind.MARKET:
        steps = resolve_steps(sim, order, resting_quote(sim, order))
        row_of(sim.books.waiting, i_waiting)["steps"] = steps
        order["qty"] = to_qty(steps, row_of(sim.rules.symbols, i_symbol))
    start_waiting(sim, moment, i_waiting, close, is_now)


@kernel
def is_asked_at_fill(sim: Sim, commands: Rows, i_command: int, order: Row) -> bool:
    """Whether asking for a refusal at submission, too, is asking twice: nothing comes between that and the fill.

    So it is with plain market orders that fill at this close. A participation cap may let them wait, and an order
    that is refused at submission has no attached orders.
    """
    command = row_of(commands, i_command)
    has_attached = not (
        np.isnan(command["stop_loss"]) and np.isnan(command["take_profit"]) and np.isnan(command["trailing_ratio"])
    )
    is_capped = sim.rules.run["participation_cap"] <= 1.0
    is_plain = order["kind"] == OrderKind.MARKET and first_target(commands, i_command) == i_command
    return bool(is_plain and not has_attached and not is_capped)


@kernel
def start_waiting(sim: Sim, moment: Moment, i_waiting: int, close: float, is_now: bool) -> None:
    """A trigger waits for its level. The others act on this close if they may, or wait for an open."""
    waiting = row_of(sim.books.waiting, i_waiting)
    kind = row_of(sim.books.orders, waiting["i_order"])["kind"]
    if kind == OrderKind.STOP or kind == OrderKind.STOP_LIMIT:
        waiting["phase"] = Phase.TRIGGER
    elif kind == OrderKind.LIMIT:
        waiting["phase"] = Phase.NEW_LIMIT
        if is_now:
            enter_book(sim, moment, i_waiting, close)
    elif is_now:
        fill_at_market(sim, moment, i_waiting, close)


@kernel
def find_early_refusal(sim: Sim, commands: Rows, i_command: int, i_order: int, close: float) -> Reason:
    """What is wrong already at submission, judged at the last close. Before a symbol's first bar nothing is known."""
    order = row_of(sim.books.orders, i_order)
    if not close > 0.0:
        return Reason.NONE
    if find_trigger_refusal(order, close) != Reason.NONE:
        return Reason.INVALID_PRICE
    if find_attached_refusal(sim, commands, i_command, order, close) != Reason.NONE:
        return Reason.INVALID_PRICE
    if order["kind"] == OrderKind.MARKET:
        settle_side(sim, order, close)
        quote = taker_quote(sim, order, close)
    else:
        quote = resting_quote(sim, order)
    return find_refusal(sim, order, resolve_steps(sim, order, quote), quote)


@kernel
def find_taking_refusal(sim: Sim, order: Row, close: float) -> Reason:
    """What is wrong with a limit that would fill at this close."""
    if (order["limit_price"] - close) * order["side"] < 0.0:
        return Reason.NONE
    if order["is_post_only"]:
        return Reason.WOULD_TAKE
    steps = resolve_steps(sim, order, resting_quote(sim, order))
    order["qty"] = to_qty(steps, row_of(sim.rules.symbols, order["i_symbol"]))
    return find_refusal(sim, order, steps, taker_quote(sim, order, close))


@kernel
def set_exit(sim: Sim, moment: Moment, commands: Rows, i_command: int) -> None:
    """A stop or target for the open position."""
    command = row_of(commands, i_command)
    i_order = append_position_exit(sim, moment, command)
    order = row_of(sim.books.orders, i_order)
    close = last_bar(sim, command["i_symbol"], moment.i_fine).close
    refusal = Reason.NONE
    if sim.account["is_ruined"]:
        refusal = Reason.RUINED
    elif row_of(sim.positions, command["i_symbol"])["steps"] == 0:
        refusal = Reason.NO_POSITION
    elif not is_ahead(order, close):
        refusal = Reason.INVALID_PRICE
    if refusal == Reason.NONE:
        replace_exits(sim, moment, i_order)
    else:
        settle_order(sim, moment, i_order, OrderStatus.REJECTED, refusal)


@kernel
def is_traded(sim: Sim, i_bar: int, i_symbol: int) -> bool:
    """Whether the symbol trades in the step: without a look into memory where all do always."""
    if sim.sizes["n_idle"] == 0:
        return True
    for i_fine in range(first_fine(sim, i_bar), first_fine(sim, i_bar + 1)):
        if last_bar(sim, i_symbol, i_fine).volume > 0.0:
            return True
    return False
