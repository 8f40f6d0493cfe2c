"""What happens between open and close: orders and liquidations, in the order of one clock for all symbols."""

from backtests.engine.kernels.attached import better, follow_best, trailing_level
from backtests.engine.kernels.bars import (
    LEGS,
    NEVER,
    best_on_path,
    passing_time,
    price_on_path,
    set_marks_on_path,
    touch_time,
)
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.equity import note_path
from backtests.engine.kernels.liquidation import find_due_on_path, liquidate_on_path
from backtests.engine.kernels.matching import enter_book, fill_at_market, fill_order, find_room
from backtests.engine.kernels.orders import is_waiting
from backtests.engine.kernels.sizes import maker_quote
from backtests.engine.kernels.state import Moment, Row, Sim, last_bar
from backtests.engine.kernels.tables import row_of
from backtests.engine.kernels.types import OrderKind, Phase


@kernel
def walk_path(sim: Sim, moment: Moment) -> None:
    """Along the ways that `choose_ways` settled. Ties: symbol, then liquidation, stops, targets, limits, order id."""
    clock = 0.0
    while sim.account["n_open"] > 0 or sim.account["n_waiting"] > 0:
        i_due, due_time = find_due_on_path(sim, moment, clock)
        i_waiting, order_time = find_touch(sim, moment, clock)
        if i_due < 0 and i_waiting < 0:
            break
        is_liquidation = i_due >= 0 and (due_time < order_time or i_waiting < 0)
        if i_due >= 0 and i_waiting >= 0 and due_time == order_time:
            is_liquidation = sim.rules.run["is_cross"] or i_due <= row_of(sim.books.waiting, i_waiting)["i_symbol"]
        time = due_time if is_liquidation else order_time
        note_path(sim, moment.i_fine, clock, time)
        follow_prices(sim, moment, clock, time)
        set_marks_on_path(sim, moment.i_fine, time)
        if is_liquidation:
            liquidate_on_path(sim, moment, i_due, time)
        else:
            play_touch(sim, moment, i_waiting, clock, time)
        clock = time
    note_path(sim, moment.i_fine, clock, 3.0)
    follow_prices(sim, moment, clock, 3.0)


@kernel
def find_touch(sim: Sim, moment: Moment, clock: float) -> tuple[int, float]:
    """The first order whose price comes on the rest of the path, by its place in the list, and when; else -1."""
    first, first_time, first_rank = -1, NEVER, 0
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        if waiting["phase"] < Phase.LIMIT or not is_waiting(row_of(sim.books.orders, waiting["i_order"])):
            continue
        time = _time_of(sim, moment, waiting, clock)
        rank = _rank(sim, waiting)
        if time < first_time or (time < NEVER and time == first_time and rank < first_rank):
            first, first_time, first_rank = i, time, rank
    return first, first_time


@kernel
def _rank(sim: Sim, waiting: Row) -> int:
    """Smaller goes first where the time is the same; the list itself is in the order of ids."""
    rank = 2
    if waiting["phase"] == Phase.TRIGGER:
        rank = 1 if row_of(sim.books.orders, waiting["i_order"])["kind"] == OrderKind.TAKE_PROFIT else 0
    return int(3 * waiting["i_symbol"] + rank)


@kernel
def _time_of(sim: Sim, moment: Moment, waiting: Row, clock: float) -> float:
    """When the order's price comes; NEVER in a bar without trades, and for a limit once its volume is used up."""
    i_symbol = waiting["i_symbol"]
    bar = last_bar(sim, i_symbol, moment.i_fine)
    if not bar.volume > 0.0:
        return NEVER
    is_low_first = row_of(sim.positions, i_symbol)["is_low_first"]
    level, direction = waiting["level"], int(waiting["direction"])
    if waiting["phase"] == Phase.LIMIT:
        if find_room(sim, moment, i_symbol) <= 0:
            return NEVER
        if sim.rules.run["fills_through"]:
            return passing_time(bar, is_low_first, clock, level, direction)
    elif row_of(sim.books.orders, waiting["i_order"])["kind"] == OrderKind.TRAILING_STOP:
        return _trailing_time(sim, moment, waiting, clock)
    return touch_time(bar, is_low_first, clock, level, direction)


@kernel
def _trailing_time(sim: Sim, moment: Moment, waiting: Row, clock: float) -> float:
    """Leg by leg: one that goes the good way lifts the level, one that goes the bad way may come down to it."""
    i_symbol = waiting["i_symbol"]
    order = row_of(sim.books.orders, waiting["i_order"])
    bar = last_bar(sim, i_symbol, moment.i_fine)
    is_low_first = row_of(sim.positions, i_symbol)["is_low_first"]
    side, start = int(order["side"]), clock
    best = better(waiting["best"], price_on_path(bar, is_low_first, clock), side)
    while start < LEGS:
        end = float(int(start) + 1)
        time = touch_time(bar, is_low_first, start, trailing_level(sim, order, best), side)
        if time <= end:
            return time
        best = better(best, price_on_path(bar, is_low_first, end), side)
        start = end
    return NEVER


@kernel
def follow_prices(sim: Sim, moment: Moment, from_clock: float, to_clock: float) -> None:
    """Trailing stops have seen the way between two times."""
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        order = row_of(sim.books.orders, waiting["i_order"])
        if waiting["phase"] != Phase.TRIGGER or order["kind"] != OrderKind.TRAILING_STOP or not is_waiting(order):
            continue
        i_symbol = waiting["i_symbol"]
        bar = last_bar(sim, i_symbol, moment.i_fine)
        if bar.volume > 0.0:
            is_low_first = row_of(sim.positions, i_symbol)["is_low_first"]
            best = best_on_path(bar, is_low_first, from_clock, to_clock, -int(order["side"]))
            follow_best(sim, waiting, order, best)


@kernel
def play_touch(sim: Sim, moment: Moment, i_waiting: int, clock: float, time: float) -> None:
    """The price has come: a limit fills at its own, a trigger at its level, or where the price is beyond already."""
    waiting = row_of(sim.books.waiting, i_waiting)
    order = row_of(sim.books.orders, waiting["i_order"])
    if waiting["phase"] == Phase.LIMIT:
        fill_order(sim, moment, i_waiting, maker_quote(sim, order))
        return
    price = waiting["level"]
    if time == clock:
        bar = last_bar(sim, waiting["i_symbol"], moment.i_fine)
        now = price_on_path(bar, row_of(sim.positions, waiting["i_symbol"])["is_low_first"], time)
        if (now - price) * waiting["direction"] > 1e-12 * price:
            price = now
    if order["kind"] == OrderKind.STOP_LIMIT:
        enter_book(sim, moment, i_waiting, price)
    else:
        fill_at_market(sim, moment, i_waiting, price)
