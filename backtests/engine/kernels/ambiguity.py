"""Bars of which nobody can know: exchanging the two extremes on the path would give other fills."""

from backtests.engine.kernels.bars import choose_ways
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.liquidation import can_be_due, is_account_wide
from backtests.engine.kernels.margin import is_due
from backtests.engine.kernels.orders import is_waiting
from backtests.engine.kernels.path import walk_path
from backtests.engine.kernels.state import Moment, Sim, last_bar, mark_bar
from backtests.engine.kernels.tables import copy_row, row_of
from backtests.engine.kernels.types import OrderKind, Phase


@kernel
def play_path(sim: Sim, moment: Moment) -> None:
    """Walk the bar; where it may matter, walk it the other way round first, and compare."""
    choose_ways(sim, moment.i_fine)
    may_matter = _may_matter(sim, moment)
    n_fills, n_trades, n_others = sim.account["n_fills"], sim.account["n_trades"], 0
    for is_other_way in (True, False):
        if is_other_way and may_matter:
            kept = _keep(sim)
            _turn_ways(sim)
            walk_path(sim, moment)
            n_others = _keep_fills(sim, n_fills)
            _come_back(sim, kept)
        elif not is_other_way:
            walk_path(sim, moment)
    if may_matter and _has_other_fills(sim, n_fills, n_others):
        _note_ambiguous(sim, n_fills, n_trades, n_others)


@kernel
def _turn_ways(sim: Sim) -> None:
    for i_symbol in range(sim.sizes["n_symbols"]):
        row_of(sim.positions, i_symbol)["is_low_first"] = not row_of(sim.positions, i_symbol)["is_low_first"]


@kernel
def _keep_fills(sim: Sim, n_fills: int) -> int:
    """Put the fills of the walk aside; returns how many there are."""
    n_others = sim.account["n_fills"] - n_fills
    for i in range(n_others):
        copy_row(row_of(sim.scratch.fills, i), row_of(sim.books.fills, n_fills + i))
    return int(n_others)


@kernel
def _note_ambiguous(sim: Sim, n_fills: int, n_trades: int, n_others: int) -> None:
    """Count the bar, and mark the trades that have a fill in it, one way or the other."""
    account, trades = sim.account, sim.books.trades
    account["n_ambiguous"] += 1
    for i in range(n_fills, account["n_fills"]):
        row_of(trades, row_of(sim.books.fills, i)["trade_id"])["is_ambiguous"] = True
    for i in range(n_others):
        i_trade = row_of(sim.scratch.fills, i)["trade_id"]
        if i_trade < n_trades:  # later ones were opened on the other way only
            row_of(trades, i_trade)["is_ambiguous"] = True


@kernel
def _may_matter(sim: Sim, moment: Moment) -> bool:
    """Whether the bar reaches two levels, or one whose effect hangs on what came before it.

    One exit alone, or one liquidation, happens either way at the same price.
    """
    n_reached = 0
    for i in range(sim.account["n_waiting"]):
        waiting = row_of(sim.books.waiting, i)
        order = row_of(sim.books.orders, waiting["i_order"])
        bar = last_bar(sim, waiting["i_symbol"], moment.i_fine)
        if waiting["phase"] < Phase.LIMIT or not bar.volume > 0.0 or not is_waiting(order):
            continue
        if order["kind"] == OrderKind.TRAILING_STOP:
            n_reached += 2
        elif (waiting["direction"] < 0 and bar.low <= waiting["level"]) or (
            waiting["direction"] > 0 and bar.high >= waiting["level"]
        ):
            is_plain_exit = order["is_reduce_only"] and order["kind"] != OrderKind.STOP_LIMIT
            n_reached += 1 if is_plain_exit else 2
    return n_reached > 1 or _liquidations_reached(sim, moment) + n_reached > 1


@kernel
def _liquidations_reached(sim: Sim, moment: Moment) -> int:
    """Positions that are, or may be, liquidated within the bar."""
    if sim.account["n_open"] == 0:
        return 0
    if is_account_wide(sim):
        return 2 if can_be_due(sim, moment.i_fine) else 0
    n_reached = 0
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        bar = mark_bar(sim, i_symbol, moment.i_fine)
        n_reached += 1 if is_due(position, bar.low) or is_due(position, bar.high) else 0
    return n_reached


@kernel
def _keep(sim: Sim) -> tuple[float, int, int, int, int, int]:
    """Copy what a walk changes; what tables gain is told by their counts."""
    account, scratch, books = sim.account, sim.scratch, sim.books
    for i_symbol in range(sim.sizes["n_symbols"]):
        copy_row(row_of(scratch.positions, i_symbol), row_of(sim.positions, i_symbol))
        i_trade = row_of(sim.positions, i_symbol)["i_trade"]
        if i_trade >= 0:
            copy_row(row_of(scratch.trades, i_symbol), row_of(books.trades, i_trade))
    for i in range(account["n_waiting"]):
        copy_row(row_of(scratch.waiting, i), row_of(books.waiting, i))
        copy_row(row_of(scratch.orders, i), row_of(books.orders, row_of(books.waiting, i)["i_order"]))
    return (
        account["wallet_balance"],
        account["n_fills"],
        account["n_trades"],
        account["n_liquidations"],
        account["n_events"],
        account["n_open"],
    )


@kernel
def _come_back(sim: Sim, kept: tuple[float, int, int, int, int, int]) -> None:
    account, scratch, books = sim.account, sim.scratch, sim.books
    account["wallet_balance"] = kept[0]
    account["n_fills"] = kept[1]
    account["n_trades"] = kept[2]
    account["n_liquidations"] = kept[3]
    account["n_events"] = kept[4]
    account["n_open"] = kept[5]
    for i_symbol in range(sim.sizes["n_symbols"]):
        copy_row(row_of(sim.positions, i_symbol), row_of(scratch.positions, i_symbol))
        i_trade = row_of(sim.positions, i_symbol)["i_trade"]
        if i_trade >= 0:
            copy_row(row_of(books.trades, i_trade), row_of(scratch.trades, i_symbol))
    for i in range(account["n_waiting"]):
        copy_row(row_of(books.waiting, i), row_of(scratch.waiting, i))
        copy_row(row_of(books.orders, row_of(books.waiting, i)["i_order"]), row_of(scratch.orders, i))


@kernel
def _has_other_fills(sim: Sim, n_fills: int, n_others: int) -> bool:
    """Whether the two walks differ in any fill; that they come in another order does not count."""
    if sim.account["n_fills"] - n_fills != n_others:
        return True
    for i in range(n_fills, sim.account["n_fills"]):
        fill = row_of(sim.books.fills, i)
        is_found = False
        for k in range(n_others):
            other = row_of(sim.scratch.fills, k)
            is_same = fill["order_id"] == other["order_id"] and fill["i_symbol"] == other["i_symbol"]
            if is_same and fill["qty"] == other["qty"] and fill["price"] == other["price"]:
                is_found = True
        if not is_found:
            return True
    return False
