"""Arrays of targets: the commands that they come to are made here, and played as any other."""

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.account import margin_balance
from backtests.engine.kernels.bars import set_marks_at_close
from backtests.engine.kernels.commands import play_command
from backtests.engine.kernels.compiler import entry_kernel, kernel
from backtests.engine.kernels.equity import keeps_rows
from backtests.engine.kernels.orders import is_waiting
from backtests.engine.kernels.play import advance, has_room
from backtests.engine.kernels.state import Handle, Row, Rows, Sim, first_fine, open_tables
from backtests.engine.kernels.tables import copy_row, first_row, row_of
from backtests.engine.kernels.types import CommandKind, OrderStatus, SizeKind

PLAN = np.dtype(
    [
        ("size_kind", "i1"),  # TARGET_RATIO, TARGET_QTY or TARGET_NOTIONAL
        ("leverage", "f8"),  # NaN: the run's
        ("stop_loss_ratio", "f8"),  # NaN: none
        ("take_profit_ratio", "f8"),  # NaN: none
        ("band", "f8"),  # the drift beyond which the position is set right; infinite: never
        # How far it is:
        ("i_next", "i8"),  # the first bar whose value is not yet looked at
        ("i_change", "i8"),  # of the changes of values, those before this one are
        ("value", "f8"),  # the last value that was not NaN
        ("i_order", "i8"),  # the last order made; -1 none
    ]
)

type Values = NDArray[np.float64]
type Changes = NDArray[np.int64]


@entry_kernel
def follow(
    handle: Handle, commands: Rows, plans: Rows, values: Values, changes: Changes, changed: Values, i_bar: int
) -> bool:
    """Play the steps up to and with i_bar, and at the close of each what its value asks for; commands keeps the log.

    changes: the bars whose values are looked at (kernels/target_changes.py); with a band each is, while one may drift.
    changed: their values, which are far apart in `values`. False when a table may run out of rows: let the tables and
    the log grow and call again; nothing is done twice.
    """
    sim = open_tables(handle)
    account = sim.account
    plan = plans[0]
    while True:
        step = find_next_look(sim, plan, changes, changed, i_bar + 1)
        if not advance(sim, min(step, i_bar)):
            return False
        if step > i_bar or account["is_ruined"]:
            return True
        if not has_room(sim, 1) or account["n_commands"] + 2 > commands.shape[0]:
            return False
        plan["i_next"] = step + 1
        if not keeps_rows(sim) and account["n_waiting"] == 0:
            plan["i_order"] = -1
            forget_rows(sim)
        if is_order_wanted(sim, plan, read_value(plan, values, changes, changed, step), step):
            make_target(sim, plan, first_row(commands), step)


@kernel
def forget_rows(sim: Sim) -> None:
    """Sum up what a sweep wants of the rows so far; the next ones are written over them, and stay in the cache.

    Only while no order waits: nothing points to a row then, but the open position to its trade.
    """
    account, books, position = sim.account, sim.books, row_of(sim.positions, 0)
    for i in range(account["n_fills"]):
        account["fees"] += row_of(books.fills, i)["fee"]
    for i in range(account["n_orders"]):
        account["n_rejected"] += int(row_of(books.orders, i)["status"] == OrderStatus.REJECTED)
    n_open = 0
    if position["steps"] != 0:
        n_open = 1
        if position["i_trade"] > 0:
            copy_row(row_of(books.trades, 0), row_of(books.trades, position["i_trade"]))
            row_of(books.trades, 0)["trade_id"] = 0
            position["i_trade"] = 0
    account["n_past_fills"] += account["n_fills"]
    account["n_past_orders"] += account["n_orders"]
    account["n_past_trades"] += account["n_trades"] - n_open
    account["n_fills"], account["n_orders"], account["n_trades"] = 0, 0, n_open


@entry_kernel
def sum_up(handle: Handle) -> None:
    """The sums of a whole run, in the account; its rows are gone. To be called once, after `finish`."""
    sim = open_tables(handle)
    account = sim.account
    forget_rows(sim)
    account["n_past_trades"] += account["n_trades"]  # the one still open
    for i in range(account["n_funding"]):
        account["funding"] += row_of(sim.books.funding, i)["payment"]


