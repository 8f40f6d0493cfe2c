"""Bars in which nothing happens but the passing of time: how they are found, and how they are passed."""

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.equity import note_whole_bar, write_equity_row
from backtests.engine.kernels.funding import skip_funding
from backtests.engine.kernels.liquidation import can_be_due
from backtests.engine.kernels.state import Sim


@kernel
def find_next_event(sim: Sim, i_from: int, i_to: int) -> int:
    account = sim.account
    if account["n_waiting"] == 0 and account["n_open"] == 0:
        return i_to
    market = sim.market
    if i_from <= account["next_expiry"] < i_to:
        i_to = account["next_expiry"]  # a step to be played; nothing need be looked for behind it
    i_next_funding = account["i_next_funding"]
    for i_bar in range(i_from, i_to):
        for i_fine in range(market.first_fine[i_bar], market.first_fine[i_bar + 1]):
            i_next_funding = skip_funding(market.funding, i_next_funding, i_fine)
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
        for i_symbol in range(sim.positions.shape[0]):
            bar = sim.market.last[i_symbol, i_fine]
            position = sim.positions[i_symbol]
            if bar["low"] <= position["wake_low"] or bar["high"] >= position["wake_high"]:
                return True
    if account["n_open"] == 0:
        return False
    funding = sim.market.funding
    if i_next_funding < funding.shape[0] and funding[i_next_funding]["i_fine"] == i_fine:
        return True
    return can_be_due(sim, i_fine)


@kernel
def pass_quiet_steps(sim: Sim, i_bar: int) -> None:
    """Steps up to and with i_bar, in which nothing happens but the passing of time."""
    account = sim.account
    while account["i_bar"] < i_bar:
        close_step(sim)
        if account["n_open"] > 0:
            step = account["i_bar"]
            for i_fine in range(sim.market.first_fine[step], sim.market.first_fine[step + 1]):
                note_whole_bar(sim, i_fine)


@kernel
def close_step(sim: Sim) -> None:
    """The equity row of the step on which the account stands, and on to the next."""
    account = sim.account
    if account["i_bar"] >= sim.rules.run["first_bar"]:
        write_equity_row(sim, account["i_bar"])
    account["i_bar"] += 1
