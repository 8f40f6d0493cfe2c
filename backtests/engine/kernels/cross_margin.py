"""The account as a whole under cross margin: when its margin balance falls to the maintenance margin of all positions.

The *excess* is the one less the other. Prices are linear on a leg of the path, so the excess is concave there: it falls
to zero inside a leg only if it is at or below zero at the leg's end.
"""

from backtests.engine.kernels.bars import LEGS, NEVER, knot, price_on_path
from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.margin import highest_tier, position_excess
from backtests.engine.kernels.state import Sim, mark_bar, tiers_of
from backtests.engine.kernels.tables import row_of

SLACK = 1e-9  # of all money in play: more than rounding can hide


@kernel
def excess_now(sim: Sim) -> float:
    """At the marks where they stand."""
    excess: float = sim.account["wallet_balance"]
    for i_symbol in range(sim.sizes["n_symbols"]):
        excess += position_excess(sim, i_symbol, row_of(sim.positions, i_symbol)["mark"])
    return excess


@kernel
def can_account_be_due(sim: Sim, i_fine: int) -> bool:
    """Whether the excess would be gone with every mark at its adverse extreme of the bar: nothing in it is worse."""
    excess = sim.account["wallet_balance"]
    money = excess
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] != 0:
            bar = mark_bar(sim, i_symbol, i_fine)
            worst = bar.low if position["steps"] > 0 else bar.high
            excess += position_excess(sim, i_symbol, worst)
            money += abs(position["qty"]) * worst
    return bool(excess <= SLACK * money)


@kernel
def find_account_due(sim: Sim, i_fine: int, clock: float) -> float:
    """When, from `clock` on, the excess is first gone on the bar's path; NEVER when it is not."""
    if excess_on_path(sim, i_fine, clock) <= 0.0:
        return clock
    for i_leg in range(int(clock), LEGS):
        if excess_on_path(sim, i_fine, i_leg + 1.0) <= 0.0:
            return max(clock, find_root(sim, i_fine, i_leg))
    return NEVER


@kernel
def excess_on_path(sim: Sim, i_fine: int, clock: float) -> float:
    excess: float = sim.account["wallet_balance"]
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        if position["steps"] != 0:
            mark = price_on_path(mark_bar(sim, i_symbol, i_fine), position["is_low_first"], clock)
            excess += position_excess(sim, i_symbol, mark)
    return excess


@kernel
def find_root(sim: Sim, i_fine: int, i_leg: int) -> float:
    """When the excess is gone on a leg at whose end it is: Newton's steps back from the end.

    The excess is concave and made of straight pieces, so that no step passes the root, and each one but the last
    reaches another tier of some position: there are at most as many as there are tiers.
    """
    time = i_leg + 1.0
    for _ in range(sim.sizes["n_symbols"] * sim.sizes["n_tiers"] + 1):
        excess: float = sim.account["wallet_balance"]
        slope = 0.0
        for i_symbol in range(sim.sizes["n_symbols"]):
            position = row_of(sim.positions, i_symbol)
            if position["steps"] == 0:
                continue
            bar = mark_bar(sim, i_symbol, i_fine)
            start = knot(bar, position["is_low_first"], i_leg)
            change = knot(bar, position["is_low_first"], i_leg + 1) - start
            mark = start + change * (time - i_leg)
            qty = position["qty"]
            i_tier = highest_tier(sim, i_symbol, abs(qty) * mark)
            excess += position_excess(sim, i_symbol, mark)
            slope += (qty - abs(qty) * row_of(tiers_of(sim, i_symbol), i_tier)["maintenance_rate"]) * change
        if not (excess < 0.0 and slope < 0.0):
            break
        time = max(time - excess / slope, float(i_leg))
    return time