@kernel
def find_next_look(sim: Sim, plan: Row, changes: Changes, changed: Values, i_to: int) -> int:
    """The next bar at whose close an order may be wanted; i_to when none before it."""
    i_from = plan["i_next"]
    if plan["band"] < np.inf and (sim.account["n_open"] > 0 or sim.account["n_waiting"] > 0):
        return int(min(i_from, i_to))
    value, change, wanted = plan["value"], first_row(changes), first_row(changed)
    for i_change in range(plan["i_change"], changes.shape[0]):
        i_bar = change[i_change]
        if i_bar >= i_from and wanted[i_change] != value:
            plan["i_change"] = i_change
            return int(min(i_bar, i_to))
    plan["i_change"] = changes.shape[0]
    return i_to


@kernel
def read_value(plan: Row, values: Values, changes: Changes, changed: Values, i_bar: int) -> float:
    """What is wanted at the close of a bar, from where it is near at hand if that bar is the change that was found."""
    i_change = plan["i_change"]
    if i_change < changes.shape[0] and first_row(changes)[i_change] == i_bar:
        return float(first_row(changed)[i_change])
    return float(first_row(values)[i_bar])


@kernel
def is_order_wanted(sim: Sim, plan: Row, value: float, i_bar: int) -> bool:
    """Whether the value is new, or the position has drifted out of the band around the old one."""
    if value != plan["value"] and not np.isnan(value):
        plan["value"] = value
        return True
    if row_of(sim.positions, 0)["steps"] == 0 or plan["value"] == 0.0 or is_order_waiting(sim, plan):
        return False
    set_marks_at_close(sim, first_fine(sim, i_bar + 1) - 1)
    position = row_of(sim.positions, 0)
    held = position["qty"] * position["mark"]
    if plan["size_kind"] == SizeKind.TARGET_RATIO:
        held /= margin_balance(sim)
    return bool(abs(held - plan["value"]) > plan["band"])


@kernel
def is_order_waiting(sim: Sim, plan: Row) -> bool:
    """Whether the fate of the last order made is still open."""
    return bool(plan["i_order"] >= 0 and is_waiting(row_of(sim.books.orders, plan["i_order"])))


@kernel
def make_target(sim: Sim, plan: Row, commands: Rows, i_bar: int) -> None:
    """An order for the plan's value, in place of the one before it where that still waits."""
    if is_order_waiting(sim, plan):
        write_command(sim, commands, i_bar, CommandKind.CANCEL, plan["i_order"])
        play_last(sim, commands)
    plan["i_order"] = sim.account["n_orders"]
    write_command(sim, commands, i_bar, CommandKind.TARGET, plan["i_order"])
    command = row_of(commands, sim.account["n_commands"])
    command["i_symbol"] = 0
    command["size_kind"] = plan["size_kind"]
    command["size"] = plan["value"]
    command["stop_loss"] = plan["stop_loss_ratio"]
    command["take_profit"] = plan["take_profit_ratio"]
    command["leverage"] = plan["leverage"]
    play_last(sim, commands)


@kernel
def write_command(sim: Sim, commands: Rows, i_bar: int, kind: CommandKind, i_order: int) -> None:
    """The next row of the log, with nothing given but this."""
    n_commands = sim.account["n_commands"]
    command = row_of(commands, n_commands)
    command["i_bar"] = i_bar
    command["seq"] = n_commands
    command["kind"] = kind
    command["i_symbol"] = -1
    command["order_id"] = i_order
    command["side"] = 0
    command["size_kind"] = 0
    command["size"] = np.nan
    command["limit_price"] = np.nan
    command["stop_price"] = np.nan
    command["stop_loss"] = np.nan
    command["take_profit"] = np.nan
    command["trailing_ratio"] = np.nan
    command["leverage"] = np.nan
    command["is_reduce_only"] = False
    command["is_post_only"] = False
    command["good_for_bars"] = 0
    command["i_tag"] = -1


@kernel
def play_last(sim: Sim, commands: Rows) -> None:
    sim.account["n_commands"] += 1
    play_command(sim, commands, sim.account["n_commands"] - 1)
