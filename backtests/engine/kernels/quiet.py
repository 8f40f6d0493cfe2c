"""Bars in which nothing happens but the passing of time: how they are found, and how they are passed.

Most bars of most runs are such bars, and of those most have one open position and no finer bars. These have tight loops
of their own (`*_plain_*`). They give what the general ones give, to the bit: an extreme of many bars is reached as
by asking each of them, and the row of a step needs nothing but its own mark. The oracle (tests/engine/test_oracle.py),
whose runs have both kinds, guards it; the loops are ten times as fast.
"""

import numpy as np

from backtests.engine.kernels.bars import find_outside
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.equity import (
    keeps_rows,
    note_whole_bar,
    write_equity_row,
    write_flat_rows,
    write_plain_rows,
)
from backtests.engine.kernels.funding import skip_funding
from backtests.engine.kernels.liquidation import can_be_due, only_position
from backtests.engine.kernels.state import Sim, first_fine, last_bar
from backtests.engine.kernels.tables import row_of, rows_from
from backtests.engine.kernels.trades import note_price


@kernel
def find_next_event(sim: Sim, i_from: int, i_to: int) -> int:
    """The first step from i_from on, before i_to, in which anything can happen; i_to when none."""
    account = sim.account
    if account["n_waiting"] == 0 and account["n_open"] == 0:
        return i_to
    if i_from <= account["next_expiry"] < i_to:
        i_to = account["next_expiry"]  # a step to be played; nothing need be looked for behind it
    if is_plain(sim) and not account["waits_for_open"] and (account["n_waiting"] == 0 or sim.sizes["n_symbols"] == 1):
        return find_plain_event(sim, i_from, i_to)
    i_next_funding = account["i_next_funding"]
    for i_bar in range(i_from, i_to):
        for i_fine in range(first_fine(sim, i_bar), first_fine(sim, i_bar + 1)):
            i_next_funding = skip_funding(sim, i_next_funding, i_fine)
            if can_happen(sim, i_fine, i_next_funding):
                return i_bar
    return i_to


@kernel
def can_happen(sim: Sim, i_fine: int, i_next_funding: int) -> bool:
    """Whether anything but the passing of time can happen in a finest bar. Must never be False wrongly.

    i_next_funding: the first stamp that is not before this bar.
    """
    account = sim.account
    if account["waits_for_open"]:
        return True
    if account["n_waiting"] > 0:
        for i_symbol in range(sim.sizes["n_symbols"]):
            bar = last_bar(sim, i_symbol, i_fine)
            position = row_of(sim.positions, i_symbol)
            if bar.low <= position["wake_low"] or bar.high >= position["wake_high"]:
                return True
    if account["n_open"] == 0:
        return False
    if i_next_funding < sim.sizes["n_funding"] and row_of(sim.market.funding, i_next_funding)["i_fine"] == i_fine:
        return True
    return can_be_due(sim, i_fine)


@kernel
def is_plain(sim: Sim) -> bool:
    """One open position, and steps of one finest bar each: then step and finest bar have the same index."""
    return bool(sim.account["n_open"] == 1 and sim.sizes["n_fine"] == sim.sizes["n_steps"])


@kernel
def find_plain_event(sim: Sim, i_from: int, i_to: int) -> int:
    """As find_next_event: the step of the next funding, or an earlier one whose prices reach a level.

    A single position has a liquidation level under cross margin, too; the levels of waiting orders lie beyond wake_low
    and wake_high.
    """
    i_funding = skip_funding(sim, sim.account["i_next_funding"], i_from)
    if i_funding < sim.sizes["n_funding"]:
        i_to = min(i_to, row_of(sim.market.funding, i_funding)["i_fine"])
    i_symbol = only_position(sim)
    position = row_of(sim.positions, i_symbol)
    i_first = i_symbol * sim.sizes["n_fine"]
    if sim.account["n_waiting"] > 0:
        last = sim.market.last
        lows, highs = rows_from(last.low, i_first), rows_from(last.high, i_first)
        i_to = find_outside(lows, highs, i_from, i_to, position["wake_low"], position["wake_high"])
    level, mark = position["liquidation_level"], sim.market.mark
    if position["steps"] > 0:
        lows = rows_from(mark.low, i_first)
        return i_to if level < sim.sizes["lowest_mark"] else find_outside(lows, lows, i_from, i_to, level, np.inf)
    highs = rows_from(mark.high, i_first)
    return i_to if level > sim.sizes["highest_mark"] else find_outside(highs, highs, i_from, i_to, -np.inf, level)


@kernel
def pass_quiet_steps(sim: Sim, i_bar: int) -> None:
    """Steps up to and with i_bar, in which nothing happens but the passing of time."""
    account = sim.account
    if account["i_bar"] >= i_bar:
        return
    if account["n_open"] == 0:
        write_flat_rows(sim, max(account["i_bar"], sim.rules.run["first_bar"]), i_bar)
        account["i_bar"] = i_bar
    elif is_plain(sim):
        i_symbol = only_position(sim)
        write_plain_rows(sim, i_symbol, max(account["i_bar"], sim.rules.run["first_bar"]), i_bar)
        if keeps_rows(sim):  # else no one asks what the trades saw
            note_plain_bars(sim, i_symbol, account["i_bar"] + 1, i_bar + 1)
        account["i_bar"] = i_bar
    while account["i_bar"] < i_bar:
        close_step(sim)
        step = account["i_bar"]
        for i_fine in range(first_fine(sim, step), first_fine(sim, step + 1)):
            note_whole_bar(sim, i_fine)


@kernel
def note_plain_bars(sim: Sim, i_symbol: int, i_from: int, i_to: int) -> None:
    """The open trade saw the extremes of these bars."""
    i_first = i_symbol * sim.sizes["n_fine"]
    lows, highs = rows_from(sim.market.mark.low, i_first), rows_from(sim.market.mark.high, i_first)
    low, high = np.inf, 0.0
    for i in range(i_from, i_to):
        low = min(low, lows[i])
        high = max(high, highs[i])
    note_price(sim, i_symbol, low)
    note_price(sim, i_symbol, high)


@kernel
def close_step(sim: Sim) -> None:
    """The equity row of the step on which the account stands, and on to the next."""
    account = sim.account
    if account["i_bar"] >= sim.rules.run["first_bar"]:
        write_equity_row(sim, account["i_bar"])
    account["i_bar"] += 1
