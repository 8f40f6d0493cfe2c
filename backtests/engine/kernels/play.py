"""The one driver: bars and commands in order. `run` calls it piece by piece, `replay` in one go.

The order of events in a step is `play_step`, then the strategy's commands, then `write_equity_row`.
"""

from backtests.engine.kernels.account import note_ruin
from backtests.engine.kernels.ambiguity import play_path
from backtests.engine.kernels.bars import set_marks_at_close, set_marks_at_open
from backtests.engine.kernels.commands import play_command
from backtests.engine.kernels.compiler import entry_kernel, kernel
from backtests.engine.kernels.equity import note_marks, note_whole_bar, write_equity_row
from backtests.engine.kernels.funding import charge_funding, skip_funding
from backtests.engine.kernels.liquidation import liquidate_due
from backtests.engine.kernels.margin import level_of, margin_ratio
from backtests.engine.kernels.matching import fill_waiting_at_open
from backtests.engine.kernels.quiet import can_happen, close_step, find_next_event, pass_quiet_steps
from backtests.engine.kernels.state import Handle, Moment, Rows, Sim, first_fine, open_of, open_tables
from backtests.engine.kernels.tables import first_row, row_of
from backtests.engine.kernels.types import OrderStatus, Reason
from backtests.engine.kernels.waiting import cancel_waiting, expire_orders, tidy

MOST_ATTACHED = 24  # orders that come with one command


@entry_kernel
def play(handle: Handle, commands: Rows, n_commands: int, i_bar: int) -> bool:
    """Play the commands not yet played, each at the close of its step, and the steps up to and with i_bar.

    False when a table may run out of rows: let the tables grow and call again; nothing is lost or done twice.
    """
    sim = open_tables(handle)
    account, log = sim.account, first_row(commands)
    while account["n_commands"] < n_commands:
        command = row_of(log, account["n_commands"])
        if not advance(sim, min(command["i_bar"], i_bar)):
            return False
        if command["i_bar"] > i_bar:
            return True
        if not has_room(sim, 1):
            return False
        account["n_commands"] += 1
        play_command(sim, log, account["n_commands"] - 1)
    return advance(sim, i_bar)


@kernel
def advance(sim: Sim, i_bar: int) -> bool:
    """Close the steps before i_bar with their equity rows, and let happen what happens up to i_bar."""
    account = sim.account
    while account["i_bar"] < i_bar and not account["is_ruined"]:
        step = find_next_event(sim, account["i_bar"] + 1, i_bar + 1)
        pass_quiet_steps(sim, step - 1)
        if step > i_bar:
            break
        if not has_room(sim, first_fine(sim, step + 1) - first_fine(sim, step)):
            return False
        close_step(sim)
        play_step(sim, step)
    return True


@kernel
def has_room(sim: Sim, n_fine: int) -> bool:
    """Whether the tables hold what so many finest bars can bring at most."""
    account = sim.account
    # No order comes into being within a step; only a participation cap lets one fill several times.
    n_times = n_fine if sim.rules.run["participation_cap"] <= 1.0 else 1
    most = 4 * (account["n_waiting"] + sim.sizes["n_symbols"] + MOST_ATTACHED) * n_times
    sizes = sim.sizes
    return bool(
        account["n_fills"] + most <= sizes["most_fills"]
        and account["n_trades"] + most <= sizes["most_trades"]
        and account["n_liquidations"] + most <= sizes["most_liquidations"]
        and account["n_orders"] + most <= sizes["most_orders"]
        and account["n_waiting"] + most <= sizes["most_waiting"]
        and (not sim.rules.run["is_listening"] or account["n_events"] + 4 * most <= sizes["most_events"])
    )


@kernel
def play_step(sim: Sim, i_bar: int) -> None:
    """Steps 1 to 4 of the order of events, for every finest bar."""
    market = sim.market
    account = sim.account
    for i_fine in range(first_fine(sim, i_bar), first_fine(sim, i_bar + 1)):
        account["i_next_funding"] = skip_funding(sim, account["i_next_funding"], i_fine)
        if can_happen(sim, i_fine, account["i_next_funding"]):
            play_bar(sim, Moment(i_bar, i_fine, market.fine_ms[i_fine]))
        else:
            note_whole_bar(sim, i_fine)
    if i_bar >= account["next_expiry"]:
        i_fine = first_fine(sim, i_bar + 1) - 1
        expire_orders(sim, Moment(i_bar, i_fine, open_of(sim, i_bar) + sim.rules.run["timeframe_ms"]))


@kernel
def play_bar(sim: Sim, moment: Moment) -> None:
    """One finest bar in which something may happen."""
    set_marks_at_open(sim, moment.i_fine)
    note_marks(sim)
    charge_funding(sim, moment, False)
    liquidate_due(sim, moment)
    fill_waiting_at_open(sim, moment)
    charge_funding(sim, moment, True)
    play_path(sim, moment)
    tidy(sim)
    set_marks_at_close(sim, moment.i_fine)
    note_ruin(sim)


@entry_kernel
def look_ahead(handle: Handle, i_from: int, i_to: int) -> int:
    """The first step from i_from on, before i_to, in which anything can happen; i_to when none."""
    return find_next_event(open_tables(handle), i_from, i_to)


@entry_kernel
def read_margin_ratio(handle: Handle, i_bar: int) -> float:
    """At the close of the step; nothing may have happened since the last step played."""
    sim = open_tables(handle)
    set_marks_at_close(sim, first_fine(sim, i_bar + 1) - 1)
    return margin_ratio(sim)


@entry_kernel
def read_liquidation_level(handle: Handle, i_bar: int, i_symbol: int) -> float:
    """As read_margin_ratio. Under cross margin it moves with the marks of the other positions."""
    sim = open_tables(handle)
    set_marks_at_close(sim, first_fine(sim, i_bar + 1) - 1)
    return level_of(sim, i_symbol)


@entry_kernel
def finish(handle: Handle) -> None:
    """After the last step: its equity row, and an end for what still waits."""
    sim = open_tables(handle)
    account = sim.account
    if account["is_finished"]:
        return
    account["is_finished"] = True
    i_bar = account["i_bar"]
    write_equity_row(sim, i_bar)
    i_fine = first_fine(sim, i_bar + 1) - 1
    moment = Moment(i_bar, i_fine, open_of(sim, i_bar) + sim.rules.run["timeframe_ms"])
    if account["is_ruined"]:
        cancel_waiting(sim, moment, -1, OrderStatus.CANCELLED, Reason.RUINED)
    else:
        cancel_waiting(sim, moment, -1, OrderStatus.EXPIRED, Reason.END_OF_DATA)
